"""Networks read back as NumPy functions."""
