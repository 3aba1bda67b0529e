"""The sections on how a sweep was made: what failed, how to repeat it, on what it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pandas import DataFrame

from kansweep import kinds
from kansweep.laws.notation import DASH, counted, entry, listed
from kansweep.report import markup
from kansweep.report.matrix import duration
from kansweep.sweep.columns import Status

MOST_NAMED = 20  # cells with one and the same error, before the rest is only counted
_MADE = {
    "version": "kansweep",
    "git_revision": "git revision",
    "torch_version": "torch",
    "host": "host",
    "device": "device",
    "dtype": "dtype",
    "solver": "solver",
}


def failures(results: DataFrame) -> str:
    """Every distinct error of one sweep once, with the cells that ended by it."""
    why = ["status", "stop_reason", "error"]
    symbol = kinds.of(results).symbol
    failed = results[results["status"] != Status.OK]
    failed = failed.assign(**{name: failed[name].map(entry) for name in why})
    parts = []
    for (status, reason, error), cells in failed.groupby(why, sort=False):
        named = [
            f"n = {row['n_train']}, seed {row['seed']}, {symbol} = {row['size']}"
            for row in cells.head(MOST_NAMED).to_dict("records")
        ]
        named += [f"{len(cells) - MOST_NAMED} more"] if len(cells) > MOST_NAMED else []
        title = f"{counted(len(cells), 'cell')} {status}{f' ({reason})' if reason else ''}"
        parts.append(markup.paragraph(f"{title[0].upper()}{title[1:]}: {'; '.join(named)}."))
        parts += [markup.block(str(error), "error")] if error else []
    return "\n".join(parts)


def reproduction(results: DataFrame, commands: Sequence[str]) -> str:
    """The commands that give the sweeps of these rows again."""
    made = [
        f"{label} {_distinct(results, column)}"
        for column, label in _MADE.items()
        if column.endswith(("version", "revision")) and _distinct(results, column)
    ]
    words = "commands" if len(commands) > 1 else "command"
    note = (
        f"The words of the {words} are what differs from the defaults, without the folder, the"
        " engine and its workers, which decide no cell. The same versions on the same machine give"
        " the same numbers; another machine, or other seeds in a batch, differ by rounding."
    )
    return "\n".join(
        [
            markup.paragraph(f"With {listed(made) or 'kansweep'}:"),
            markup.block("\n".join(commands)),
            markup.paragraph(note, "note"),
        ]
    )


def downloads(tables: Mapping[str, DataFrame]) -> str:
    """Tables as files, out of the page itself."""
    words = "What the tables and figures are made of, to be saved as CSV: "
    links = [markup.download(name, table.to_csv(index=False)) for name, table in tables.items()]
    return f"<p>{markup.text(words)}{', '.join(links)}.</p>"


def configuration(record: Mapping[str, Any]) -> str:
    return markup.block(yaml.safe_dump(dict(record), sort_keys=False))


def provenance(results: DataFrame) -> str:
    rows = [[label, _distinct(results, column)] for column, label in _MADE.items()]
    started = results["started_at"].dropna()
    if len(started):
        ends = [f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (started.min(), started.max())]
        rows.append(["cells started", f" {DASH} ".join(dict.fromkeys(ends))])
    rows.append(["time in cells", duration(results["seconds"].sum())])
    rows = [row for row in rows if row[1]]
    return markup.table("What the cells' rows say of their making", ["what", "value"], rows, "hp")


def _distinct(results: DataFrame, column: str) -> str:
    return listed(sorted(set(results[column].dropna())))
