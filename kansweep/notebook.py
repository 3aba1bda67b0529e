"""From a sweep's results to its laws and figures, in a notebook.

results = kansweep.load_results("outputs/example8")
laws = kansweep.fit_laws(results)
kansweep.plot_laws(results, laws).savefig("law.png")
kansweep.predict(results, size=200, n_train=10000).rmse
kansweep.compare_laws({"kan": results, "mlp": kansweep.load_results("outputs/mlp")})

model = kansweep.load_model("outputs/example8", n_train=3000)
kansweep.plot_edges(model).savefig("edges.png")
with kansweep.figure_style("paper"):
    kansweep.plot_laws(results, laws).savefig("law.pdf")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from kansweep import study
from kansweep.config.commands import FormatsConfig
from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError, one_of, plain
from kansweep.data import sources, targets
from kansweep.data.targets import TARGETS, Target
from kansweep.figures import edges, scaling, sets, styles
from kansweep.laws import cells, findings, fits
from kansweep.laws.prediction import Prediction
from kansweep.sweep import store
from kansweep.sweep.refusals import StoreError
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.network import TrainedNetwork

_OF_LAWS = ("data", "n_train", "x", "split", "exponent", "verdict")  # what figures read of them


def load_results(path: str | Path) -> DataFrame:
    """The rows of a sweep, from its folder or its ``results.parquet``, with the floor filled in.

    Raises FileNotFoundError where there is no such file.
    """
    try:
        results = store.read_results(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There are no results in {path}.") from error
    targets = TARGETS
    with suppress(StoreError, ConfigError):  # rows may stand alone
        targets = sources.known(from_record(store.read_record(Path(path))).data)
    return study.with_floor(results, targets)


def fit_laws(results: DataFrame, x: str | None = None) -> DataFrame:
    """The law of every curve, as ``laws.csv`` has it; see ``kansweep.laws.fits.fit_laws``.
    Behind the laws of all outputs together stand those of each, with its name in `output`.

    Against ``x``, ``grid_size`` or ``n_params``; left out, the latter where not all networks are
    on a grid.
    """
    x = cells.axis(cells.complete(results)) if x is None else x
    fits.check_axis(x)
    laws = findings.study(results, study.rules(results)).laws_of_all()
    return laws[laws["x"] == x].reset_index(drop=True)


def predict(
    results: DataFrame,
    size: int | None = None,
    n_train: int | None = None,
    *,
    sizes: Sequence[int] | None = None,
    n_trains: Sequence[int] | None = None,
    target: Target | None = None,
    output: str | None = None,
) -> Prediction:
    """The test RMSE of a cell, with its 95% interval; see ``kansweep.study.predicted``.

    `target` is what was learned, for its floor, unless it is one of ``TARGETS``.
    """
    if not isinstance(target, Target | None):
        raise ValueError(f"`target` must be a Target, or None; got {target!r}.")
    names = cells.complete(results)["data"].unique()
    known = TARGETS if target is None else dict.fromkeys(names, target)
    spread = next((targets.spread(known[name]) for name in names if name in known), 1.0)
    chosen: dict[str, Any] = {"sizes": sizes, "n_trains": n_trains, "output": output}
    return study.predicted(results, size, n_train, **chosen, targets=known, spread=spread)


def compare_laws(sweeps: Mapping[str, DataFrame], x: str | None = None) -> DataFrame:
    """Every sweep beside the first of its target, with their names: differences of exponents and
    ratios of errors, paired by seed; see ``kansweep.laws.comparison.compare``."""
    if not isinstance(sweeps, Mapping) or not all(isinstance(name, str) for name in sweeps):
        given = list(sweeps) if isinstance(sweeps, Mapping) else type(sweeps).__name__
        raise ValueError(f"`sweeps` must be results by their names; got {given}.")
    if len(sweeps) < 2:
        raise ValueError(f"`sweeps` must be two or more; got {len(sweeps)}.")
    return study.of_several(sweeps, x).comparison


@contextmanager
def figure_style(style: str, width: float | None = None) -> Iterator[None]:
    """Figures that are drawn within are in a style, ``screen``, ``paper`` or ``slides``, and of a
    width in inches, as by ``plot.style`` and ``plot.width``; files saved within embed their fonts.

    Raises ConfigError where there is no such style or width.
    """
    chosen = FormatsConfig(style=style, width=plain(width))
    with styles.applied(chosen.style, chosen.width), matplotlib.rc_context(styles.saving()):
        yield


def plot_laws(results: DataFrame, laws: DataFrame, split: str = "test") -> Figure:
    """RMSE against the axis of the laws, with each curve's exponent in the legend; of one sweep, or
    of several as ``kansweep.study.together`` gives them."""
    splits = one_of(*cells.SPLITS)
    if not splits.holds(split):
        raise splits.refusal("split", split)
    columns = list(laws) if isinstance(laws, DataFrame) else []
    if absent := [name for name in _OF_LAWS if name not in columns]:
        raise ValueError(f"`laws` must be those of fit_laws; it lacks {', '.join(absent)}.")
    x = str(laws["x"].iloc[0]) if len(laws) else None
    of_all = findings.study(results, study.rules(results), x, laws)
    draw = sets.of_several if "target" in results else scaling.draw
    return draw(of_all, [split])[0].figure


def plot_edges(network: TrainedNetwork, target: str | Target | None = None) -> Figure:
    """All edges of a KAN, beside the true ones where the target (its name; unset, what the sweep
    says) has a known structure; see ``kansweep.figures.edges.draw``."""
    if not isinstance(network, TrainedNetwork) or not network.has_edges:
        raise ValueError(f"`network` must have a function on every edge; {network!r} has none.")
    if not isinstance(target, Target | None) and target not in list(TARGETS):
        raise ValueError(f"`target` must be one of {', '.join(TARGETS)}; got {target!r}.")
    chosen = network.data if target is None else target
    truth = chosen if isinstance(chosen, Target) else TARGETS.get(chosen or "")
    return edges.draw(cast(TrainedKAN, network), truth)
