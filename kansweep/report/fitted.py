"""The section on laws: a table of each kind of law, the orders, and what the notes mean."""

from __future__ import annotations

from collections.abc import Sequence

from pandas import DataFrame, Series

from kansweep.figures.drawn import Drawn
from kansweep.laws.cells import Rules
from kansweep.laws.findings import Study
from kansweep.laws.notation import (
    DASH,
    entry,
    exponent,
    exponent_finest,
    exponent_vs_floor,
    listed,
    signed,
)
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import markup, sentences, whole
from kansweep.report.contents import Report

_FAULTS = ("poor fit", "not converged", "astray")  # for which a seed leaves its curve
_WORDS = {"gradient": "gradient (H1 seminorm)", "hessian": "Hessian (H2 seminorm)"}


def figures(drawn: Sequence[Drawn]) -> str:
    """All of them, those of the test error first."""
    ordered = sorted(drawn, key=lambda each: not each.name.startswith("test"))
    return "\n".join(
        markup.figure(each.figure, f"f{number}", each.caption, each.numbers)
        for number, each in enumerate(ordered, start=1)
    )


def laws(report: Report) -> str:
    study = report.study
    parts = [_laws_table(study), _outputs(study), _derivatives(study), _explained(study)]
    parts += [whole.pooled(study.pooled), _orders(study.orders)]
    return "\n".join(part for part in parts if part)


def _laws_table(study: Study) -> str:
    of = "number P of parameters" if study.x == "n_params" else study.kind.size
    caption = f"RMSE as a power of the {of}: slopes in log-log, seed by seed"
    laws = study.shown.sort_values(["split", "n_train"])
    return _table(study, caption, [_law(study, law) for _, law in laws.iterrows()])


def _outputs(study: Study) -> str:
    """The laws of each of several outputs."""
    each = study.outputs
    if each is None:
        return ""
    laws = each.shown.sort_values(["data", "split", "n_train"])
    rows = [_law(each, law) for _, law in laws.iterrows()]
    for row, name in zip(rows, laws["data"], strict=True):
        row[0] = f"{name}, {row[0]}"
    return (
        f"{markup.paragraph(sentences.outputs(each), 'note')}\n{_table(each, 'Each output', rows)}"
    )


def _derivatives(study: Study) -> str:
    """The laws of the errors of derivatives, as far as there are any."""
    rows = [
        _law(part, law)
        for part in study.derivatives.values()
        for _, law in part.shown.iterrows()
        if law["verdict"] != INSUFFICIENT
    ]
    caption = (
        "The errors of derivatives likewise, root mean squares at test points; an order less in"
        " theory for each derivative, and no floor"
    )
    return _table(study, caption, rows) if rows else ""


def _table(study: Study, caption: str, rows: Sequence[list[str]]) -> str:
    kind = study.kind
    header = ["RMSE", "against", "n", "exponent [95%]", "theory", "relative to the floor"]
    header += ["finest doubling", "verdict", "seeds", f"{kind.size}s", "note"]
    aligned = "hhHnnnnwnpp"
    trivial = {"", kind.symbol, "P"}  # a column of these alone says nothing
    shown = [i for i, column in enumerate(zip(*rows, strict=True)) if set(column) - trivial]
    return markup.table(
        caption,
        [header[i] for i in shown],
        [[row[i] or DASH for i in shown] for row in rows],
        "".join(aligned[i] for i in shown),
    )


def _law(study: Study, law: Series) -> list[str]:
    fitted = law["verdict"] != INSUFFICIENT
    verdict = entry(law["verdict"])
    return [
        _WORDS.get(law["split"], law["split"]),
        sentences.axis(law),
        str(law["n_train"]),
        exponent(law),
        "" if law["theory"] != law["theory"] else signed(law["theory"], 0),
        exponent_vs_floor(law),
        exponent_finest(law),
        f"{verdict} (primary)" if law["primary"] else verdict,
        str(law["n_seeds"]),
        listed(study.behind(law)["size"]) if fitted else "",
        entry(law["note"]),
    ]


def _explained(study: Study) -> str:
    """What the words in the notes mean, those that occur."""
    notes = " ".join(study.shown["note"].map(entry))
    leaves = "; a seed that is so where the law rests leaves the curve whole"
    found = [f"{meaning(fault, study.rules)}{leaves}" for fault in _FAULTS if fault in notes]
    rules = study.rules
    explanations = {
        "times the floor": f"times the floor: a remark above {rules.above_floor:g}, by which"
        " nothing is left out, since a law that fails is to show it",
        "across the gap": "across the gap: one size between others does not count and is left out,"
        f" where {rules.min_with_gap} or more remain",
        "it would be": "without ... it would be: the verdict changes where this seed or size alone"
        " is left out",
    }
    found += [text for word, text in explanations.items() if word in notes]
    return markup.paragraph(f"In the notes: {'. '.join(found)}.", "note") if found else ""


def meaning(reason: str, rules: Rules) -> str:
    """Why a cell or a seed's cell does not count, with the rule."""
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
        "Observed orders from grid to grid, ln(e1/e2) / ln(G2/G1), of geometric means over the"
        " sound seeds; in brackets, not counting",
        ["RMSE", "n", *wide.columns],
        rows,
        "hH" + "n" * len(wide.columns),
    )
