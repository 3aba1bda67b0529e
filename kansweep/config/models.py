"""The sections `grid` and `model`: what networks are trained, and the sizes they grow along."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass, replace
from typing import Any, ClassVar, Self

from kansweep import kinds
from kansweep.config import rules
from kansweep.config.rules import AUTO, ConfigError, one_of
from kansweep.config.schema import MISSING, Role, Schema, Variant, choice, key
from kansweep.kinds import Kind


@dataclass
class GridConfig(Schema):
    prefix: ClassVar[str] = "grid."
    sizes: tuple[int, ...] = key(
        (5, 10, 20, 50, 100),
        rules.ASCENDING,
        "grid intervals; each extends the one before",
        role=Role.EXTENT,
    )
    spacing: str = key(
        "uniform",
        one_of(*kinds.SPACINGS),
        "knots: uniform, adaptive to the splines, or quantile of samples",
        neutral="uniform",
    )
    points: float | None = key(
        None,
        rules.optional(rules.POSITIVE),
        "least training points a parameter; finer grids are left out",
        role=Role.EXTENT,
    )


@dataclass
class ModelConfig(Variant):
    """What ``model=...`` chooses, a kind of network."""

    prefix: ClassVar[str] = "model."
    packages: ClassVar[
        tuple[str, ...]
    ] = ()  # that it needs, if any, and the extra that brings them
    extra: ClassVar[str] = ""
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")  # on which it can be trained
    name: str = MISSING

    @property
    def kind(self) -> Kind:
        return kinds.KINDS[self.name]

    @property
    def order(self) -> int | None:
        """Of its splines, None where it has none."""
        return None

    @property
    def is_extended(self) -> bool | None:
        """Whether each size extends the last; None: not looked at yet."""
        return self.kind.extended

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        """Those of the model of one size, where ``suggested`` are what suits the data."""
        raise NotImplementedError

    def n_params(self, width: tuple[int, ...], size: int) -> int:
        """The numbers that are trained, as far as they bear on ``grid.points``."""
        return self.footprint(width, size)[1]

    @property
    def is_searched(self) -> bool:
        """Whether its hidden widths are to be found (`sweep.shapes`)."""
        return False

    @property
    def pruning(self) -> float:
        """The RMSE that edges may be worth and yet go, as a share of the outputs' spread; 0: none
        go."""
        return 0.0

    def with_hidden(self, hidden: tuple[int, ...] | str) -> Self:
        """The model with other hidden widths; refused where it has no key for them."""
        raise ConfigError(f"`model.hidden` is no key of model={self.name}.")

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        """Of one network in training: the numbers that it keeps of each point, and the parameters
        of which a matrix may be formed."""
        return sum(width), 0


def _edges(width: tuple[int, ...]) -> int:
    return sum(n_in * n_out for n_in, n_out in itertools.pairwise(width))


@dataclass
class ShapedConfig(ModelConfig):
    """Of a kind of network whose hidden widths are the same at every size."""

    hidden: Any = key(
        None,
        rules.optional(rules.COUNTS_OR_AUTO),
        "hidden widths; null: as suits the target; auto: found",
    )
    enough: Any = key(
        None,
        rules.optional(rules.POSITIVE_OR_TEXT),
        "of auto: RMSE, or whose published one, by fewest parameters",
        role=Role.CONDUCT,  # what comes of it is in `model.hidden`
    )

    @property
    def is_searched(self) -> bool:
        return bool(self.hidden == AUTO)

    def with_hidden(self, hidden: tuple[int, ...] | str) -> Self:
        asked = self.enough if hidden == AUTO else None  # which is for auto alone
        return replace(self, hidden=hidden, enough=asked)

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        if self.is_searched:
            raise ValueError("hidden widths are found before they are used")
        return suggested if self.hidden is None else tuple(self.hidden)


@dataclass
class SplinesConfig(ShapedConfig):
    """Of a kind of network that has a spline on every edge."""

    k: int = key(3, rules.ORDER, "kan, pykan: the splines' order; 3 is cubic")

    @property
    def order(self) -> int:
        return self.k

    def n_params(self, width: tuple[int, ...], size: int) -> int:
        return _edges(width) * (size + self.k)

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        edges = _edges(width)
        return edges, edges * (size + self.k + 1)


@dataclass
class KANConfig(SplinesConfig):
    name: str = choice("kan", "the kind of model")
    base: str = key("none", one_of("none", "silu"), "kan: a function added to every spline")
    prune: float = key(
        0.0,
        rules.SHARE,
        "kan: edges worth less go; a share of the outputs' spread",
        neutral=0,
    )

    @property
    def pruning(self) -> float:
        return self.prune

    def n_params(self, width: tuple[int, ...], size: int) -> int:
        return super().n_params(width, size) + (_edges(width) if self.base != "none" else 0)


@dataclass
class PykanConfig(SplinesConfig):
    packages: ClassVar[tuple[str, ...]] = ("pykan==0.2.8", "scikit-learn")
    extra: ClassVar[str] = "pykan"
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    name: str = choice("pykan", "the kind of model")

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        """Six numbers of each basis function of each order, for derivatives."""
        return 6 * (self.k + 1) * (size + 2 * self.k) * sum(width[:-1]), 0


@dataclass
class MLPConfig(ModelConfig):
    name: str = choice("mlp", "the kind of model")
    widths: tuple[int, ...] = key(
        (5, 10, 20, 50),
        rules.ASCENDING,
        "mlp: nodes of each hidden layer, in place of grids",
        role=Role.EXTENT,
    )
    depth: int = key(2, rules.COUNT, "mlp: hidden layers")
    activation: str = key(
        "silu", one_of("tanh", "silu", "relu", "gelu"), "mlp: tanh, silu, relu or gelu"
    )
    restarts: int = key(3, rules.COUNT, "mlp: random starts trained to the end; the best stays")

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return (size,) * self.depth


@dataclass
class ModuleConfig(ModelConfig):
    """Of torch modules that a factory makes; what null stands for is known when the factory has
    been tried (``sweep.resolution``)."""

    name: str = choice("module", "the kind of model")
    target: str | None = key(
        None, rules.optional(rules.FUNCTION), "module: their factory, as package.module:factory"
    )
    sizes: tuple[int, ...] = key(
        (5, 10, 20, 50),
        rules.ASCENDING,
        "of other kinds: their sizes, in place of grids",
        role=Role.EXTENT,
    )
    parameters: dict[str, Any] = key(
        {}, rules.PLAIN, "module: the factory's other arguments, as {hidden: 5}"
    )
    extended: bool | None = key(
        None, rules.optional(rules.FLAG), "module: sizes extend the last; null: if they can"
    )
    sha256: str | None = key(
        None, rules.optional(rules.TEXT), "module: its source and values; null: as it is"
    )

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return ()  # what is between inputs and outputs is the module's own

    @property
    def is_extended(self) -> bool | None:
        return self.extended

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        return size * sum(width), 0


@dataclass
class SizedConfig(ShapedConfig):
    """Of a kind of network that needs no keys but its sizes and hidden widths."""

    @property
    def order(self) -> int | None:
        return self.kind.degree

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        return size * sum(n_in * n_out for n_in, n_out in itertools.pairwise(width)), 0

    def __reduce__(self) -> tuple[Callable[[str, dict[str, Any]], ModelConfig], tuple[Any, ...]]:
        return _of_kind, (self.name, vars(self))  # a class made here has no name to be found by


def _of_kind(name: str, settings: dict[str, Any]) -> ModelConfig:
    made: ModelConfig = ModelConfig.variants[name](**settings)
    return made


def _sized(kind: Kind) -> type[ModelConfig]:
    """The schema of such a kind: its own name and, unless it grows along a grid, its sizes."""
    sizes: Any = key(
        kind.sizes,
        rules.ASCENDING,
        "of other kinds: their sizes, in place of grids",
        role=Role.EXTENT,
    )
    names: list[Any] = [("name", str, choice(kind.name, "the kind of model"))]
    if not kind.on_grid:
        names.append(("sizes", tuple[int, ...], sizes))
    return make_dataclass(f"{kind.name.capitalize()}Config", names, bases=(SizedConfig,))


for _kind in kinds.KINDS.values():
    if _kind.name not in ModelConfig.variants:
        _sized(_kind)
