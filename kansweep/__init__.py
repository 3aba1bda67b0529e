"""kansweep: scaling laws of Kolmogorov-Arnold networks, from one command line.

In a notebook: ``load_results``, ``fit_laws`` and ``plot_laws``, explained in ``kansweep.analysis``,
and ``load_model``, explained in ``kansweep.weights``.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["fit_laws", "load_model", "load_results", "plot_laws"]


def __getattr__(name: str) -> Any:
    """What is for notebooks, imported when it is used: the command line starts without it."""
    if name in __all__:
        home = "kansweep.weights" if name == "load_model" else "kansweep.study"
        return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
