"""Every kind of network in one record: its words, its size, what theory says, who builds it.

The rest of the program asks a kind what it needs to know and never which kind it is, so that a new
one is its own file in ``networks`` and a record here. Nothing here imports torch: the classes are
named, and imported by who trains or loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame, Series

GRID = "grid.sizes"  # the key whose sizes are the column `grid_size` too
SPACINGS = ("uniform", "adaptive", "quantile")  # of knots

# What a network offers to who trains it; solvers say which of these they ask for.
SPLINES = "splines"  # the layers of a KAN of B-splines, `networks.kan`
GRADIENT = "gradient"  # outputs with derivatives by all parameters, `networks.protocol.Gradient`
PYKAN = "pykan"  # models of pykan, which has its own `fit`


class Unusable(ValueError):
    """A user's code of which no network can be made: `must ...; what it was`, for a sentence that
    begins with its key."""


@dataclass(frozen=True)
class Kind:
    """One kind of network.

    ``theory`` gives the exponent that RMSE has against size, by the order ``k`` of its splines;
    the floor of best splines is a reference for kinds with a theory and for no others.
    """

    name: str  # as `model=` and the column `model` have it
    title: str  # in text
    networks: str  # in full
    size: str  # what a sweep varies
    symbol: str  # of that size
    meaning: str  # of the symbol, in a sentence
    axis: str  # the key that lists the sizes
    smaller: str  # what is said of networks of a smaller size
    larger: str
    best: str  # of the size with the least error
    # Each size is warm-started from the last; else every cell starts from nothing. None: as its
    # configuration says (`RunConfig.extended`).
    extended: bool | None
    offers: tuple[str, ...]  # to solvers, the one to be used first
    network: str  # module:class that builds it, a `networks.protocol.Network`
    mark: str  # the array by which stored weights are known to be of this kind
    sizes: tuple[int, ...] = ()  # by default, where it has no keys of its own in `config`
    trained: str | None = None  # module:function from stored arrays to a NumPy function, if any
    basis: str | None = None  # module:class of the functions its edges are series in, if they are
    degree: int | None = None  # of its splines, where they are of one
    derivatives: str | None = None  # module:function, as `networks.derivatives`, if there is one
    theory: Callable[[float], float] | None = None
    order: str = ""  # minus the theory's exponent, as a formula
    spacings: tuple[str, ...] = ("uniform",)  # that `grid.spacing` may ask for
    sized_width: bool = False  # the size is the width of the hidden layers
    ends_only: bool = False  # of its widths none but inputs and outputs are known
    # module:function that looks at what a user's code makes before anything is planned, and gives
    # what of it belongs in the section `model`; raises Unusable.
    inspected: str | None = None
    qualifier: str = ""  # beside a target's name; none for what is expected

    @property
    def has_theory(self) -> bool:
        return self.theory is not None

    @property
    def on_grid(self) -> bool:
        """Whether its size is the number of grid intervals, so that laws against it are too."""
        return self.axis == GRID

    @property
    def spaced(self) -> bool:
        """Whether its knots may stand at unequal steps: `shape_of` is told `grid.spacing`."""
        return len(self.spacings) > 1

    @property
    def letter(self) -> str:
        """Of the size in a cell's key."""
        return self.symbol.upper()

    def exponent(self, k: float) -> float:
        """The theory's exponent against size, NaN where there is none."""
        return float("nan") if self.theory is None else self.theory(k)

    def of(self, name: str) -> str:
        """A target or a sweep with what is learning it, where that is not the expected."""
        return f"{name} ({self.qualifier})" if self.qualifier else name

    def shape(self, width: str, size: int) -> str:
        """The widths ``2-10-10-1`` of a network, in terms of its size where that is one of them:
        ``2-w-w-1``."""
        if not (self.sized_width or self.ends_only):
            return width
        first, *hidden, last = width.split("-")
        if self.ends_only:
            return f"{first}-\N{HORIZONTAL ELLIPSIS}-{last}"
        parts = (self.symbol if part == str(size) else part for part in hidden)
        return "-".join([first, *parts, last])


def _of_splines(k: float) -> float:
    """Of the best KAN whose edges are splines, Liu et al. 2024, arXiv:2404.19756, theorem 2.1."""
    return -(k + 1)


_OF_GRIDS: dict[str, Any] = {  # what is said of kinds whose size is that of a grid
    "size": "grid size",
    "symbol": "G",
    "meaning": "the number of grid intervals",
    "axis": GRID,
    "smaller": "coarser",
    "larger": "larger grids",
    "best": "best grid",
}


def _series(name: str, title: str, **facts: Any) -> Kind:
    """KANs whose edges are series in a basis; each size extends the one before."""
    shared: dict[str, Any] = {
        "networks": f"{title}s",
        "qualifier": title,
        "axis": "model.sizes",
        "extended": True,
        "offers": (GRADIENT,),
        "network": "kansweep.networks.series:SeriesKAN",
        "trained": "kansweep.trained.series:from_arrays",
        "mark": f"0.{name}",
    }
    return Kind(name=name, title=title, **{**shared, **facts})


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="kan",
            title="KAN",
            networks="Kolmogorov\N{EN DASH}Arnold networks",
            **_OF_GRIDS,
            extended=True,
            offers=(SPLINES,),
            network="kansweep.networks.kan:KAN",
            mark="0.coef",
            trained="kansweep.trained.kan:from_arrays",
            derivatives="kansweep.networks.derivatives:derivatives",
            spacings=SPACINGS,
            order="k + 1",
            theory=_of_splines,
        ),
        Kind(
            name="pykan",
            title="pykan KAN",
            networks="Kolmogorov\N{EN DASH}Arnold networks by pykan",
            **_OF_GRIDS,
            extended=True,
            offers=(PYKAN,),
            network="kansweep.networks.pykan:PykanKAN",
            mark="act_fun.0.coef",
            trained="kansweep.trained.pykan:from_arrays",
            spacings=("uniform", "quantile"),
            order="k + 1",
            theory=_of_splines,
            qualifier="pykan",
        ),
        Kind(
            name="mlp",
            title="MLP",
            networks="multilayer perceptrons",
            size="width",
            symbol="w",
            meaning="the width of the hidden layers",
            axis="model.widths",
            smaller="narrower",
            larger="wider networks",
            best="best width",
            extended=False,
            offers=(GRADIENT,),
            network="kansweep.networks.mlp:MLP",
            mark="activation",
            trained="kansweep.trained.mlp:from_arrays",
            sized_width=True,
            qualifier="MLP",
        ),
        _series(
            "chebyshev",
            "Chebyshev KAN",
            basis="kansweep.networks.bases.chebyshev:Chebyshev",
            size="degree",
            symbol="d",
            meaning="the degree of every edge's polynomial",
            smaller="of lower degree",
            larger="higher degrees",
            best="best degree",
            sizes=(2, 4, 8, 16, 32),
        ),
        _series(
            "fourier",
            "Fourier KAN",
            basis="kansweep.networks.bases.fourier:Fourier",
            size="band limit",
            symbol="f",
            meaning="the highest frequency of every edge",
            smaller="of lower frequencies",
            larger="higher frequencies",
            best="best band limit",
            sizes=(2, 4, 8, 16, 32),
        ),
        _series(
            "rbf",
            "RBF KAN",
            basis="kansweep.networks.bases.gaussian:Gaussian",
            **{**_OF_GRIDS, "meaning": "the number of intervals between the centres"},
        ),
        _series(
            "efficient_kan",
            "efficient KAN",
            basis="kansweep.networks.bases.spline:Spline",
            **_OF_GRIDS,
            degree=3,
            order="k + 1",
            theory=_of_splines,  # silu beside them only adds to what they represent
        ),
        # The last: its arrays have a user's names, among which another kind's mark may be.
        Kind(
            name="module",
            title="module",
            networks="torch modules",
            size="size",
            symbol="s",
            meaning="the size that the modules' factory is given",
            axis="model.sizes",
            smaller="of smaller size",
            larger="larger sizes",
            best="best size",
            extended=None,
            offers=(GRADIENT,),
            network="kansweep.networks.module:ModuleNetwork",
            mark=".target",
            trained="kansweep.trained.module:from_arrays",
            inspected="kansweep.networks.inspection:inspected",
            ends_only=True,
            qualifier="module",
        ),
    )
}
DEFAULT = "kan"  # what rows are of that were written before there were others


def of(frame: DataFrame) -> Kind:
    """The kind of the networks in these rows, which are of one."""
    models = list(frame["model"].dropna()) if "model" in frame else []
    return KINDS[models[0] if models else DEFAULT]


def extended(frame: DataFrame) -> Series[bool]:
    """Whether each row's network extends that of the last size."""
    of_kind = frame["model"].map(lambda name: KINDS[name].extended)
    began = frame["start_grid"].notna() if "start_grid" in frame else False
    return of_kind.where(of_kind.notna(), began).astype(bool)


def all_on_grid(frame: DataFrame) -> bool:
    """Whether every row's network has a grid, so that all can be drawn against its size."""
    models = set(frame["model"].dropna()) if "model" in frame else set()
    return all(KINDS[str(model)].on_grid for model in models)


def of_arrays(arrays: Mapping[str, Any]) -> Kind | None:
    """The kind that stored weights are of, None where no mark is among them."""
    return next((kind for kind in reversed(KINDS.values()) if kind.mark in arrays), None)


def load(address: str) -> Any:
    """What ``module:name`` names, imported now."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
