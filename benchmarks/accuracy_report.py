"""The report of the accuracy benchmark: rows of accuracy.py in, Markdown out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from benchmarks.report import markdown

KEY = ["target", "n_train", "grid_size", "seed"]
DETERMINED = 0.1  # parameters a point, at most, where the data are to reach the floor
PLENTY = 2000  # points
LIMITS = (1.25, 1.5, 3.0)  # times the floor
LISTED = 1.5  # times the floor: cells above are listed
REGRESSION = 2.0  # times the best coarser cell of a chain
BASIN = 3.0  # times the floor in training, or the best seed of a deep cell

Table = pd.DataFrame


def report(rows: Table, before: Table | None, made_by: str, machine: str) -> str:
    """Every table that the rows fill, with what made them."""
    cells = judged(rows)
    shallow, deep = (cells[cells["group"] == group] for group in ("shallow", "deep"))
    parts = [
        f"# Accuracy\n\n{machine}\n\nMade by `{made_by}`. Errors are RMSEs; the floor is that of"
        " the composed best splines on uniform knots, P the number of parameters.",
        *_shallow(shallow),
        *_deep(deep),
    ]
    if before is not None:
        parts.append(_section("Against earlier rows", against(cells, before)))
    minutes = rows["seconds"].sum() / 60
    parts.append(f"{len(rows)} cells, {minutes:.1f} minutes of training on one thread.")
    return "\n\n".join(parts) + "\n"


def _shallow(cells: Table) -> Iterator[str]:
    if cells.empty:
        return
    plenty = cells[determined(cells)]
    yield _section(
        "One hidden node: test error over floor, n ≥ 2000 and P/n < 0.1", by_cell(plenty)
    )
    if (plenty["own_floor_rmse"] != plenty["floor_rmse"]).any():
        yield _section("The same over the floor of the spacing's own knots", by_own(plenty))
    yield _section(
        "Few points: cells that are worse than 2 times the best coarser one", coarser(cells)
    )
    yield _section("By target: median over seeds of test error over floor", by_target(cells))
    yield _section(
        f"Cells above {LISTED} times the floor, n ≥ 2000 and P/n < 0.1",
        listed(plenty[~(plenty["ratio"] <= LISTED)], "ratio"),
    )
    few = cells[(cells["n_train"] < PLENTY) & (cells["over_coarser"] > REGRESSION)]
    yield _section(
        "Few points: the cells that are worse than a coarser one", listed(few, "over_coarser")
    )


def _deep(cells: Table) -> Iterator[str]:
    if cells.empty:
        return
    yield _section("Deeper and wider: worst seed over best seed", seeds(cells))
    yield _section(
        "Deeper and wider, by target: best seed, worst over best (best over floor)",
        spread_out(cells),
    )
    bad = cells[~(cells["over_best"] <= BASIN)]
    yield _section(
        f"Deeper and wider: seeds above {BASIN:g} times the best", listed(bad, "over_best")
    )


def _section(title: str, table: Table) -> str:
    return f"## {title}\n\n{'None.' if table.empty else markdown(table)}"


# ------------------------------------------------------------------------------------- judgement


def judged(rows: Table) -> Table:
    """The rows, with their errors over the floor, over the best coarser cell of their chain and
    over the best seed of their cell, and the word for what failed.

    A cell without a number is worse than any.
    """
    cells = rows.sort_values(["target", "n_train", "seed", "grid_size"]).copy()
    if "own_floor_rmse" not in cells:  # rows of uniform knots, from before others were known
        cells["own_floor_rmse"] = cells["floor_rmse"]
    error = cells["test_rmse"].where(cells["status"] == "ok").fillna(np.inf)
    chains = error.groupby([cells[name] for name in ("target", "n_train", "seed")])
    best_coarser = chains.transform(lambda errors: errors.cummin().shift())
    best_seed = error.groupby([cells[name] for name in KEY[:3]]).transform("min")
    cells["ratio"] = error / cells["floor_rmse"]
    cells["over_coarser"] = (error / best_coarser).mask(
        np.isinf(error) & best_coarser.notna(), np.inf
    )
    cells["over_best"] = (error / best_seed).fillna(np.inf)
    cells["least"] = cells["floor_rmse"].fillna(best_seed)
    cells["what"] = cells.apply(what_failed, axis=1)
    return cells.loc[rows.index]


def what_failed(row: pd.Series) -> str:
    """One word for how a cell that is above its floor came to be there.

    Blow-up: the test error is above the target's spread and far above the training error. Lost
    basin: not even the training points are followed. Gaps: they are, but not what lies between.
    Bias: they are followed, but not as well as the grid allows. Where no floor is known, the best
    seed's test error stands for it.
    """
    train, test, least = row["train_rmse"], row["test_rmse"], row["least"]
    if row["status"] != "ok" or not np.isfinite(test):
        return str(row["status"])
    if test > row["spread"] and test > 3 * train:
        return "blow-up"
    if train > BASIN * least:
        return "lost basin"
    if test > LISTED * least:
        return "gaps" if test > 2 * train else "bias"
    return ""


def determined(cells: Table) -> pd.Series:
    """Whether the data reach the floor: a floor is known, and points are many a parameter."""
    many = (cells["n_train"] >= PLENTY) & (cells["n_params"] < DETERMINED * cells["n_train"])
    lost = (cells["n_train"] >= PLENTY) & cells["n_params"].isna()
    return (many | lost) & cells["floor_rmse"].notna()


# ---------------------------------------------------------------------------------------- tables


def by_cell(cells: Table) -> Table:
    """A line for each (n, G), and one for all: how errors over the floor are distributed."""
    return _lines(cells, lambda part: _distribution(part["ratio"]))


def by_own(cells: Table) -> Table:
    """``by_cell`` over the floor of the spacing's own knots."""
    return _lines(cells, lambda part: _distribution(part["test_rmse"] / part["own_floor_rmse"]))


def coarser(cells: Table) -> Table:
    """A line for each (n, G) with a coarser one: the share that is worse than 2 times the best."""
    few = cells[(cells["n_train"] < PLENTY) & cells["over_coarser"].notna()]
    return _lines(
        few,
        lambda part: {
            "cells": len(part),
            "worse": _share(part["over_coarser"] > REGRESSION),
            "worst": _times(part["over_coarser"].max()),
            "which": _worst(part, "over_coarser"),
        },
    )


def by_target(cells: Table) -> Table:
    """A line for each target and n, a column for each grid; bold is above the limit where P/n <
    0.1, brackets where it is not."""
    marked = cells.assign(judged=determined(cells))
    lines = []
    for (name, n), part in marked.groupby(["target", "n_train"], sort=False):
        line = {"target": name, "n": f"{n:,}"}
        for grid, cell in part.groupby("grid_size"):
            text = _times(cell["ratio"].median()) if cell["ratio"].notna().any() else "-"
            bold = cell["ratio"].median() > LISTED
            line[f"G = {grid}"] = (f"**{text}**" if bold else text) if _all(cell) else f"({text})"
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def _all(cell: Table) -> bool:
    return bool(cell["judged"].all())


def listed(cells: Table, worst: str) -> Table:
    """A line for each cell, the worst by a column first."""
    return pd.DataFrame(
        [
            {
                "target": row["target"],
                "n": f"{row['n_train']:,}",
                "G": row["grid_size"],
                "seed": row["seed"],
                "what": row["what"] or "-",
                "over floor": _times(row["ratio"]),
                "over coarser": _times(row["over_coarser"]),
                "over best seed": _times(row["over_best"]),
                "train": f"{row['train_rmse']:.1e}",
                "test": f"{row['test_rmse']:.1e}",
                "floor": "-" if np.isnan(row["floor_rmse"]) else f"{row['floor_rmse']:.1e}",
                "P/n": f"{row['n_params'] / row['n_train']:.2g}",
                "stop": row["stop_reason"],
            }
            for _, row in cells.sort_values(worst, ascending=False, kind="stable").iterrows()
        ]
    )


def seeds(cells: Table) -> Table:
    """A line for each (n, G): how far seeds of a cell are apart, over its targets."""

    def line(part: Table) -> dict[str, object]:
        apart = part.groupby("target")["over_best"].max()
        return {
            "targets": len(apart),
            "median": _times(apart.median()),
            "worst": _times(apart.max()),
            "which": apart.idxmax(),
            f"seeds within {BASIN:g} times": _share(part["over_best"] <= BASIN),
            "blow-ups": int((part["what"] == "blow-up").sum()),
            "largest test over spread": f"{(part['test_rmse'] / part['spread']).max():.1e}",
            "median over floor": _times(part["ratio"].median()),
        }

    return _lines(cells, line)


def spread_out(cells: Table) -> Table:
    """A line for each target and n, a column for each grid: the best seed's error, the worst's over
    it, and in brackets the best over the floor, where one is known."""
    lines = []
    for (name, n), part in cells.groupby(["target", "n_train"], sort=False):
        line = {"target": name, "n": f"{n:,}"}
        for grid, cell in part.groupby("grid_size"):
            floors = _times(cell["ratio"].min())
            line[f"G = {grid}"] = (
                f"{cell['test_rmse'].min():.1e}, {_times(cell['over_best'].max())}"
                + (f" ({floors})" if floors != "-" else "")
            )
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def against(cells: Table, before: Table) -> Table:
    """A line for each group and (n, G): test errors over those of the same cells before.

    Below one is better. Cells that failed before or now are counted apart.
    """
    merged = cells.merge(before, on=KEY, suffixes=("", "_before"))
    fine = (merged["status"] == "ok") & (merged["status_before"] == "ok")
    merged["change"] = (merged["test_rmse"] / merged["test_rmse_before"]).where(fine)
    lines = [
        _lines(part, lambda cell: _change(cell)).assign(group=group)
        for group, part in merged.groupby("group", sort=False)
    ]
    table = pd.concat(lines) if lines else pd.DataFrame()
    return table[["group", *table.columns.drop("group")]] if len(table) else table


def _change(part: Table) -> dict[str, object]:
    change = part["change"].dropna()
    return {
        "cells": len(change),
        "median": _times(change.median()),
        "geometric mean": _times(float(np.exp(np.log(change).mean()))),
        "90%": _times(float(change.quantile(0.9))),
        "worst": _times(change.max()),
        "which": _worst(part, "change"),
        "best": _times(change.min()),
        "without number": int(part["change"].isna().sum()),
        "seconds": _times(part["seconds"].sum() / part["seconds_before"].sum()),
    }


def _distribution(ratio: pd.Series) -> dict[str, object]:
    return {
        "cells": len(ratio),
        "median": _times(ratio.median()),
        "90%": _times(float(ratio.quantile(0.9, interpolation="higher"))),
        "worst": _times(ratio.max()),
        **{f"above {limit:g}": _share(ratio > limit) for limit in LIMITS},
    }


def _lines(cells: Table, line: Callable[[Table], dict[str, object]]) -> Table:
    """A line for each (n, G), and one for all of them."""
    if cells.empty:
        return pd.DataFrame()
    parts = [
        {"n": f"{n:,}", "G": str(grid), **line(part)}
        for (n, grid), part in cells.groupby(["n_train", "grid_size"])
    ]
    return pd.DataFrame([*parts, {"n": "all", "G": "all", **line(cells)}])


def _worst(cells: Table, name: str) -> str:
    if cells[name].isna().all():
        return "-"
    row = cells.nlargest(1, name).iloc[0]
    return f"{row['target']}, seed {row['seed']}"


def _share(which: pd.Series) -> str:
    return f"{100 * which.mean():.1f}%"


def _times(ratio: float) -> str:
    """Three figures of a ratio."""
    if not np.isfinite(ratio):
        return "-" if np.isnan(ratio) else "∞"
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.1e}"
