"""The sections of a page about several sweeps, as HTML, '' where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.kinds import KINDS
from kansweep.laws import beside, cells, comparison
from kansweep.laws.notation import (
    DASH,
    counted,
    entry,
    exponent,
    exponent_vs_floor,
    listed,
    rmse,
    signed,
)
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import compared, fitted, making, markup, published, whole
from kansweep.report.contents import Together
from kansweep.sweep.columns import State

SPLIT = "test"  # whose errors a page of several sweeps tells


def title(made: Together) -> str:
    words = f"{counted(len(made.sweeps), 'sweep')} beside each other"
    return f"{words[0].upper()}{words[1:]}"


def about(made: Together) -> str:
    """What stands beside each other, and how much of it."""
    results = made.study.results
    networks = listed(dict.fromkeys(KINDS[model].networks for model in results["model"]))
    planned = [sweep.matrix for sweep in made.sweeps.values()]
    counts = {state: sum(int(each[state].sum()) for each in planned) for state in State}
    states = listed(f"{number} {state}" for state, number in counts.items() if number)
    words = (
        f"{'; '.join(made.sweeps)}: {networks}, on {listed(dict.fromkeys(results['target']))}."
        f" {sum(counts.values())} cells: {states}."
    )
    return markup.paragraph(words, "about")


# ------------------------------------------------------------------------------- what is found


def _findings(made: Together) -> str:
    """A sentence a pair, of exponents, and one on errors at equal parameters, at the most points
    that both have."""
    rows = made.study.comparison
    rows = rows[rows["split"] == SPLIT]
    found: list[tuple[str, str]] = []
    for _, pair in rows.groupby(["target", "second"], sort=False):
        most = pair["n_train"].max()
        part = pair if pd.isna(most) else pair[pair["n_train"] == most]
        found += _of_pair(part)
    if not found:
        return markup.paragraph("No two of these sweeps are of one target: nothing is compared.")
    notes = [compared.tests(rows), _reading(made)]
    paragraphs = [markup.paragraph(note, "note") for note in notes if note]
    return "\n".join([markup.items(found, "findings"), *paragraphs])


def _of_pair(part: DataFrame) -> list[tuple[str, str]]:
    exponents = part[part["quantity"] == comparison.EXPONENT]
    found = [
        (f"{row['target']}: {compared.exponents(row)}", "open" if row["note"] else "")
        for _, row in exponents.iterrows()
    ]
    at_equal = part[part["symbol"] == beside.PARAMETERS]
    if len(at_equal) and not at_equal["note"].iloc[0]:
        found.append((f"{part['target'].iloc[0]}: {compared.errors(at_equal)}", ""))
    return found


def _reading(made: Together) -> str:
    there = [KINDS[model] for model in made.study.results["model"].unique()]
    without = listed(kind.networks for kind in there if not kind.has_theory)
    described = f" No theory of {without} is claimed." if without else ""
    return (
        "Sweeps of one target have the same points in the same seed, so that seeds are paired:"
        " Student's t over the differences of those that both have, 95% in brackets. Errors at"
        " equal cost are interpolated, seed by seed, between neighbouring cells of those that"
        f" count, and are not told beyond the range that both sweeps have.{described}"
    )


def _comparisons(made: Together) -> str:
    rows = made.study.comparison
    rows = rows[rows["split"] == SPLIT]
    parts = [_exponents(rows[rows["quantity"] == comparison.EXPONENT])]
    parts.append(_errors(rows[(rows["quantity"] == beside.RMSE) & (rows["note"] == "")]))
    return "\n".join(part for part in parts if part)


def _exponents(rows: DataFrame) -> str:
    if rows.empty:
        return ""
    lines = [
        [
            *_whose(row),
            _estimate(row, signed),
            str(row["n_seeds"]),
            "" if pd.isna(row["p"]) else f"{row['p']:.2g}",
            "" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.2g}",
            _over(row),
        ]
        for _, row in rows.iterrows()
    ]
    header = ["target", "sweep", "less that of", "n", "difference [95%]", "seeds", "p", "p (Holm)"]
    caption = "Exponents of the test RMSE, each less that of the first sweep of its target"
    return markup.table(caption, [*header, "over"], lines, "hhwnnnnnp")


def _over(row: Series) -> str:
    if row["note"]:
        return str(row["note"])
    return compared.ranges(row)


def _errors(rows: DataFrame) -> str:
    if rows.empty:
        return ""
    lines = [
        [*_whose(row), compared.place(row), _estimate(row, "{:.3g}".format), str(row["n_seeds"])]
        for _, row in rows.iterrows()
    ]
    header = ["target", "sweep", "over that of", "n", "at equal", "ratio [95%]", "seeds"]
    caption = "Test RMSE of each sweep over that of the first of its target; below 1 it is lower"
    return markup.table(caption, header, lines, "hhwnwnn")


def _whose(row: Series) -> list[str]:
    n_train = "" if pd.isna(row["n_train"]) else str(row["n_train"])
    return [str(row["target"]), str(row["second"]), str(row["first"]), n_train]


def _estimate(row: Series, form: Callable[[float], str]) -> str:
    if pd.isna(row["estimate"]):
        return ""
    if pd.isna(row["low"]):
        return form(row["estimate"])
    return f"{form(row['estimate'])} [{form(row['low'])}, {form(row['high'])}]"


# ---------------------------------------------------------------------------------- the sweeps


def _laws(made: Together) -> str:
    """The laws of the test error of all sweeps, against parameters and against size."""
    study = made.study
    laws = study.laws[study.laws["split"] == SPLIT]
    sized = laws[laws["x"] == "grid_size"].set_index(["data", "n_train"])
    targets = dict(zip(study.results["data"], study.results["target"], strict=True))
    rows = []
    for name in made.sweeps:
        for _, law in laws[(laws["x"] == "n_params") & (laws["data"] == name)].iterrows():
            at = (name, law["n_train"])
            in_size = sized.loc[at] if at in sized.index else None
            rows.append([targets[name], *_law(made, law, in_size)])
    header = ["target", "sweep", "n", "exponent in P [95%]", "in size [95%]", "theory"]
    header += ["relative to the floor", "verdict", "seeds", "sizes"]
    caption = (
        "Test RMSE as a power of the number P of parameters and of the size of the networks: slopes"
        " in log-log, seed by seed"
    )
    return markup.table(caption, header, rows, "hhnnnnnwnp")


def _law(made: Together, law: Series, sized: Series | None) -> list[str]:
    has_law = law["verdict"] != INSUFFICIENT
    sizes = made.study.behind(law)["size"] if has_law else ()
    kind = KINDS[law["model"]]
    return [
        kind.of(law["data"]),
        str(law["n_train"]),
        exponent(law) or DASH,
        DASH if sized is None else exponent(sized) or DASH,
        DASH if pd.isna(law["theory"]) else signed(law["theory"], 0),
        DASH if sized is None else exponent_vs_floor(sized) or DASH,
        entry(law["verdict"] if sized is None else sized["verdict"]),
        str(law["n_seeds"]),
        f"{kind.symbol} = {listed(sizes)}" if has_law else entry(law["note"]).partition(";")[0],
    ]


def _costs(made: Together) -> str:
    """What each sweep took, and what its largest network at the most data came to."""
    study = made.study
    rows = []
    for name, sweep in made.sweeps.items():
        results = study.results[study.results["data"] == name]
        rows.append(
            [
                name,
                str(results["target"].iloc[0]),
                listed(sorted(set(results["solver"].dropna()))) if "solver" in results else "",
                str(int(sweep.matrix[list(State)].to_numpy().sum())),
                f"{results['seconds'].sum():.3g} s",
                *_largest(made, name),
                listed(sorted(set(results["host"].dropna()))) if "host" in results else "",
            ]
        )
    header = ["sweep", "target", "solver", "cells", "time in cells", "most points", "largest P"]
    header += ["seconds a seed to get there", "test RMSE there", "machine"]
    caption = "What each sweep cost, and its largest network at the most training points"
    return markup.table(caption, header, rows, "hwwnnnnnnw")


def _largest(made: Together, name: str) -> list[str]:
    """Of the largest network at the most points: n, P, seconds and test RMSE, geometric means."""
    of_sweep = made.study.cells[made.study.cells["data"] == name]
    cell = of_sweep.sort_values(["n_train", "size"]).iloc[-1]
    seconds = cells.of_curve(made.study.cell_seconds, cell)
    seconds = seconds.loc[seconds["size"] == cell["size"], "seconds"]
    time = f"{seconds.iloc[0]:.3g}" if len(seconds) else DASH
    return [str(cell["n_train"]), f"{cell['n_params']:.0f}", time, rmse(cell["test_rmse"])]


def _matrices(made: Together) -> str:
    return "\n".join(
        whole.medians(sweep.matrix, kinds.of(sweep.matrix).of(name))
        for name, sweep in made.sweeps.items()
    )


def _failures(made: Together) -> str:
    parts: list[str] = []
    for name in made.sweeps:
        found = making.failures(made.study.results[made.study.results["data"] == name])
        parts += [markup.paragraph(f"{name}:"), found] if found else []
    return "\n".join(parts)


def _commands(made: Together) -> Sequence[str]:
    return [sweep.command for sweep in made.sweeps.values()]


SECTIONS: dict[str, Callable[[Together], str]] = {
    "Result": _findings,
    "Figures": lambda made: fitted.figures(made.drawn),
    "Beside published errors": lambda made: published.section(made.published),
    "Laws": _laws,
    "Comparisons": _comparisons,
    "What it cost": _costs,
    "Matrices": _matrices,
    "Failures": _failures,
    "Data": lambda made: making.downloads(
        {
            "comparison.csv": made.study.comparison,
            "laws.csv": made.study.laws,
            "cells.csv": made.study.cells,
        }
    ),
    "How to reproduce it": lambda made: making.reproduction(made.study.results, _commands(made)),
    "Versions, machines, time": lambda made: making.provenance(made.study.results),
}
"""By their headings, in the order of the page."""
