"""kansweep: scaling laws of Kolmogorov-Arnold networks, from one command line.

A sweep from Python: ``run``, explained in ``kansweep.session.run``; it gives a ``Sweep`` and raises
``ConfigError``, ``StoreError`` or ``EngineError``.

For arrays: ``KANRegressor``, explained in ``kansweep.estimator.regressor``.

In a notebook: ``load_results``, ``fit_laws``, ``predict``, ``compare_laws``, ``plot_laws``,
``plot_edges`` and ``figure_style``,
explained in ``kansweep.notebook``, ``load_model``, explained in ``kansweep.trained.weights``, and
``Target`` and ``Edge``, of which a target of one's own is made, in ``kansweep.data.targets``.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
_HOMES = {
    "ConfigError": "config.rules",
    "Edge": "data.targets",
    "EngineError": "engines",
    "KANRegressor": "estimator.regressor",
    "StoreError": "sweep.refusals",
    "Sweep": "session.sweep",
    "Target": "data.targets",
    "compare_laws": "notebook",
    "figure_style": "notebook",
    "fit_laws": "notebook",
    "load_model": "trained.weights",
    "load_results": "notebook",
    "plot_edges": "notebook",
    "plot_laws": "notebook",
    "predict": "notebook",
    "run": "session.run",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """What is for notebooks, imported when it is used: the command line starts without it."""
    if name in _HOMES:
        return getattr(import_module(f"kansweep.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
