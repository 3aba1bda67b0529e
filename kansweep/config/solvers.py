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

# Parameters up to which `lm` forms normal equations and factors them, and from which on it takes
# conjugate gradients. Both take as long at this many with [2,1,1] and 30,000 points; deep networks
# converge better with exact steps, so it is not less.
DIRECT_LIMIT = 1500


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
        kinds.SPLINES: Method("kansweep.solvers.gauss_newton.lm:LM", "lm", 5)
    }
    prunes: ClassVar[bool] = True
    name: str = choice("lm", "the method")
    start: str = key("auto", one_of("auto", "additive", "random"), "lm: the first grid's start")
    restarts: int = key(16, rules.COUNT_OR_ZERO, "lm: random starts beside it")
    max_steps: int = key(200, rules.COUNT, "lm: most steps a grid")
    penalty: float | None = key(
        None, rules.optional(rules.POSITIVE), "lm: weight of the penalty; null: by REML"
    )
    tolerance: float = key(3e-3, rules.POSITIVE, "lm: relative decrease at which it stops")

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
    }
    name: str = choice("lbfgs", "the method")
    steps: int = key(50, rules.COUNT, "lbfgs: steps a grid, of at most 20 iterations")
