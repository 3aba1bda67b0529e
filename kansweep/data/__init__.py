"""What is learned: targets, formulas and tables, their floor, and points of them; NumPy alone."""
