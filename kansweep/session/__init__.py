"""Sweeps from Python: run, watched and read."""
