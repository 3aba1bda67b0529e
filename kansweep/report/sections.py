"""The sections of a page: each of a report, as HTML, '' where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from kansweep.data.targets import TARGETS
from kansweep.laws.cells import SPLITS
from kansweep.laws.findings import Study
from kansweep.laws.notation import MINUS, TIMES, listed, rmse
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import (
    fitted,
    frontier,
    making,
    markup,
    predicted,
    published,
    sentences,
    whole,
)
from kansweep.report.contents import Report
from kansweep.sweep.columns import State

# ------------------------------------------------------------------------------- what it found


def about(report: Report) -> str:
    """What was trained on what, how much of it, and how it stands."""
    record, study, planned = report.record, report.study, report.matrix
    first, kind = study.results.iloc[0], study.kind
    name, given = str(first["data"]), record["data"].get("formula")
    if isinstance(given, dict):
        given = f"({', '.join(f'{output} = {text}' for output, text in given.items())})"
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
        f" {f' {TIMES} '.join(extent)}, {planned[list(State)].to_numpy().sum()} cells:"
        f" {listed(states)}.",
        "about",
    )


def _findings(report: Report) -> str:
    """A sentence a curve: the primary one first, then those with a law, the most data first; and
    what the noise brings."""
    study = report.study
    laws = study.shown[study.shown["split"] == "test"]
    laws = laws.assign(without=laws["verdict"] == INSUFFICIENT)
    laws = laws.sort_values(["primary", "without", "n_train"], ascending=[False, True, False])
    found = [
        (
            sentences.finding(law, study.behind(law), study.rules.margin),
            "open" if law["without"] else "",
        )
        for _, law in laws.iterrows()
    ]
    found += [(sentences.of_noise(law), "") for _, law in study.noise_laws.iterrows()]
    notes = [_reading(study), _floor(study), _observed(study)]
    paragraphs = [markup.paragraph(note, "note") for note in notes if note]
    return "\n".join([markup.items(found, "findings"), *paragraphs])


def _reading(study: Study) -> str:
    """How the findings are to be read."""
    kind = study.kind
    size = f"{kind.symbol} is {kind.meaning}."
    if study.x == "n_params":
        size = f"P is the number of trainable parameters, {kind.symbol} {kind.meaning}."
    theory = f"The exponent describes: no theory of {kind.networks} is claimed."
    if kind.has_theory:
        formula = f"{MINUS}({kind.order.replace(' ', '')})"
        theory = (
            f"The theory's exponent, {formula}, is that of fine grids. A verdict is by equivalence:"
            f" consistent where the 90% interval lies within {study.rules.margin:g} of the theory,"
            " inconsistent where the 95% interval lies wholly beyond."
        )
    return (
        f"{size} In brackets is the 95% interval for a typical (median) seed: Student's t over the"
        " slopes of the seeds. A single seed has that of its own residuals, which shows the"
        f" curve's bend and not how seeds differ. {theory} The primary law is that of the test"
        " error at the most data, chosen before it is fitted."
    )


def _floor(study: Study) -> str:
    """What the floor is, or why there is none."""
    if not study.kind.has_theory:
        return ""
    if why := study.why_no_floor(study.cells.iloc[0]):
        return f"There is no floor to hold the errors against: {why}."
    if not study.cells["floor_rmse"].notna().any():
        return ""
    return (
        "The floor is the RMSE of the best splines of the target's own functions, composed: a"
        " reference and no bound, since splines that are fitted together can lie below it."
    )


def _observed(study: Study) -> str:
    return " ".join(
        sentences.observed(row, study.rules) for _, row in study.observations.iterrows()
    )


def _matrix(report: Report) -> str:
    parts = [
        whole.medians(report.matrix),
        frontier.section(report.study),
        whole.joint(report.joint),
    ]
    parts += [_predicted(report)]
    return "\n".join(part for part in parts if part)


def _predicted(report: Report) -> str:
    """A cell that was not trained."""
    if report.predicted is None:
        return ""
    words = predicted.sentence(report.predicted, report.study.kind)
    return markup.paragraph(words)


# ------------------------------------------------------------------------- what did not count


def _left_out(report: Report) -> str:
    study, kind = report.study, report.study.kind
    cells, used = study.cells, study.cells["used"].astype(bool)
    if used.all():
        return markup.paragraph("None: every cell counts.")
    with_law = set(cells.loc[used, "n_train"])
    rows = []
    for _, cell in cells[~used].sort_values(["n_train", "size"]).iterrows():
        others = (
            f"is {kind.smaller} than a gap"
            if cell["n_train"] in with_law
            else "too few beside it do"
        )
        seeds = f"{cell['n_seeds']} of {cell['n_seeds'] + cell['n_failed']}"
        why = (
            fitted.meaning(cell["reason"], study.rules)
            if cell["reason"]
            else f"counts, but {others}"
        )
        errors = [rmse(cell[f"{split}_rmse"]) for split in SPLITS]
        sizes = [str(cell[column]) for column in ("n_train", "size")]
        rows.append([*sizes, why, str(cell["n_params"]), *errors, seeds])
    rule = (
        "Which cells count is decided by rules fixed before any fit, for all seeds of a cell"
        f" together. A fit takes the whole run of {kind.size}s that ends at the largest that"
        " counts."
    )
    caption = "Cells left out, with the geometric means of their errors over seeds"
    header = ["n", kind.symbol, "why", "parameters", "train RMSE", "test RMSE", "sound seeds"]
    return f"{markup.paragraph(rule)}\n{markup.table(caption, header, rows, 'HHpnnnn')}"


SECTIONS: dict[str, Callable[[Report], str]] = {
    "Result": _findings,
    "Figures": lambda report: fitted.figures(report.drawn),
    "Beside published errors": lambda report: published.section(report.published),
    "Laws": fitted.laws,
    "Matrix": _matrix,
    "Cells left out of the fits": _left_out,
    "Failures": lambda report: making.failures(report.study.results),
    "Data": lambda report: making.downloads(
        {"laws.csv": report.study.laws_of_all(), "cells.csv": report.study.cells}
    ),
    "How to reproduce it": lambda report: making.reproduction(
        report.study.results, [report.command]
    ),
    "Configuration": lambda report: making.configuration(report.record),
    "Versions, machines, time": lambda report: making.provenance(report.study.results),
}
"""By their headings, in the order of the page."""
