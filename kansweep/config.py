"""What a user may configure: dataclass schemas, their checks, and how Hydra learns of them.

The schemas hold the defaults, which the YAML files in ``configs/`` overlay. A key stands in one
line: its type, default, rule (for the checks and their messages) and meaning (for ``--help``).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, make_dataclass, replace
from enum import Enum, auto
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from kansweep import checks, kinds
from kansweep.checks import ConfigError as ConfigError
from kansweep.checks import Rule, did_you_mean, one_of
from kansweep.kinds import Kind


class Role(Enum):
    """What a key decides."""

    IDENTITY = auto()  # the numbers of every cell: another value is another sweep
    EXTENT = auto()  # which cells there are; a cell's own key has its size and seed
    CONDUCT = auto()  # how a sweep is run, and none of its numbers


@dataclass(frozen=True)
class Key:
    """What is known of one key beside its type."""

    default: Any
    rule: Rule
    meaning: str
    role: Role
    has_neutral: bool
    neutral: Any


_NO_VALUE = object()


def _key(
    default: Any, rule: Rule, meaning: str, *, role: Role | None = None, neutral: Any = _NO_VALUE
) -> Any:
    """A key's line in its schema.

    ``role`` is that of the schema unless given. A key that came when there were sweeps already has
    a ``neutral`` value, at which it changes nothing: it is then no part of a cell's key, and
    folders stay what they are.
    """
    metadata = {"rule": rule, "meaning": meaning, "role": role, "neutral": neutral}
    return field(default=default, metadata=metadata)


@dataclass
class Schema:
    """Part of a configuration; it checks its keys when it is made, and its lists become tuples."""

    prefix: ClassVar[str] = ""
    role: ClassVar[Role] = Role.IDENTITY

    def __post_init__(self) -> None:
        for item in own_keys(type(self)):
            value = getattr(self, item.name)
            if isinstance(value, list):
                value = tuple(value)
                setattr(self, item.name, value)
            rule: Rule = item.metadata["rule"]
            if not rule.holds(value):
                raise rule.refusal(self.prefix + item.name, value)


class Variant(Schema):
    """A section of which one out of several schemas applies, as its ``name`` says.

    A direct subclass is a section; a subclass of that with a ``name`` is one of its variants, and
    is registered with it.
    """

    variants: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if Variant in cls.__bases__:
            cls.variants = {}
        elif "name" in cls.__dict__:
            cls.variants[cls.__dict__["name"].default] = cls


def _name(name: str, meaning: str) -> Any:
    """The key that says which variant it is."""
    return _key(name, one_of(name), meaning)


def own_keys(schema: type[Schema]) -> list[Field[Any]]:
    """The keys of a schema itself, without those of its sections."""
    return [item for item in fields(schema) if "rule" in item.metadata]


N_TEST = 10_000  # points of a function's test set


@dataclass
class DataConfig(Schema):
    prefix: ClassVar[str] = "data."
    name: str = _key("exp_sin", checks.TEXT, "the function to learn, or table")
    sizes: tuple[int, ...] | None = _key(
        (100, 300, 1000, 3000),
        checks.optional(checks.DISTINCT),
        "training points, each set in the next; null: as a table has",
        role=Role.EXTENT,
    )
    n_test: int | None = _key(
        N_TEST,
        checks.optional(checks.COUNT),
        "test points, the same for all sizes; of a table a fifth",
    )
    noise: Any = _key(
        0.0, checks.NOISE, "of training outputs: its deviation; 1%: of the target's", neutral=0
    )
    sampling: str = _key(
        "uniform",
        one_of("uniform", "sobol", "grid"),
        "training points: uniform, sobol or grid",
        neutral="uniform",
    )
    formula: str | None = _key(
        None,
        checks.optional(checks.TEXT),
        "a function of your own, as exp(sin(pi*x1) + x2^2)",
        neutral=None,
    )
    target: str | None = _key(
        None,
        checks.optional(checks.FUNCTION),
        "a function in Python, as package.module:function",
        neutral=None,
    )
    domain: Any = _key(
        None,
        checks.optional(checks.DOMAIN),
        "of formula or target: [low,high], for all inputs or each",
        neutral=None,
    )
    hidden: tuple[int, ...] | None = _key(
        None,
        checks.optional(checks.COUNTS),
        "of formula, target or table: suggested hidden widths",
        role=Role.CONDUCT,  # what comes of them is in `model.hidden`
    )
    path: str | None = _key(
        None,
        checks.optional(checks.TEXT),
        "of a table: its file, .csv, .parquet or .npz",
        role=Role.CONDUCT,  # what it holds is in `data.sha256`
    )
    inputs: tuple[str, ...] | None = _key(
        None,
        checks.optional(checks.COLUMNS),
        "of a table: columns; null: all but the output",
        neutral=None,
    )
    output: str | None = _key(
        None, checks.optional(checks.TEXT), "of a table: a column; null: the last", neutral=None
    )
    sha256: str | None = _key(
        None,
        checks.optional(checks.TEXT),
        "of a table or target: its content; null: as it is",
        neutral=None,
    )

    def __post_init__(self) -> None:
        """What does not go together is refused here; what the data themselves decide, by whoever
        can look at them (``sources.check``)."""
        super().__post_init__()
        if isinstance(self.domain, tuple):
            self.domain = tuple(tuple(x) if isinstance(x, list) else x for x in self.domain)
        if self.is_table:
            self._check_table()
            return
        for key in ("path", "inputs", "output"):
            if getattr(self, key) is not None:
                raise ConfigError(
                    f"`data.{key}` is a key of data=table, which is not the data chosen."
                )
        if self.formula is not None and self.target is not None:
            raise ConfigError(
                "`data.formula` and `data.target` are two functions; give one of the two."
            )
        if self.sizes is None:
            raise ConfigError("`data.sizes` may be null for data=table alone.")

    @property
    def is_table(self) -> bool:
        return self.name == "table"

    def _check_table(self) -> None:
        """A table's rows are as they are."""
        neutral = {"formula": None, "target": None, "domain": None, "noise": 0}
        for key, value in (neutral | {"sampling": "uniform"}).items():
            if getattr(self, key) != value:
                raise ConfigError(
                    f"`data.{key}` is no key of data=table, whose rows are as they are."
                )
        if self.path is None:
            raise ConfigError("`data.path` must name a file for data=table, as data.path=file.csv.")


@dataclass
class GridConfig(Schema):
    prefix: ClassVar[str] = "grid."
    sizes: tuple[int, ...] = _key(
        (5, 10, 20, 50, 100),
        checks.ASCENDING,
        "grid intervals; each extends the one before",
        role=Role.EXTENT,
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

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        """Of one network in training: the numbers that it keeps of each point, and the parameters
        of which a matrix may be formed."""
        return sum(width), 0


@dataclass
class KANConfig(ModelConfig):
    name: str = _name("kan", "the kind of model")
    hidden: tuple[int, ...] | None = _key(
        None, checks.optional(checks.COUNTS), "kan: hidden widths; null: what suits the target"
    )
    k: int = _key(3, checks.ORDER, "kan: the splines' order; 3 is cubic")
    base: str = _key("none", one_of("none", "silu"), "kan: a function added to every spline")

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return suggested if self.hidden is None else self.hidden

    @property
    def order(self) -> int:
        return self.k

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        edges = sum(n_in * n_out for n_in, n_out in itertools.pairwise(width))
        return edges, edges * (size + self.k + 1)


@dataclass
class MLPConfig(ModelConfig):
    name: str = _name("mlp", "the kind of model")
    widths: tuple[int, ...] = _key(
        (5, 10, 20, 50),
        checks.ASCENDING,
        "mlp: nodes of each hidden layer, in place of grids",
        role=Role.EXTENT,
    )
    depth: int = _key(2, checks.COUNT, "mlp: hidden layers")
    activation: str = _key(
        "silu", one_of("tanh", "silu", "relu", "gelu"), "mlp: tanh, silu, relu or gelu"
    )
    restarts: int = _key(3, checks.COUNT, "mlp: random starts; the best by training error stays")

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return (size,) * self.depth


@dataclass
class SizedConfig(ModelConfig):
    """Of a kind of network that needs no keys but its sizes and hidden widths."""

    sizes: tuple[int, ...] = _key(
        (), checks.ASCENDING, "of other kinds: their sizes, in place of grids", role=Role.EXTENT
    )
    hidden: tuple[int, ...] | None = _key(
        None, checks.optional(checks.COUNTS), "hidden widths; null: what suits the target"
    )

    def hidden_widths(self, suggested: tuple[int, ...], size: int) -> tuple[int, ...]:
        return suggested if self.hidden is None else self.hidden

    def footprint(self, width: tuple[int, ...], size: int) -> tuple[int, int]:
        return size * sum(n_in * n_out for n_in, n_out in itertools.pairwise(width)), 0


def _sized(kind: Kind) -> type[ModelConfig]:
    """The schema of such a kind, with its own name and sizes."""
    line = SizedConfig.__dataclass_fields__["sizes"].metadata
    sizes: Any = field(default=kind.sizes, metadata=line)
    names = [
        ("name", str, _name(kind.name, "the kind of model")),
        ("sizes", tuple[int, ...], sizes),
    ]
    return make_dataclass(f"{kind.title}Config", names, bases=(SizedConfig,))


for _kind in kinds.KINDS.values():
    if _kind.name not in ModelConfig.variants:
        _sized(_kind)


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
    name: str = MISSING

    @classmethod
    def method(cls, kind: Kind) -> Method | None:
        """The one that trains networks of a kind, None where there is none."""
        return next((cls.methods[offer] for offer in kind.offers if offer in cls.methods), None)

    def check_width(self, width: tuple[int, ...]) -> None:
        """Refuse layer widths that the settings do not go with."""

    trace: bool = _key(
        False,
        checks.FLAG,
        "write every iteration to traces/, one file a cell",
        role=Role.CONDUCT,
    )


# Parameters up to which `lm` forms normal equations and factors them, and from which on it takes
# conjugate gradients. Both take as long at this many with [2,1,1] and 30,000 points; deep networks
# converge better with exact steps, so it is not less.
DIRECT_LIMIT = 1500


@dataclass
class LMConfig(SolverConfig):
    methods: ClassVar[Mapping[str, Method]] = {
        kinds.SPLINES: Method("kansweep.solvers.lm:LM", "lm", 3)
    }
    name: str = _name("lm", "the method")
    start: str = _key("auto", one_of("auto", "additive", "random"), "lm: the first grid's start")
    restarts: int = _key(16, checks.COUNT_OR_ZERO, "lm: random starts beside it")
    max_steps: int = _key(200, checks.COUNT, "lm: most steps a grid")
    penalty: float | None = _key(
        None, checks.optional(checks.POSITIVE), "lm: weight of the penalty; null: by REML"
    )
    tolerance: float = _key(3e-3, checks.POSITIVE, "lm: relative decrease at which it stops")

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
        kinds.SPLINES: Method("kansweep.solvers.published:PublishedRecipe", "lbfgs"),
        kinds.GRADIENT: Method("kansweep.solvers.lbfgs:LBFGS", "mlp"),  # its first networks
    }
    name: str = _name("lbfgs", "the method")
    steps: int = _key(50, checks.COUNT, "lbfgs: steps a grid, of at most 20 iterations")


@dataclass
class EngineConfig(Variant):
    """What ``engine=...`` chooses, a place where chains are trained."""

    prefix: ClassVar[str] = "engine."
    role: ClassVar[Role] = Role.CONDUCT
    name: str = MISSING


_WORKERS = (
    checks.optional(checks.COUNT),
    "not serial: chains at once; null: as many as cores, all on slurm",
)


@dataclass
class SerialConfig(EngineConfig):
    name: str = _name("serial", "where chains are trained")


@dataclass
class ProcessConfig(EngineConfig):
    name: str = _name("process", "where chains are trained")
    workers: int | None = _key(None, *_WORKERS)


@dataclass
class DaskConfig(EngineConfig):
    name: str = _name("dask", "where chains are trained")
    workers: int | None = _key(None, *_WORKERS)
    address: str | None = _key(
        None, checks.optional(checks.ADDRESS), "dask: a running scheduler; null: starts its own"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.address is not None and self.workers is not None:
            raise ConfigError(
                "`engine.workers` is for a cluster that kansweep starts itself; the scheduler at"
                " `engine.address` has its own."
            )


@dataclass
class SubmititConfig(EngineConfig):
    name: str = _name("submitit", "where chains are trained")
    workers: int | None = _key(None, *_WORKERS)
    cluster: str = _key(
        "slurm", one_of("slurm", "local"), "submitit: slurm, or local for this machine"
    )
    timeout_min: int = _key(60, checks.COUNT, "submitit: minutes a job may take before a requeue")
    parameters: Any = _key(
        None, checks.optional(checks.SETTINGS), "submitit: its own, as {slurm_partition: long}"
    )


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
    mode: str = _key(
        "cached",
        one_of("cached", "retry", "force"),
        "cached: what is missing; retry: what failed too; force: all",
    )
    fail_fast: bool = _key(False, checks.FLAG, "stop at the first cell that fails")
    report: bool = _key(False, checks.FLAG, "write the report too, once all cells are done")


@dataclass
class RunConfig(Schema):
    """``kansweep run``: one sweep. ``seeds`` is a tuple once checked."""

    name: str = _key(
        "example8", checks.NAME, "the sweep's folder below `outputs`", role=Role.CONDUCT
    )
    outputs: str = _key("outputs", checks.TEXT, "the folder of all sweeps", role=Role.CONDUCT)
    seeds: Any = _key(5, checks.SEEDS, "a number n, meaning 0 to n-1, or a list", role=Role.EXTENT)
    device: str = _key(
        "cpu", checks.matching("cpu, cuda or cuda:N", r"cpu|cuda(:\d{1,3})?"), "cpu, cuda or cuda:N"
    )
    dtype: str = _key("float64", one_of("float64", "float32"), "float64 or float32")
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

    @property
    def kind(self) -> Kind:
        return self.model.kind

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


@dataclass
class ShowConfig(Schema):
    """``kansweep show``."""

    name: str | None = _key(None, checks.optional(checks.NAME), "the sweep; null: the latest")
    outputs: str = _key("outputs", checks.TEXT, "the folder of all sweeps")
    format: str = _key(
        "table", one_of("table", "markdown", "csv", "json"), "table, markdown, csv or json"
    )


@dataclass
class FigureConfig(Schema):
    prefix: ClassVar[str] = "plot."
    formats: tuple[str, ...] = _key(
        ("png", "svg"), checks.some_of("png", "svg", "pdf"), "out of png, svg and pdf"
    )
    x: str | None = _key(
        None,
        checks.optional(one_of("grid_size", "n_params")),
        "grid_size or n_params; null: grid_size, n_params with an MLP",
    )
    split: str = _key("both", one_of("train", "test", "both"), "whose RMSE: train, test or both")
    margin: float = _key(
        0.25, checks.POSITIVE, "an exponent this close to the theory is consistent with it"
    )
    orders: bool = _key(False, checks.FLAG, "print the observed orders too, as Markdown")


@dataclass
class PlotConfig(Schema):
    """``kansweep plot``."""

    name: str | None = _key(None, checks.optional(checks.NAME), "the sweep; null: the latest")
    names: Any = _key(
        None, checks.optional(checks.NAMES), "several sweeps, drawn together; a list, or orders*"
    )
    outputs: str = _key("outputs", checks.TEXT, "the folder of all sweeps")
    plot: FigureConfig = field(default_factory=FigureConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is not None and self.names is not None:
            raise ConfigError("`name` is one sweep and `names` are several; give one of the two.")


@dataclass
class ReportConfig(Schema):
    """``kansweep report``."""

    name: str | None = _key(None, checks.optional(checks.NAME), "the sweep; null: the latest")
    outputs: str = _key("outputs", checks.TEXT, "the folder of all sweeps")


@dataclass
class WhichConfig(Schema):
    prefix: ClassVar[str] = "edges."
    n_train: int | None = _key(
        None, checks.optional(checks.COUNT), "the cell's training points; null: the most"
    )
    seed: int | None = _key(
        None, checks.optional(checks.COUNT_OR_ZERO), "the cell's seed; null: the first"
    )
    size: int | None = _key(
        None, checks.optional(checks.COUNT), "the cell's grid size; null: least test RMSE"
    )


@dataclass
class FormatsConfig(Schema):
    prefix: ClassVar[str] = "plot."
    formats: tuple[str, ...] = _key(
        ("png", "svg"), checks.some_of("png", "svg", "pdf"), "out of png, svg and pdf"
    )


@dataclass
class EdgesConfig(Schema):
    """``kansweep plot edges``."""

    name: str | None = _key(None, checks.optional(checks.NAME), "the sweep; null: the latest")
    outputs: str = _key("outputs", checks.TEXT, "the folder of all sweeps")
    edges: WhichConfig = field(default_factory=WhichConfig)
    plot: FormatsConfig = field(default_factory=FormatsConfig)


SCHEMAS: dict[str, type[Schema]] = {
    "run": RunConfig,
    "show": ShowConfig,
    "plot": PlotConfig,
    "report": ReportConfig,
    "edges": EdgesConfig,
}
AnySchema = TypeVar("AnySchema", bound=Schema)


def keys(schema: type[Schema]) -> dict[str, Key]:
    """Every key below a schema under its full name, those of all variants included."""
    every = {schema.prefix + item.name: _as_key(schema, item) for item in own_keys(schema)}
    for item in fields(schema):
        section = VARIANTS.get(item.name)
        for part in [item.default_factory] if section is None else section.variants.values():
            if is_dataclass(part):
                every |= keys(cast(type[Schema], part))
    return every


def _as_key(schema: type[Schema], item: Field[Any]) -> Key:
    given = item.metadata
    return Key(
        default=item.default,
        rule=given["rule"],
        meaning=given["meaning"],
        role=given["role"] or schema.role,
        has_neutral=given["neutral"] is not _NO_VALUE,
        neutral=given["neutral"],
    )


def identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stored configuration that all cells of its sweep share, flat: another
    value is another sweep."""
    known = keys(RunConfig)
    shared = {
        name: value
        for name, value in _flat(record).items()
        if _is_identity(known.get(name), name, value)
    }
    if "device" in shared:
        shared["device"] = str(shared["device"]).partition(":")[0]  # which GPU does not matter
    return shared


def _is_identity(key: Key | None, name: str, value: Any) -> bool:
    if key is None:  # of another version, or of an engine that is not here
        return VARIANTS.get(name.partition(".")[0], Schema).role is Role.IDENTITY
    return key.role is Role.IDENTITY and not (key.has_neutral and value == key.neutral)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def config_dir() -> Path:
    """The YAML files' folder: in the package where it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def register() -> None:
    """Give Hydra the schemas that the YAML files begin from."""
    for name, schema in SCHEMAS.items():
        node = OmegaConf.structured(schema)
        for section in VARIANTS if schema is RunConfig else ():
            node[section] = MISSING  # or the keys of the default would stay in every other
        ConfigStore.instance().store(group="hydra/kansweep", name=name, node=node)
    for section, base in VARIANTS.items():
        for name, schema in base.variants.items():
            node = OmegaConf.structured(schema)
            # Under a name of its own for a YAML file to begin from, and as a choice without one.
            ConfigStore.instance().store(group="hydra/kansweep", name=name, node=node)
            ConfigStore.instance().store(group=section, name=name, node=node)


def load(composed: DictConfig, schema: type[AnySchema]) -> AnySchema:
    """Check what Hydra composed; a key that no schema has is refused, also where `+` added it."""
    strict = OmegaConf.structured(schema)
    try:
        record: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        for section in ("data", *VARIANTS) if schema is RunConfig else ():
            given = record.get(section, {})
            if not isinstance(given, dict):
                raise ConfigError(f"`{section}` holds other keys; got {given!r} in its place.")
            if section in VARIANTS:
                strict[section] = _variant(section, given)
        return cast(AnySchema, OmegaConf.to_object(OmegaConf.merge(strict, record)))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error


def _variant(section: str, given: Mapping[str, Any]) -> type[Schema]:
    """The schema that a section's ``name`` chooses, that of the default where it has none."""
    variants = VARIANTS[section].variants
    name = given.get("name", getattr(RunConfig(), section).name)
    names = one_of(*variants)
    if not names.holds(name):
        raise names.refusal(f"{section}.name", name)
    return variants[name]


def from_record(record: Mapping[str, Any]) -> RunConfig:
    """Read a sweep's stored configuration; a key that it lacks takes its default."""
    return load(OmegaConf.create(dict(record)), RunConfig)


def overrides(job: RunConfig, suggested: tuple[int, ...] | None = None) -> list[str]:
    """The words after ``kansweep run`` that give this configuration; none give the default one.

    ``suggested`` are the hidden widths that suit its data, where they are known: a sweep's record
    has them, and a command need not.
    """
    if suggested is not None and getattr(job.model, "hidden", None) == suggested:
        settings: Any = job.model  # of a kind with hidden widths of its own
        job = replace(job, model=replace(settings, hidden=None))
    usual, words = RunConfig(), []
    for item in fields(RunConfig):
        value, default = getattr(job, item.name), getattr(usual, item.name)
        if not isinstance(value, Schema):
            counted = item.name == "seeds" and value == tuple(range(len(value)))
            words += [override(item.name, len(value) if counted else value)] * (value != default)
            continue
        table = isinstance(value, DataConfig) and value.is_table
        if getattr(value, "name", None) != getattr(default, "name", None):
            written = isinstance(value, DataConfig) and (value.formula or value.target)
            name = getattr(value, "name", None)
            words.append(override(f"{item.name}.name" if written else item.name, name))
            default = default if isinstance(value, DataConfig) else type(value)()
        for key in (key.name for key in own_keys(type(value)) if key.name != "name"):
            always = table and key in ("sizes", "n_test")  # data=table has others than the default
            if always or getattr(value, key) != getattr(default, key):
                words.append(override(value.prefix + key, getattr(value, key)))
    return words


def override(key: str, value: Any) -> str:
    """``key=value`` as Hydra reads it back; a shell may want the whole of it quoted."""
    return f"{key}={_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_literal(item)}' for name, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_literal, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if not isinstance(value, str) or _reads_as_itself(value):
        return str(value)
    escaped = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + (end[2] and '\\"'), value)
    return f'"{escaped}"'


def _reads_as_itself(text: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*", text)
    return bool(plain) and text.lower() not in ("null", "true", "false", "nan", "inf")


def explain(error: Exception, schema: type[Schema]) -> str:
    """What Hydra or OmegaConf found wrong with a configuration, in a sentence of ours."""
    cause = error.__cause__ or error
    known = keys(schema)
    key = re.sub(r"\[\d+\]$", "", getattr(cause, "full_key", None) or "")
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = sorted(error.options)
        hint = did_you_mean(choice, options)
        return f"There is no {group}={choice}; there is {', '.join(options)}.{hint}"
    if isinstance(error, OverrideParseException):
        return f"`{error.override}` cannot be read; write key=value, as in data.sizes=[100,300]."
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        named = re.search(r"override '(.+)'", str(error))
        return _unknown(named[1] if named else key, known)
    if isinstance(cause, ValidationError):
        if key in known:
            return str(known[key].rule.refusal(key, cause.value))
        if inside := [name for name in known if name.startswith(f"{key}.")]:
            return f"`{key}` holds other keys; set one of those, such as `{inside[0]}`."
    if isinstance(cause, MissingMandatoryValue):
        return f"`{key}` has no value."
    return str(error).partition("\n    full_key")[0]


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    if key not in known:
        return f"There is no key `{key}`.{did_you_mean(key, known)}"
    section = key.partition(".")[0]
    variants = VARIANTS[section].variants if section in VARIANTS else {}
    owners = [name for name, schema in variants.items() if key in keys(schema)]
    if not owners:
        return f"`{key}` cannot be left out."
    *rest, last = (f"{section}={name}" for name in owners)
    named = f"{', '.join(rest)} and {last}" if rest else last
    return f"`{key}` is a key of {named}, which is not the {section} chosen."
