"""The sections of a page: each of a report, as HTML, '' where there is nothing to say."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
from pandas import DataFrame, Series

from kansweep.data.targets import TARGETS
from kansweep.laws.cells import SPLITS, Rules
from kansweep.laws.findings import Study
from kansweep.laws.notation import (
    DASH,
    MINUS,
    TIMES,
    entry,
    exponent,
    exponent_finest,
    exponent_vs_floor,
    listed,
    rmse,
    signed,
)
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import frontier, making, markup, sentences, whole
from kansweep.report.contents import Report
from kansweep.report.matrix import texts
from kansweep.sweep.columns import State

MOST_ACROSS = 9  # columns of the matrix, before the sizes run down instead


# ------------------------------------------------------------------------------- what it found


def about(report: Report) -> str:
    """What was trained on what, how much of it, and how it stands."""
    record, study, planned = report.record, report.study, report.matrix
    first, kind = study.results.iloc[0], study.kind
    name, given = str(first["data"]), record["data"].get("formula")
    formula = given or (TARGETS[name].formula if name in TARGETS else name)
    seeds = record["seeds"] if isinstance(record["seeds"], int) else len(record["seeds"])
    counts = {
        "data size": planned["n_train"].nunique(),
        kind.size: planned["size"].nunique(),
        "seed": seeds,
    }
    extent = [f"{number} {of}{'s' if number > 1 else ''}" for of, number in counts.items()]
    states = [f"{planned[s].sum()} {s}" for s in State if planned[s].any()]
    splines = "" if pd.isna(first["k"]) else f", splines of order k = {first['k']:g}"
    noise = study.results["noise"].max()
    noisy = f", with noise of {noise:.3g} on the training outputs" if noise > 0 else ""
    return markup.paragraph(
        f"Scaling law of {kind.networks}, width {listed(study.shapes)}{splines},"
        f" on {name}{f' = {formula}' if formula != name else ''}{noisy}."
        f" {f' {TIMES} '.join(extent)}, {math.prod(counts.values())} cells:"
        f" {listed(states)}.",
        "about",
    )


def _findings(report: Report) -> str:
    """A sentence a curve: those with a law first, and of these that of the most data."""
    study = report.study
    laws = study.shown[study.shown["split"] == "test"]
    laws = laws.assign(without=laws["verdict"] == INSUFFICIENT)
    laws = laws.sort_values(["without", "n_train"], ascending=[True, False])
    findings = markup.items(
        [
            (sentences.finding(law, study.behind(law)), "without" if law["without"] else "")
            for _, law in laws.iterrows()
        ],
        "findings",
    )
    return f"{findings}\n{markup.paragraph(_reading(study), 'note')}"


def _reading(study: Study) -> str:
    """How the findings are to be read."""
    kind = study.kind
    size = f"{kind.symbol} is {kind.meaning}."
    if study.x == "n_params":
        size = f"P is the number of trainable parameters, {kind.symbol} {kind.meaning}."
    theory = f"The exponent describes: no theory of {kind.networks} is claimed."
    if kind.has_theory:
        formula = f"{MINUS}({kind.order.replace(' ', '')})"
        theory = f"The theory's exponent, {formula}, is that of fine grids."
    return (
        f"{size} In brackets is the 95% interval: Student's t over the slopes of the seeds or, of a"
        f" single seed, over its residuals. {theory}"
    )


def _figures(report: Report) -> str:
    drawn = sorted(report.drawn, key=lambda each: not each.name.startswith("test"))
    return "\n".join(
        markup.figure(each.figure, f"f{number}", each.caption, each.numbers)
        for number, each in enumerate(drawn, start=1)
    )


def _laws(report: Report) -> str:
    study = report.study
    why = study.why_no_floor(study.cells.iloc[0])
    note = markup.paragraph(f"There is no floor to hold the errors against: {why}.", "note")
    parts = [_laws_table(study), note if why else "", whole.pooled(study.pooled)]
    parts += [_orders(study.orders)]
    return "\n".join(part for part in parts if part)


def _laws_table(study: Study) -> str:
    kind = study.kind
    header = ["RMSE", "against", "n", "exponent [95%]", "relative to the floor", "finest two"]
    header += ["theory", "verdict", "seeds", f"{kind.size}s", "note"]
    laws = study.shown.sort_values(["split", "n_train"])
    rows = [_law(law, study.behind(law)) for _, law in laws.iterrows()]
    aligned = "hhHnnnnwnpp"
    trivial = {"", kind.symbol, "P"}  # a column of these alone says nothing
    shown = [i for i, column in enumerate(zip(*rows, strict=True)) if set(column) - trivial]
    of = "number P of parameters" if study.x == "n_params" else kind.size
    return markup.table(
        f"RMSE as a power of the {of}: slopes in log-log, seed by seed",
        [header[i] for i in shown],
        [[row[i] or DASH for i in shown] for row in rows],
        "".join(aligned[i] for i in shown),
    )


def _law(law: Series, behind: DataFrame) -> list[str]:
    fitted = law["verdict"] != INSUFFICIENT
    return [
        law["split"],
        sentences.axis(law),
        str(law["n_train"]),
        exponent(law),
        exponent_vs_floor(law),
        exponent_finest(law),
        "" if law["theory"] != law["theory"] else signed(law["theory"], 0),
        entry(law["verdict"]),
        str(law["n_seeds"]),
        listed(behind["size"]) if fitted else "",
        entry(law["note"]),
    ]


def _orders(orders: DataFrame) -> str:
    """A line a curve with the order from each grid size to the next."""
    if orders.empty:
        return ""
    orders = orders.sort_values(["size", "next_size"])
    step = orders["size"].astype(str) + " to " + orders["next_size"].astype(str)
    order = orders["order"].map(lambda value: signed(value))
    order = order.where(orders["counts"].astype(bool) | orders["order"].isna(), "(" + order + ")")
    wide = orders.assign(step=step, order=order).pivot(
        index=["split", "n_train"], columns="step", values="order"
    )[step.unique()]
    rows = [[*map(str, row)] for row in wide.fillna("").reset_index().to_numpy()]
    return markup.table(
        "Observed orders from grid to grid, ln(e1/e2) / ln(G2/G1); in brackets, not counting",
        ["RMSE", "n", *wide.columns],
        rows,
        "hH" + "n" * len(wide.columns),
    )


def _matrix(report: Report) -> str:
    return f"{_medians(report)}\n{frontier.section(report.study)}\n{whole.joint(report.joint)}"


def _medians(report: Report) -> str:
    kind = report.study.kind
    lines = [[cell.replace("n_train", "n") for cell in line] for line in texts(report.matrix)]
    if len(lines[0]) > MOST_ACROSS:
        (_, *sizes), *rest = zip(*lines, strict=True)
        lines = [[kind.size, *(f"n={size}" for size in sizes)], *map(list, rest)]
    header, *rows = lines
    return markup.table(
        "Median test RMSE over the seeds that are done, by training points n and"
        f" {kind.size} {kind.symbol}",
        header,
        rows,
        "H" + "n" * (len(header) - 1),
    )


# ------------------------------------------------------------------------- what did not count


def _left_out(report: Report) -> str:
    study, kind = report.study, report.study.kind
    cells, used = study.cells, study.cells["used"].astype(bool)
    if used.all():
        return markup.paragraph("None: every cell counts.")
    fitted = set(cells.loc[used, "n_train"])
    rows = []
    for _, cell in cells[~used].sort_values(["n_train", "size"]).iterrows():
        others = (
            f"is {kind.smaller} than a gap" if cell["n_train"] in fitted else "too few beside it do"
        )
        seeds = f"{cell['n_seeds']} of {cell['n_seeds'] + cell['n_failed']}"
        why = _meaning(cell["reason"], study.rules) if cell["reason"] else f"counts, but {others}"
        errors = [rmse(cell[f"{split}_rmse"]) for split in SPLITS]
        sizes = [str(cell[column]) for column in ("n_train", "size")]
        rows.append([*sizes, why, str(cell["n_params"]), *errors, seeds])
    rule = (
        "Which cells count is decided by rules fixed before any fit, for all seeds of a cell"
        f" together. A fit takes the whole run of {kind.size}s that ends at the largest that"
        " counts."
    )
    header = ["n", kind.symbol, "why", "parameters", "train RMSE", "test RMSE", "seeds done"]
    return f"{markup.paragraph(rule)}\n{markup.table('Cells left out', header, rows, 'HHpnnnn')}"


def _meaning(reason: str, rules: Rules) -> str:
    meanings = {
        "failed": "more seeds failed than did not",
        "exactly represented": "splines hold the target without error",
        "over-parameterised": f"above {rules.params_per_point:g} parameters a training point",
        "noise-limited": f"train RMSE below {rules.above_noise:g} times the noise of the training"
        " outputs",
        "round-off": f"test RMSE below {rules.round_off:g} units of round-off",
        "over-fitted": f"test RMSE above {rules.over_fit:g} times the train RMSE",
        "poor fit": "training converged, and what is left to fit no start and no finer grid fits",
        "not converged": f"a relative gradient above {rules.gradient:g} where training ended",
        "astray": f"train RMSE above {rules.astray:g} times that of the median seed",
    }
    return f"{reason}: {meanings[reason]}" if reason in meanings else reason


SECTIONS: dict[str, Callable[[Report], str]] = {
    "Result": _findings,
    "Figures": _figures,
    "Laws": _laws,
    "Matrix": _matrix,
    "Cells left out of the fits": _left_out,
    "Failures": making.failures,
    "How to reproduce it": making.reproduction,
    "Configuration": making.configuration,
    "Versions, machines, time": making.provenance,
}
"""By their headings, in the order of the page."""
