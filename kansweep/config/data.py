"""The section `data`: what is learned, from how many points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kansweep.config import rules
from kansweep.config.rules import ConfigError, one_of
from kansweep.config.schema import Role, Schema, key

N_TEST = 10_000  # points of a function's test set


@dataclass
class DataConfig(Schema):
    prefix: ClassVar[str] = "data."
    name: str = key("exp_sin", rules.TEXT, "the function to learn, or table")
    sizes: tuple[int, ...] | None = key(
        (100, 300, 1000, 3000),
        rules.optional(rules.DISTINCT),
        "training points, each set in the next; null: as a table has",
        role=Role.EXTENT,
    )
    n_test: int | None = key(
        N_TEST,
        rules.optional(rules.COUNT),
        "test points, the same for all sizes; of a table a fifth",
    )
    noise: Any = key(
        0.0, rules.NOISE, "of training outputs: its deviation; 1%: of the target's", neutral=0
    )
    sampling: str = key(
        "uniform",
        one_of("uniform", "sobol", "grid"),
        "training points: uniform, sobol or grid",
        neutral="uniform",
    )
    formula: Any = key(
        None,
        rules.optional(rules.FORMULA),
        "your own, as exp(sin(pi*x1) + x2^2); {name: formula, ...}",
        neutral=None,
    )
    target: str | None = key(
        None,
        rules.optional(rules.FUNCTION),
        "a function in Python, as package.module:function",
        neutral=None,
    )
    domain: Any = key(
        None,
        rules.optional(rules.DOMAIN),
        "of formula or target: [low,high], for all inputs or each",
        neutral=None,
    )
    hidden: tuple[int, ...] | None = key(
        None,
        rules.optional(rules.COUNTS),
        "of formula, target or table: suggested hidden widths",
        role=Role.CONDUCT,  # what comes of them is in `model.hidden`
    )
    shapes: Any = key(
        None,
        rules.optional(rules.SHAPES),
        "other hidden widths by name, which models refer to",
        role=Role.CONDUCT,
    )
    path: str | None = key(
        None,
        rules.optional(rules.TEXT),
        "of a table: its file, .csv, .parquet or .npz",
        role=Role.CONDUCT,  # what it holds is in `data.sha256`
    )
    inputs: tuple[str, ...] | None = key(
        None,
        rules.optional(rules.COLUMNS),
        "of a table: columns; null: all but the outputs",
        neutral=None,
    )
    output: Any = key(
        None,
        rules.optional(rules.COLUMN_OR_COLUMNS),
        "of a table: a column or several; null: the last",
        neutral=None,
    )
    sha256: str | None = key(
        None,
        rules.optional(rules.TEXT),
        "of a table or target: its content; null: as it is",
        neutral=None,
    )

    def __post_init__(self) -> None:
        """What does not go together is refused here; what the data themselves decide, by whoever
        can look at them (``sources.check``)."""
        self.output = _named(self.output)
        super().__post_init__()
        if isinstance(self.domain, tuple):
            self.domain = tuple(tuple(x) if isinstance(x, list) else x for x in self.domain)
        if self.is_table:
            self._check_table()
            return
        for name in ("path", "inputs", "output"):
            if getattr(self, name) is not None:
                raise ConfigError(
                    f"`data.{name}` is a key of data=table, which is not the data chosen."
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

    @property
    def formulas(self) -> tuple[tuple[str, str], ...]:
        """Names and formulas of the outputs, none where no formula is given; a single one has no
        name."""
        if isinstance(self.formula, dict):
            return tuple(self.formula.items())
        return () if self.formula is None else (("", self.formula),)

    @property
    def columns(self) -> tuple[str, ...]:
        """The output columns of a table, none where they are not said."""
        if isinstance(self.output, str):
            return (self.output,)
        return tuple(self.output or ())

    def _check_table(self) -> None:
        """A table's rows are as they are."""
        neutral = {"formula": None, "target": None, "domain": None, "noise": 0}
        for name, value in (neutral | {"sampling": "uniform"}).items():
            if getattr(self, name) != value:
                raise ConfigError(
                    f"`data.{name}` is no key of data=table, whose rows are as they are."
                )
        if self.path is None:
            raise ConfigError("`data.path` must name a file for data=table, as data.path=file.csv.")


def _named(columns: Any) -> Any:
    """Names of columns as texts, which YAML and Hydra may have read as numbers; of a single one
    the name alone, however it is written."""
    if isinstance(columns, int | float):
        return str(columns)
    if not isinstance(columns, list | tuple):
        return columns
    names = tuple(str(name) if isinstance(name, int | float) else name for name in columns)
    return names[0] if len(names) == 1 else names
