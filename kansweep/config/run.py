"""The whole configuration of a sweep, as ``kansweep run`` takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar

from kansweep.config import rules
from kansweep.config.data import DataConfig
from kansweep.config.engines import EngineConfig, SerialConfig
from kansweep.config.models import GridConfig, KANConfig, ModelConfig
from kansweep.config.rules import ConfigError, one_of
from kansweep.config.schema import Role, Schema, Variant, key
from kansweep.config.solvers import LMConfig, Method, SolverConfig
from kansweep.kinds import Kind

# Sections of which one out of several schemas applies.
VARIANTS: dict[str, type[Variant]] = {
    "model": ModelConfig,
    "solver": SolverConfig,
    "engine": EngineConfig,
}


@dataclass
class RunModeConfig(Schema):
    prefix: ClassVar[str] = "run."
    role: ClassVar[Role] = Role.CONDUCT
    mode: str = key(
        "cached",
        one_of("cached", "retry", "force"),
        "cached: what is missing; retry: what failed too; force: all",
    )
    fail_fast: bool = key(False, rules.FLAG, "stop at the first cell that fails")
    report: bool = key(False, rules.FLAG, "write the report too, once all cells are done")
    on_end: Any = key(  # a text alone: of a number OmegaConf would make one
        None,
        rules.optional(rules.COMMAND),
        "a shell command, told the outcome by KANSWEEP_… variables",
    )
    verbosity: str = key(
        "normal",
        one_of("quiet", "normal", "verbose"),
        "quiet (-q): failures alone; verbose (-v): a line a cell",
    )

    @property
    def is_quiet(self) -> bool:
        return self.verbosity == "quiet"

    @property
    def is_verbose(self) -> bool:
        return self.verbosity == "verbose"


@dataclass
class RunConfig(Schema):
    """``kansweep run``: one sweep. ``seeds`` is a tuple once checked."""

    name: str = key("example8", rules.NAME, "the sweep's folder below `outputs`", role=Role.CONDUCT)
    outputs: str = key("outputs", rules.TEXT, "the folder of all sweeps", role=Role.CONDUCT)
    seeds: Any = key(5, rules.SEEDS, "a number n, meaning 0 to n-1, or a list", role=Role.EXTENT)
    device: str = key(
        "cpu", rules.matching("cpu, cuda or cuda:N", r"cpu|cuda(:\d{1,3})?"), "cpu, cuda or cuda:N"
    )
    dtype: str = key("float64", one_of("float64", "float32"), "float64 or float32")
    data: DataConfig = field(default_factory=DataConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    model: ModelConfig = field(default_factory=KANConfig)
    solver: SolverConfig = field(default_factory=LMConfig)
    engine: EngineConfig = field(default_factory=SerialConfig)
    run: RunModeConfig = field(default_factory=RunModeConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.seeds, int):
            self.seeds = tuple(range(self.seeds))
        _ = self.method  # refused where there is none
        if self.model.pruning and not self.solver.prunes:
            raise ConfigError(
                f"`model.prune` must be 0 for solver={self.solver.name}; got {self.model.pruning}."
            )
        self.solver.check_kind(self.kind)
        spacings = one_of(*self.kind.spacings)
        if not spacings.holds(self.grid.spacing):
            raise ConfigError(
                f"`grid.spacing` must be {spacings.must} for model={self.model.name};"
                f" got {self.grid.spacing}."
            )
        devices = one_of(*self.model.devices)
        if not devices.holds(self.device.partition(":")[0]):
            raise ConfigError(
                f"`device` must be {devices.must} for model={self.model.name}; got {self.device}."
            )

    @property
    def kind(self) -> Kind:
        return self.model.kind

    @property
    def extended(self) -> bool:
        """Whether each size is warm-started from the last."""
        extended = self.model.is_extended
        if extended is None:
            raise ValueError("a module's configuration is resolved before it is used")
        return extended

    @property
    def method(self) -> Method:
        """What trains the networks."""
        method = self.solver.method(self.kind)
        if method is not None:
            return method
        solvers = SolverConfig.variants.items()
        rule = one_of(*(name for name, schema in solvers if schema.method(self.kind)))
        raise ConfigError(
            f"`solver` must be {rule.must} for model={self.model.name}; got {self.solver.name}."
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """What the networks grow along: a KAN's grid sizes, an MLP's widths."""
        sizes: tuple[int, ...] = attrgetter(self.kind.axis)(self)
        return sizes
