"""The sections `grid` and `model`: what networks are trained, and the sizes they grow along."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass, replace
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
        one_of("uniform", "adaptive", "quantile"),
        "knots: uniform, adaptive to the splines, or quantile of samples",
        neutral="uniform",
    )


@dataclass
class ModelConfig(Variant):
    """What ``model=...`` chooses, a kind of network."""

    prefix: ClassVar[str] = "model."
    name: str = MISSING

    @property
    def kind(self) -> Kind:
        return kinds.KINDS[self.name]

    @property
    def order(self) -> int | None:
        """Of its splines, None where it has none."""
        return None

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        """Those of the model of one size, where ``suggested`` are what suits the data."""
        raise NotImplementedError

    @property
    def is_searched(self) -> bool:
        """Whether its hidden widths are to be found (`sweep.shapes`)."""
        return getattr(self, "hidden", None) == AUTO

    @property
    def pruning(self) -> float:
        """The RMSE that edges may be worth and yet go, as a share of the outputs' spread; 0: none
        go."""
        return 0.0

    def with_hidden(self, hidden: tuple[int, ...] | str) -> Self:
        """The model with other hidden widths; refused where it has no key for them."""
        if not hasattr(self, "hidden"):
            raise ConfigError(f"`model.hidden` is no key of model={self.name}.")
        model: Any = self
        changed: Self = replace(model, hidden=hidden)
        return changed

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        """Of one network in training: the numbers that it keeps of each point, and the parameters
        of which a matrix may be formed."""
        return sum(width), 0


def _chosen(hidden: Any, suggested: tuple[int, ...]) -> tuple[int, ...]:
    if hidden == AUTO:
        raise ValueError("hidden widths are found before they are used")
    return suggested if hidden is None else tuple(hidden)


@dataclass
class KANConfig(ModelConfig):
    name: str = choice("kan", "the kind of model")
    hidden: Any = key(
        None,
        rules.optional(rules.COUNTS_OR_AUTO),
        "kan: hidden widths; null: as suits the target; auto: found",
    )
    k: int = key(3, rules.ORDER, "kan: the splines' order; 3 is cubic")
    base: str = key("none", one_of("none", "silu"), "kan: a function added to every spline")
    prune: float = key(
        0.0,
        rules.SHARE,
        "kan: edges go that change the RMSE by less, as a share of the spread",
        neutral=0,
    )

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return _chosen(self.hidden, suggested)

    @property
    def order(self) -> int:
        return self.k

    @property
    def pruning(self) -> float:
        return self.prune

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        edges = sum(n_in * n_out for n_in, n_out in itertools.pairwise(width))
        return edges, edges * (size + self.k + 1)


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
    restarts: int = key(3, rules.COUNT, "mlp: random starts; the best by training error stays")

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return (size,) * self.depth


@dataclass
class SizedConfig(ModelConfig):
    """Of a kind of network that needs no keys but its sizes and hidden widths."""

    sizes: tuple[int, ...] = key(
        (), rules.ASCENDING, "of other kinds: their sizes, in place of grids", role=Role.EXTENT
    )
    hidden: Any = key(
        None,
        rules.optional(rules.COUNTS_OR_AUTO),
        "hidden widths; null: as suits the target; auto: found",
    )

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return _chosen(self.hidden, suggested)

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        return size * sum(n_in * n_out for n_in, n_out in itertools.pairwise(width)), 0

    def __reduce__(self) -> tuple[Callable[[str, dict[str, Any]], ModelConfig], tuple[Any, ...]]:
        return _of_kind, (self.name, vars(self))  # a class made here has no name to be found by


def _of_kind(name: str, settings: dict[str, Any]) -> ModelConfig:
    made: ModelConfig = ModelConfig.variants[name](**settings)
    return made


def _sized(kind: Kind) -> type[ModelConfig]:
    """The schema of such a kind, with its own name and sizes."""
    line = SizedConfig.__dataclass_fields__["sizes"].metadata
    sizes: Any = field(default=kind.sizes, metadata=line)
    names = [
        ("name", str, choice(kind.name, "the kind of model")),
        ("sizes", tuple[int, ...], sizes),
    ]
    return make_dataclass(f"{kind.name.capitalize()}Config", names, bases=(SizedConfig,))


for _kind in kinds.KINDS.values():
    if _kind.name not in ModelConfig.variants:
        _sized(_kind)
