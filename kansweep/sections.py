"""One self-contained HTML page about a sweep: what it found, on what, and how to repeat it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from kansweep import cells as law
from kansweep import curves as plot
from kansweep import kinds, markup
from kansweep import matrix as table
from kansweep import sentences as words
from kansweep.kinds import KAN, KINDS
from kansweep.targets import TARGETS

MOST_NAMED = 20  # cells with one and the same error, before the rest is only counted
MOST_ACROSS = 9  # columns of the matrix, before the grid sizes run down instead

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser then fetches nothing at all
_MADE = {
    "version": "kansweep",
    "git_revision": "git revision",
    "torch_version": "torch",
    "host": "host",
    "device": "device",
    "dtype": "dtype",
    "solver": "solver",
}


@dataclass(frozen=True)
class Sweep:
    """What a page is made of.

    `laws`, `cells` and `orders` are what `law.fit_laws`, `classify` and `observed_orders` give
    under `rules`, `joint` what `joint.describe` does, `matrix` is `table.matrix`'s and `figures`
    are `plot.draw`'s by name; `record` is the configuration as stored, `command` what gives it
    again.
    """

    results: DataFrame
    laws: DataFrame
    cells: DataFrame
    orders: DataFrame
    matrix: DataFrame
    figures: Mapping[str, Figure]
    record: Mapping[str, Any]
    command: str
    joint: DataFrame
    rules: law.Rules = law.DEFAULT


def page(sweep: Sweep) -> str:
    """The text of a complete HTML document, the same for the same sweep."""
    name = markup.text(sweep.record["name"])
    sections = {
        "Result": _findings(sweep),
        "Figures": _figures(sweep),
        "Laws": f"{_laws(sweep)}\n{_orders(sweep.orders)}",
        "Matrix": f"{_matrix(sweep.matrix)}\n{_joint(sweep.joint)}",
        "Cells left out of the fits": _left_out(sweep),
        "Failures": _failures(sweep.results),
        "How to reproduce it": _reproduction(sweep),
        "Configuration": markup.block(yaml.safe_dump(dict(sweep.record), sort_keys=False)),
        "Versions, machines, time": _provenance(sweep.results),
    }
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{name} {words.DASH} kansweep</title>",
            f"<style>\n{markup.STYLE}</style>\n</head>\n<body>",
            f"<header>\n<h1>{name}</h1>\n{_about(sweep)}\n</header>\n<main>",
            *(
                f"<section>\n<h2>{h}</h2>\n{body}\n</section>"
                for h, body in sections.items()
                if body
            ),
            "</main>\n</body>\n</html>\n",
        ]
    )


# ------------------------------------------------------------------------------- what it found


def _about(sweep: Sweep) -> str:
    record, results = sweep.record, law.complete(sweep.results)
    first, kind = results.iloc[0], kinds.of(results)
    name, own = str(first["data"]), record["data"].get("formula")
    formula = own or (TARGETS[name].formula if name in TARGETS else name)
    seeds = record["seeds"] if isinstance(record["seeds"], int) else len(record["seeds"])
    counts = {
        "data size": sweep.matrix["n_train"].nunique(),
        kind.size: sweep.matrix["size"].nunique(),
        "seed": seeds,
    }
    extent = [f"{number} {of}{'s' if number > 1 else ''}" for of, number in counts.items()]
    states = [f"{sweep.matrix[s].sum()} {s}" for s in table.STATES if sweep.matrix[s].any()]
    splines = f", splines of order k = {first['k']}" if kind is KINDS[KAN] else ""
    noise = results["noise"].max()
    noisy = f", with noise of {noise:.3g} on the training outputs" if noise > 0 else ""
    return markup.paragraph(
        f"Scaling law of {kind.networks}, width {words.listed(plot.shapes(results))}{splines},"
        f" on {name}{f' = {formula}' if formula != name else ''}{noisy}."
        f" {f' {words.TIMES} '.join(extent)}, {math.prod(counts.values())} cells:"
        f" {words.listed(states)}.",
        "about",
    )


def _findings(sweep: Sweep) -> str:
    """A sentence a curve: those with a law first, and of these that of the most data."""
    kind = kinds.of(sweep.cells)
    axis = law.axis(sweep.cells)
    laws = sweep.laws[(sweep.laws["split"] == "test") & (sweep.laws["x"] == axis)]
    laws = laws.assign(without=laws["verdict"] == "insufficient")
    laws = laws.sort_values(["without", "n_train"], ascending=[True, False])
    sentences = markup.items(
        [
            (words.finding(found, sweep.cells), "without" if found["without"] else "")
            for _, found in laws.iterrows()
        ],
        "findings",
    )
    symbols, theory = {
        "grid_size": (
            "G is the number of grid intervals.",
            f"The theory's exponent, {words.MINUS}(k+1), is that of fine grids.",
        ),
        "n_params": (
            f"P is the number of trainable parameters, {kind.symbol} the {kind.size} of the hidden"
            " layers.",
            f"The exponent describes: no theory of {kind.networks} is claimed.",
        ),
    }[axis]
    reading = (
        f"{symbols} In brackets is the 95% interval: Student's t over the slopes of the seeds or,"
        f" of a single seed, over its residuals. {theory}"
    )
    return f"{sentences}\n{markup.paragraph(reading, 'note')}"


def _figures(sweep: Sweep) -> str:
    names = sorted(sweep.figures, key=lambda name: not name.startswith("test"))
    parts = []
    for number, name in enumerate(names, start=1):
        drawing = sweep.figures[name]
        numbers = words.in_numbers(name, drawing, sweep.cells, sweep.laws)
        caption = words.caption(name, drawing, kinds.of(sweep.cells))
        parts.append(markup.figure(drawing, f"f{number}", caption, numbers))
    return "\n".join(parts)


def _laws(sweep: Sweep) -> str:
    header = ["RMSE", "against", "n", "exponent [95%]", "relative to the floor", "theory"]
    kind = kinds.of(sweep.cells)
    header += ["verdict", "seeds", f"{kind.size}s", "note"]
    laws = sweep.laws.sort_values(["split", "x", "n_train"])
    rows = [_law(found, sweep.cells) for _, found in laws.iterrows()]
    aligned = "hhHnnnwnpp"
    told = [i for i, column in enumerate(zip(*rows, strict=True)) if set(column) - {"", "G", "P"}]
    of = {"grid_size": "grid size", "n_params": "number P of parameters"}[law.axis(sweep.cells)]
    return markup.table(
        f"RMSE as a power of the {of}: slopes in log-log, seed by seed",
        [header[i] for i in told],
        [[row[i] or words.DASH for i in told] for row in rows],
        "".join(aligned[i] for i in told),
    )


def _law(found: Series, cells: DataFrame) -> list[str]:
    return [
        found["split"],
        words.axis(found["x"]),
        str(found["n_train"]),
        words.exponent(found),
        words.exponent_vs_floor(found),
        "" if found["theory"] != found["theory"] else words.signed(found["theory"], 0),
        words.entry(found["verdict"]),
        str(found["n_seeds"]),
        words.listed(words.used(cells, found)["size"]),
        words.entry(found["note"]),
    ]


def _orders(orders: DataFrame) -> str:
    """A line a curve with the order from each grid size to the next."""
    if orders.empty:
        return ""
    orders = orders.sort_values(["size", "next_size"])
    step = orders["size"].astype(str) + " to " + orders["next_size"].astype(str)
    order = orders["order"].map(lambda value: words.signed(value))
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


def _matrix(matrix: DataFrame) -> str:
    kind = table.kind(matrix)
    lines = [[cell.replace("n_train", "n") for cell in line] for line in table.texts(matrix)]
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


def _joint(joint: DataFrame) -> str:
    """The whole matrix described by one formula, beside two others; nothing for few cells."""
    if joint.empty:
        return ""
    rows = [
        [
            row["form"],
            ", ".join(f"{name} = {value:.3g}" for name, value in row["parameters"].items()),
            f"{row['rms_log']:.2f}",
            f"{row['aicc']:.1f}",
            _number(row["held_out_grid"]),
            _number(row["held_out_data"]),
            f"{row['condition']:.0f}",
            words.listed(row["at_bound"]) or "none",
        ]
        for _, row in joint.iterrows()
    ]
    header = ["RMSE as", "parameters", "rms of ln", "AICc", "largest grid unseen"]
    header += ["most data unseen", "condition", "at a bound"]
    note = (
        f"A description of all {joint['n_cells'].iloc[0]} cells at once, those left out of the laws"
        " included; it proves nothing. P is the number of parameters, and every form ends at the"
        " target's spread. A lower AICc describes these cells better; the unseen columns are rms"
        " errors of ln RMSE where the fit was not shown those cells."
    )
    caption = "The test RMSE of the whole matrix in one formula"
    return f"{markup.table(caption, header, rows, 'hpnnnnnw')}\n{markup.paragraph(note, 'note')}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _left_out(sweep: Sweep) -> str:
    cells, used = sweep.cells, sweep.cells["used"].astype(bool)
    kind = kinds.of(cells)
    if used.all():
        return markup.paragraph("None: every cell counts.")
    fitted = set(cells.loc[used, "n_train"])
    rows = []
    for _, cell in cells[~used].sort_values(["n_train", "size"]).iterrows():
        others = (
            f"is {kind.smaller} than a gap" if cell["n_train"] in fitted else "too few beside it do"
        )
        seeds = f"{cell['n_seeds']} of {cell['n_seeds'] + cell['n_failed']}"
        why = _meaning(cell["reason"], sweep.rules) if cell["reason"] else f"counts, but {others}"
        errors = [words.rmse(cell[f"{split}_rmse"]) for split in law.SPLITS]
        sizes = [str(cell[column]) for column in ("n_train", "size")]
        rows.append([*sizes, why, str(cell["n_params"]), *errors, seeds])
    rule = (
        "Which cells count is decided by rules fixed before any fit, for all seeds of a cell"
        f" together. A fit takes the whole run of {kind.size}s that ends at the largest that"
        " counts."
    )
    header = ["n", kind.symbol, "why", "parameters", "train RMSE", "test RMSE", "seeds done"]
    return f"{markup.paragraph(rule)}\n{markup.table('Cells left out', header, rows, 'HHpnnnn')}"


def _meaning(reason: str, rules: law.Rules) -> str:
    meanings = {
        "failed": "more seeds failed than did not",
        "exactly represented": "splines hold the target without error",
        "over-parameterised": f"above {rules.params_per_point:g} parameters a training point",
        "noise-limited": f"train RMSE below {rules.above_noise:g} times the noise of the training"
        " outputs",
        "round-off": f"test RMSE below {rules.round_off:g} units of round-off",
        "over-fitted": f"test RMSE above {rules.over_fit:g} times the train RMSE",
        "not converged": f"train RMSE above {rules.above_floor:g} times the floor or, without one,"
        f" a relative gradient above {rules.gradient:g}",
    }
    return f"{reason}: {meanings[reason]}" if reason in meanings else reason


def _failures(results: DataFrame) -> str:
    """Every distinct error once, with the cells that ended by it."""
    why = ["status", "stop_reason", "error"]
    symbol = kinds.of(results).symbol
    failed = law.complete(results[results["status"] != "ok"])
    failed = failed.assign(**{name: failed[name].map(words.entry) for name in why})
    parts = []
    for (status, reason, error), cells in failed.groupby(why, sort=False):
        named = [
            f"n = {row['n_train']}, seed {row['seed']}, {symbol} = {row['size']}"
            for row in cells.head(MOST_NAMED).to_dict("records")
        ]
        named += [f"{len(cells) - MOST_NAMED} more"] if len(cells) > MOST_NAMED else []
        title = f"{words.counted(len(cells), 'cell')} {status}{f' ({reason})' if reason else ''}"
        parts.append(markup.paragraph(f"{title[0].upper()}{title[1:]}: {'; '.join(named)}."))
        parts += [markup.block(str(error), "error")] if error else []
    return "\n".join(parts)


# ------------------------------------------------------------------------------ how it was made


def _reproduction(sweep: Sweep) -> str:
    made = [
        f"{label} {_distinct(sweep.results, column)}"
        for column, label in _MADE.items()
        if column.endswith(("version", "revision")) and _distinct(sweep.results, column)
    ]
    note = (
        "The words of the command are what differs from the defaults, without the folder, the"
        " engine and its workers, which decide no cell. The same versions on the same machine give"
        " the same numbers; another machine, or other seeds in a batch, differ by rounding."
    )
    return "\n".join(
        [
            markup.paragraph(f"With {words.listed(made) or 'kansweep'}:"),
            markup.block(sweep.command),
            markup.paragraph(note, "note"),
        ]
    )


def _provenance(results: DataFrame) -> str:
    rows = [[label, _distinct(results, column)] for column, label in _MADE.items()]
    started = results["started_at"].dropna()
    if len(started):
        ends = [f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (started.min(), started.max())]
        rows.append(["cells started", f" {words.DASH} ".join(dict.fromkeys(ends))])
    rows.append(["time in cells", table.duration(results["seconds"].sum())])
    told = [row for row in rows if row[1]]
    return markup.table("What the cells' rows say of their making", ["what", "value"], told, "hp")


def _distinct(results: DataFrame, column: str) -> str:
    return words.listed(sorted(set(results[column].dropna())))
