"""The configurations of the commands that read stored sweeps."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from kansweep.config import rules
from kansweep.config.rules import ConfigError, one_of
from kansweep.config.run import RunConfig
from kansweep.config.schema import Schema, key


@dataclass
class StoredSweep(Schema):
    """Which sweep a command reads."""

    name: str | None = key(None, rules.optional(rules.NAME), "the sweep; null: the latest")
    outputs: str = key("outputs", rules.TEXT, "the folder of all sweeps")


@dataclass
class StoredSweeps(StoredSweep):
    """Which sweep a command reads, or which several."""

    names: Any = key(
        None, rules.optional(rules.NAMES), "several sweeps together; a list, or orders*"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is not None and self.names is not None:
            raise ConfigError("`name` is one sweep and `names` are several; give one of the two.")


@dataclass
class ShowConfig(StoredSweep):
    """``kansweep show``."""

    format: str = key(
        "table",
        one_of("table", "markdown", "csv", "json", "latex"),
        "table, markdown, csv, json or latex",
    )
    watch: bool = key(False, rules.FLAG, "look on while it is trained, in a terminal")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watch and self.format != "table":
            raise ConfigError(f"`watch` goes with format=table; got format={self.format}.")


@dataclass
class ListConfig(Schema):
    """``kansweep list``."""

    outputs: str = key("outputs", rules.TEXT, "the folder of all sweeps")
    format: str = key("table", one_of("table", "csv", "json"), "table, csv or json")


@dataclass
class CleanConfig(StoredSweep):
    """``kansweep clean``."""

    name: str | None = key(
        None, rules.optional(rules.FOLDER), "the sweep, or what is made of several, as a+b"
    )
    yes: bool = key(False, rules.FLAG, "remove without asking")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is None:
            raise ConfigError("`name` must be given: that of the sweep to be cleaned.")

    @property
    def is_of_several(self) -> bool:
        """Whether it names what was made of several sweeps together; no sweep's name has a `+`."""
        return "+" in str(self.name)


@dataclass
class FormatsConfig(Schema):
    prefix: ClassVar[str] = "plot."
    formats: tuple[str, ...] = key(
        ("png", "svg"), rules.some_of("png", "svg", "pdf"), "out of png, svg and pdf"
    )
    style: str = key("screen", one_of("screen", "paper", "slides"), "screen, paper or slides")
    width: float | None = key(
        None, rules.optional(rules.INCHES), "of figures in inches; null: paper 3.4, slides 10"
    )


@dataclass
class ShapesConfig(RunConfig):
    """``kansweep shapes``: a run's keys, and those of the figure."""

    plot: FormatsConfig = field(default_factory=FormatsConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.model = self.model.with_hidden(rules.AUTO)  # whatever they are

    @property
    def run_config(self) -> RunConfig:
        """What the shapes are searched for."""
        return RunConfig(**{item.name: getattr(self, item.name) for item in fields(RunConfig)})


@dataclass
class FigureConfig(FormatsConfig):
    x: str | None = key(
        None,
        rules.optional(one_of("grid_size", "n_params")),
        "grid_size or n_params; null: grid_size where all have a grid",
    )
    split: str = key("both", one_of("train", "test", "both"), "whose RMSE: train, test or both")
    margin: float = key(
        0.25, rules.POSITIVE, "an exponent this close to the theory is consistent with it"
    )
    derivatives: bool = key(
        False, rules.FLAG, "the laws of the errors of first and second derivatives too"
    )
    orders: bool = key(False, rules.FLAG, "print the observed orders too, as Markdown")


@dataclass
class PlotConfig(StoredSweeps):
    """``kansweep plot``."""

    format: str = key("text", one_of("text", "latex"), "of what is printed: text or latex")
    plot: FigureConfig = field(default_factory=FigureConfig)


@dataclass
class PredictConfig(StoredSweep):
    """``kansweep predict``."""

    size: int | None = key(
        None, rules.optional(rules.COUNT), "the cell's grid size; null: the sweep's largest"
    )
    n_train: int | None = key(
        None, rules.optional(rules.COUNT), "its training points; null: the sweep's most"
    )
    sizes: tuple[int, ...] | None = key(
        None, rules.optional(rules.ASCENDING), "the grid sizes to rest on; null: all"
    )
    n_trains: tuple[int, ...] | None = key(
        None, rules.optional(rules.ASCENDING), "the data sizes to rest on; null: all"
    )
    format: str = key("table", one_of("table", "csv", "json"), "table, csv or json")


@dataclass
class NewDataConfig(Schema):
    prefix: ClassVar[str] = "data."
    path: str | None = key(
        None,
        rules.optional(rules.TEXT),
        "a table with the inputs, x1, x2, … of a function",
    )


_PREDICTIONS = rules.matching("a file that ends in .csv or .parquet", r".*\.(csv|parquet)")


@dataclass
class ApplyConfig(StoredSweep):
    """``kansweep apply``."""

    output: str | None = key(
        None, rules.optional(_PREDICTIONS), "where predictions are written, .csv or .parquet"
    )
    n_train: int | None = key(
        None, rules.optional(rules.COUNT), "the cell's training points; null: the most"
    )
    seed: int | None = key(
        None, rules.optional(rules.COUNT_OR_ZERO), "the cell's seed; null: the first"
    )
    size: int | None = key(
        None, rules.optional(rules.COUNT), "the cell's size; null: least test RMSE"
    )
    data: NewDataConfig = field(default_factory=NewDataConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.path is None:
            raise ConfigError("`data.path` must be given: a table with the inputs.")
        if self.output is None:
            raise ConfigError("`output` must be given: a file for the predictions.")


@dataclass
class ReportConfig(StoredSweeps):
    """``kansweep report``."""


@dataclass
class WhichConfig(Schema):
    prefix: ClassVar[str] = "edges."
    n_train: int | None = key(
        None, rules.optional(rules.COUNT), "the cell's training points; null: the most"
    )
    seed: int | None = key(
        None, rules.optional(rules.COUNT_OR_ZERO), "the cell's seed; null: the first"
    )
    size: int | None = key(
        None, rules.optional(rules.COUNT), "the cell's grid size; null: least test RMSE"
    )


@dataclass
class EdgesConfig(StoredSweep):
    """``kansweep plot edges``."""

    edges: WhichConfig = field(default_factory=WhichConfig)
    plot: FormatsConfig = field(default_factory=FormatsConfig)


# Of the laws, as ``laws.fits`` gives them.
VERDICTS = (
    *("consistent", "pre-asymptotic", "inconsistent", "inconclusive"),
    *("insufficient", "descriptive"),
)


@dataclass
class ExpectedConfig(Schema):
    """What laws and cells are held against, null where they are not, and which ones."""

    prefix: ClassVar[str] = "check."
    verdict: Any = key(
        None, rules.optional(rules.words_of(*VERDICTS)), "what a law's verdict may be; or a list"
    )
    exponent: Any = key(
        None, rules.optional(rules.INTERVAL), "where a law's exponent must lie, as [-4.3,-3.8]"
    )
    worst: Any = key(
        None, rules.optional(rules.BOUNDS), "the largest RMSE of a seed, or by size, {50: 1e-6}"
    )
    against: str | None = key(
        None, rules.optional(rules.TEXT), "a stored laws.csv or results, not to be worse than"
    )
    factor: float = key(1.1, rules.POSITIVE, "by which an error may be larger than the stored one")
    data: Any = key(None, rules.optional(rules.TEXTS), "targets, or of `names` sweeps; null: all")
    output: Any = key(
        None, rules.optional(rules.TEXTS), "of several outputs these, by name; null: all together"
    )
    n_train: Any = key(
        None, rules.optional(rules.COUNTS_OR_ALL), "training points, a list or all; null: the most"
    )
    split: str = key(
        "test",
        one_of("train", "test", "both", "gradient", "hessian"),
        "whose RMSE: train, test, both, gradient or hessian",
    )
    margin: float = key(FigureConfig.margin, rules.POSITIVE, "of the verdict, as plot.margin")


@dataclass
class CheckConfig(StoredSweeps):
    """``kansweep check``."""

    format: str = key("text", one_of("text", "junit", "github"), "text, junit or github")
    file: str | None = key(
        None, rules.optional(rules.TEXT), "where it is written; null: to the standard output"
    )
    check: ExpectedConfig = field(default_factory=ExpectedConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks = ("verdict", "exponent", "worst", "against")
        given = [name for name in checks if getattr(self.check, name) is not None]
        if not given:
            named = ", ".join(f"`check.{name}`" for name in checks[:-1])
            raise ConfigError(f"Nothing is to be checked; give {named} or `check.{checks[-1]}`.")
        for setting, name in (("factor", "against"), ("margin", "verdict")):
            usual = getattr(ExpectedConfig, setting)
            if name not in given and getattr(self.check, setting) != usual:
                raise ConfigError(f"`check.{setting}` is for `check.{name}`, which is not given.")


SCHEMAS: dict[str, type[Schema]] = {
    "run": RunConfig,
    "shapes": ShapesConfig,
    "show": ShowConfig,
    "list": ListConfig,
    "plot": PlotConfig,
    "predict": PredictConfig,
    "apply": ApplyConfig,
    "check": CheckConfig,
    "report": ReportConfig,
    "clean": CleanConfig,
    "edges": EdgesConfig,
}
