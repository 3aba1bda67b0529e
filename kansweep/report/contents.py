"""What a page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pandas import DataFrame

from kansweep.figures.drawn import Drawn
from kansweep.laws.findings import Study
from kansweep.laws.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Report:
    """What a page is made of.

    `matrix` is `matrix.matrix`'s and `joint` what `joint.describe` gives; `record` is the
    configuration as stored, `command` what gives it again, `predicted` a cell beyond its sizes,
    `published` what was, as `laws.published` has it.
    """

    study: Study
    matrix: DataFrame
    drawn: Sequence[Drawn]
    record: Mapping[str, Any]
    command: str
    joint: DataFrame
    predicted: Prediction | None = None
    published: DataFrame = field(default_factory=DataFrame)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One of several sweeps: `matrix` and `command` as of a `Report`."""

    matrix: DataFrame
    command: str


@dataclass(frozen=True, eq=False)
class Together:
    """What a page of several sweeps is made of: the study of them all, and each by its name."""

    study: Study
    drawn: Sequence[Drawn]
    sweeps: Mapping[str, Sweep]
    published: DataFrame = field(default_factory=DataFrame)
