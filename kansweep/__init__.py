"""kansweep: scaling laws of Kolmogorov-Arnold networks, from one command line."""

__version__ = "0.1.0"
