"""The section `solver`: training methods, their settings and who implements them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from kansweep import kinds
from kansweep.config import rules
from kansweep.config.rules import ConfigError, one_of
from kansweep.config.schema import MISSING, Role, Variant, choice, key
from kansweep.kinds import Kind

# Parameters up to which `lm` always forms normal equations and factors them, and up to which it
# may, for the memory's sake: in between where that is less work than conjugate gradients are.
DIRECT_LIMIT, DIRECT_MOST = 1500, 4000
# P^3 over points and edges^1.5 up to which it is: a product goes through all points and edges, and
# preconditioned edge by edge, as many overlap, iterations go with the root of the condition number.
# Both took as long at 4e4 with 3 edges and at 5e4 with 101; at 7e4 with 9, products 0.8 of it.
DIRECT_WORK = 3e4


def is_direct(n_params: int, n_points: float, edges: int) -> bool:
    """Whether `lm` forms normal equations and factors them, in place of conjugate gradients."""
    if n_params <= DIRECT_LIMIT:
        return True
    return n_params <= DIRECT_MOST and n_params**3 <= DIRECT_WORK * n_points * edges**1.5


@dataclass(frozen=True)
class Method:
    """One implementation of a solver.

    Its revision is raised when the same configuration gives other numbers than before: cells with
    the old one are trained again.
    """

    address: str  # module:class, made with the settings of the solver and of the model
    name: str  # in keys
    revision: int = 1


@dataclass
class SolverConfig(Variant):
    """What ``solver=...`` chooses, a training method."""

    prefix: ClassVar[str] = "solver."
    methods: ClassVar[Mapping[str, Method]]  # by what they ask of a network, as its kind offers it
    prunes: ClassVar[bool] = False  # whether it does what `model.prune` asks for
    name: str = MISSING

    @classmethod
    def method(cls, kind: Kind) -> Method | None:
        """The one that trains networks of a kind, None where there is none."""
        return next((cls.methods[offer] for offer in kind.offers if offer in cls.methods), None)

    def check_kind(self, kind: Kind) -> None:
        """Refuse a kind of network that the settings do not go with."""

    def check_width(self, width: tuple[int, ...]) -> None:
        """Refuse layer widths that the settings do not go with."""

    trace: bool = key(
        False,
        rules.FLAG,
        "write every iteration to traces/, one file a cell",
        role=Role.CONDUCT,
    )


@dataclass
class LMConfig(SolverConfig):
    methods: ClassVar[Mapping[str, Method]] = {
        kinds.SPLINES: Method("kansweep.solvers.gauss_newton.lm:LM", "lm", 18),
        kinds.GRADIENT: Method(
            "kansweep.solvers.least_squares.lm:LevenbergMarquardt", "marquardt", 2
        ),
    }
    prunes: ClassVar[bool] = True
    name: str = choice("lm", "the method")
    start: str = key(
        "auto", one_of("auto", "additive", "random"), "lm: the first size's start; additive: KANs"
    )
    restarts: int = key(16, rules.COUNT_OR_ZERO, "lm: random starts raced beside it")
    max_steps: int = key(200, rules.COUNT, "lm: most steps a size, a race's not counted")
    penalty: float | None = key(
        None,
        rules.optional(rules.POSITIVE),
        "lm: weight of the penalty; null: by REML or evidence",
    )
    tolerance: float = key(
        3e-3, rules.POSITIVE, "lm: relative decrease of a step (no KAN: of ten) to stop at"
    )

    def check_kind(self, kind: Kind) -> None:
        """The additive start is one of splines."""
        if self.start == "additive" and kinds.SPLINES not in kind.offers:
            raise ConfigError(
                f"`solver.start` must be auto or random for model={kind.name}; got additive."
            )

    def check_width(self, width: tuple[int, ...]) -> None:
        """The additive start is that of one hidden node; a linear model needs none."""
        if self.start == "additive" and width[1:-1] not in ((), (1,)):
            shown = "-".join(map(str, width))
            raise ConfigError(
                f"`solver.start` may be additive only with one hidden node; the width is {shown}."
            )


@dataclass
class LBFGSConfig(SolverConfig):
    methods: ClassVar[Mapping[str, Method]] = {
        kinds.SPLINES: Method("kansweep.solvers.published:PublishedRecipe", "lbfgs", 2),
        kinds.GRADIENT: Method("kansweep.solvers.lbfgs:LBFGS", "mlp"),  # its first networks
        kinds.PYKAN: Method("kansweep.solvers.pykan:Pykan", "pykan"),
    }
    name: str = choice("lbfgs", "the method")
    steps: int = key(50, rules.COUNT, "lbfgs: steps a grid, of at most 20 iterations")


@dataclass
class AdamConfig(SolverConfig):
    methods: ClassVar[Mapping[str, Method]] = {
        kinds.GRADIENT: Method("kansweep.solvers.adam:Adam", "adam")
    }
    name: str = choice("adam", "the method")
    epochs: int = key(1000, rules.COUNT, "adam: most passes over the training points")
    batch_size: int | None = key(
        256, rules.optional(rules.COUNT), "adam: points of a step; null: all"
    )
    learning_rate: float = key(1e-2, rules.POSITIVE, "adam: of the first step")
    schedule: str = key(
        "cosine", one_of("constant", "cosine"), "adam: of the learning rate; cosine: down to 0"
    )
    weight_decay: float = key(
        0.0, rules.POSITIVE_OR_ZERO, "adam: decoupled, times the learning rate a step"
    )
    validation: float = key(
        0.1, rules.SHARE, "adam: share of training points held out to choose weights by"
    )
    patience: int | None = key(
        None,
        rules.optional(rules.COUNT),
        "adam: epochs without a lower such error to stop after, or null",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation == 0 and self.patience is not None:
            raise ConfigError(
                f"`solver.patience` must be null where `solver.validation` is 0;"
                f" got {self.patience}."
            )
