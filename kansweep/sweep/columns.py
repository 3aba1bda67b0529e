"""The columns of results and of traces, each with its type, unit and meaning; how a cell ends.

From these come the schemas of the files, the tables in docs/files.md and what a row is checked by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from kansweep.kinds import KINDS


class Status(StrEnum):
    """How a cell ended, as its row says."""

    OK = "ok"
    DIVERGED = "diverged"  # its errors are not finite numbers
    FAILED = "failed"  # an exception, or a worker that died


class State(StrEnum):
    """How a planned cell stands, as it is shown; a cell that diverged counts as failed."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"

    @classmethod
    def after(cls, status: Status) -> State:
        return cls.DONE if status == Status.OK else cls.FAILED


Type = Literal[
    "string", "int64", "float64", "bool", "timestamp", "list of string", "list of float64"
]
OUTPUT = "output"  # the unit of the target or of the table's output column; of several its spread
EACH = "each output"  # the units of several
_LIST: Type = "list of float64"


@dataclass(frozen=True)
class Column:
    """One column; every one may hold nulls, where there is nothing to say."""

    name: str
    type: Type
    unit: str
    meaning: str
    required: bool = False  # no law without it


RESULTS = (
    Column("key", "string", "", "which cell: data size, seed, size and a hash of its content"),
    Column("data", "string", "", "the target's or the table's name", required=True),
    Column("n_train", "int64", "points", "training points", required=True),
    Column("seed", "int64", "", "of points and starts", required=True),
    Column("grid_size", "int64", "intervals", "the size, where networks have a grid"),
    Column("k", "int64", "", "order (degree) of the splines, where there are any", required=True),
    Column("width", "string", "", "nodes of every layer: `2-1-1`"),
    Column("model", "string", "", f"kind of network: {', '.join(f'`{name}`' for name in KINDS)}"),
    Column("solver", "string", "", "training method"),
    Column("n_params", "int64", "", "numbers that are trained", required=True),
    Column("train_rmse", "float64", OUTPUT, "RMSE at the training points", required=True),
    Column("test_rmse", "float64", OUTPUT, "RMSE at the test points, without noise", required=True),
    Column("test_median_error", "float64", OUTPUT, "median absolute error at the test points"),
    Column("floor_rmse", "float64", OUTPUT, "RMSE of the composed best splines, where known"),
    Column("reg", "float64", "", "Example 8's figure of regularity; not optimised"),
    Column("status", "string", "", "`ok`, `diverged` or `failed`"),
    Column("stop_reason", "string", "", "why training stopped"),
    Column("steps", "int64", "", "iterations after the cold start"),
    Column(
        "grad_norm", "float64", "", "largest cosine of the residual and a column of its Jacobian"
    ),
    Column("seconds", "float64", "s", "wall time; a batch's is shared equally by its seeds"),
    Column("dtype", "string", "", "of the numbers: `float64`, `float32`"),
    Column("device", "string", "", "that trained it"),
    Column("error", "string", "", "text of the exception of a failed cell"),
    Column("version", "string", "", "of kansweep"),
    Column("torch_version", "string", "", "of torch"),
    Column("git_revision", "string", "", "of kansweep's checkout, where it runs from one"),
    Column("host", "string", "", "machine that trained it"),
    Column("started_at", "timestamp", "UTC", "when its batch began with this size"),
    Column("start_grid", "int64", "intervals", "grid at which its chain began from nothing"),
    Column("size", "int64", "", "what the network grows along: grid size or width"),
    Column("noise", "float64", OUTPUT, "standard deviation of the training outputs' noise"),
    Column("spacing", "string", "", "of the knots, where networks have a grid, as `grid.spacing`"),
    Column(
        "gradient_rmse",
        "float64",
        f"{OUTPUT}/input",
        "RMS norm of the gradient's error (H1 seminorm) at test points, where it is known",
    ),
    Column(
        "hessian_rmse",
        "float64",
        f"{OUTPUT}/input^2",
        "RMS Frobenius norm of the Hessian's error (H2 seminorm) there",
    ),
    # Null of a single output.
    Column(
        "outputs",
        "list of string",
        "",
        "names of several outputs, whose errors above are of all together, in units of each spread",
    ),
    Column("train_rmse_each", _LIST, EACH, "RMSE at the training points"),
    Column("test_rmse_each", _LIST, EACH, "RMSE at the test points, without noise"),
    Column("floor_rmse_each", _LIST, EACH, "RMSE of the composed best splines, where known"),
    Column("noise_each", _LIST, EACH, "standard deviation of the training outputs' noise"),
    Column("spread_each", _LIST, EACH, "standard deviation of the output"),
)

PER_OUTPUT = tuple(column.name.removesuffix("_each") for column in RESULTS if column.unit == EACH)
"""The columns beside which one with `_each` has a list, a number an output."""
REQUIRED = tuple(column.name for column in RESULTS if column.required)

# One row an iteration of one cell.
TRACE = (
    Column("step", "int64", "", "iteration, from 1"),
    Column(
        "rmse",
        "float64",
        OUTPUT,
        "RMSE at the training points; a table's and of several outputs in units of the spread",
    ),
    Column("grad_norm", "float64", "", "as in the results, where the step began"),
    Column("accepted", "bool", "", "whether the step was taken"),
    Column("damping", "float64", "", "of the step, relative to the diagonal"),
    Column("penalty", "float64", "", "roughness penalty's weight in the last layer"),
)


def check(columns: Sequence[Column], names: Iterable[str]) -> None:
    """Raise ValueError where a name is none of these columns'."""
    known = {column.name for column in columns}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"There is no column {', '.join(f'`{name}`' for name in unknown)}.")


def markdown(columns: Sequence[Column]) -> str:
    """The columns as a table of Markdown, for docs/files.md."""
    rows = [
        f"| `{column.name}` | {column.type} | {column.unit} | {column.meaning} |"
        for column in columns
    ]
    return "\n".join(["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows])
