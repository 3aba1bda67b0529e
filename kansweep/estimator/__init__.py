"""A KAN for arrays, by scikit-learn's conventions."""
