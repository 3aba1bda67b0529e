"""Training methods behind one contract; none is imported before it is used."""
