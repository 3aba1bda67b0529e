"""Laws in words: the table and the remarks that `kansweep plot` prints."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame, Series

from kansweep import cells as law
from kansweep import kinds, observations
from kansweep.cells import Rules, listed
from kansweep.kinds import KAN, KINDS, MLP

_HEADER = ["RMSE", "n_train", "exponent", "95% interval", "against the floor", "verdict", "seeds"]


def terminal(results: DataFrame, laws: DataFrame, rules: Rules = law.DEFAULT) -> str:
    """Everything that the results of a sweep show, as text; `laws` by the same `rules`."""
    cells = law.classify(results, rules)
    blocks = []
    by = ["data", "x", "theory"]  # the last is null in the laws of an MLP
    for (data, x, theory), part in laws.groupby(by, sort=False, dropna=False):
        of_mlp = theory != theory
        own = cells["model"] == MLP if of_mlp else -1 - cells["k"] == theory
        mine = cells[(cells["data"] == data) & own]
        predicted = "" if of_mlp else f", in theory {theory:g}"
        title = f"{_named(data, MLP if of_mlp else KAN)}: RMSE ~ {x}^exponent{predicted}"
        blocks.append("\n".join([title, *_table(part, mine), *_remarks(part)]))
    blocks += ["\n".join(_best_sizes(observations.best_sizes(results, rules)))]
    blocks += ["\n".join(_observed(observations.check(results, rules)))]
    return "\n\n".join(block for block in blocks if block)


def orders_table(results: DataFrame, rules: Rules = law.DEFAULT) -> str:
    """The observed orders of every curve as a Markdown table, the floor's last.

    A pair of which one cell does not count stands in parentheses. '' where all are of MLPs, which
    have none.
    """
    orders = law.observed_orders(results, rules)
    if kinds.any_mlp(results) and orders.empty:
        return ""
    pairs = list(dict.fromkeys(zip(orders["size"], orders["next_size"], strict=True)))
    lines = [["data", "k", "RMSE", "n", *(f"{a} to {b}" for a, b in pairs)]]
    for (data, k, split, n), part in orders.groupby(["data", "k", "split", "n_train"]):
        told = {
            (row["size"], row["next_size"]): _order(row["order"], row["counts"])
            for _, row in part.iterrows()
        }
        lines.append(
            [str(data), f"{k:g}", str(split), str(n), *(told.get(pair, "") for pair in pairs)]
        )
    cells = law.classify(results, rules)
    for (data, k), part in cells.groupby(["data", "k"]):
        floors = law.floor_orders(part)
        if floors:
            told = {pair: _order(order, True) for pair, order in floors.items()}
            lines.append(
                [str(data), f"{k:g}", "floor", "", *(told.get(pair, "") for pair in pairs)]
            )
    rules_ = ["---", "---:", "---", "---:", *["---:"] * len(pairs)]
    header, *body = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rules_, *body))


def _order(order: float, counts: bool) -> str:
    return "" if order != order else f"{order:.2f}" if counts else f"({order:.2f})"


def _table(laws: DataFrame, cells: DataFrame) -> list[str]:
    kind = kinds.of(cells)
    rows = [[*_HEADER, f"{kind.size}s", f"orders in {kind.symbol}"]]
    rows += [_words(row, cells) for _, row in laws.sort_values(["split", "n_train"]).iterrows()]
    floor = law.floor_orders(cells)
    if floor:
        sizes = dict.fromkeys(size for pair in floor for size in pair)
        orders = " ".join(f"{order:.2f}" for order in floor.values())
        rows.append(["floor", *[""] * (len(_HEADER) - 1), " ".join(map(str, sizes)), orders])
    else:
        rows = [row[:4] + row[5:] for row in rows]
    if kind is KINDS[MLP]:
        rows = [row[:-1] for row in rows]
    aligns = "<>>><<<<<" if floor else "<>>><<<<"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths, aligns)).rstrip() for row in rows]


def _padded(text: str, width: int, align: str) -> str:
    return f"{text:{align}{width}}"


def _words(row: Series, cells: DataFrame) -> list[str]:
    fitted = row["verdict"] != "insufficient"
    mine = cells[(cells["n_train"] == row["n_train"]) & cells["used" if fitted else "counts"]]
    orders = law.orders(mine)
    orders = orders.loc[orders["split"] == row["split"], "order"]
    relative = fitted and row["exponent_vs_floor"] == row["exponent_vs_floor"]
    return [
        row["split"],
        str(row["n_train"]),
        f"{row['exponent']:.2f}" if fitted else "",
        _interval(row, "ci_low", "ci_high") if fitted else "",
        f"{row['exponent_vs_floor']:+.2f} {_interval(row, 'vs_floor_low', 'vs_floor_high')}"
        if relative
        else "",
        str(row["verdict"]),
        str(row["n_seeds"]),
        " ".join(map(str, mine["size"])),
        " ".join(f"{order:.2f}" for order in orders),
    ]


def _interval(row: Series, low: str, high: str) -> str:
    return f"[{row[low]:.2f}, {row[high]:.2f}]"


def _remarks(laws: DataFrame) -> list[str]:
    """Each part of the notes once, with the data sizes that it concerns."""
    sizes: dict[str, list[Any]] = {}
    for n_train, notes in laws.groupby("n_train")["note"]:
        for part in "; ".join(notes.dropna().unique()).split("; "):  # NaN: '' read back from CSV
            sizes.setdefault(part, []).append(n_train)
    sizes.pop("", None)
    return [f"  n = {listed(numbers)}: {part}" for part, numbers in sizes.items()]


def _best_sizes(best: DataFrame) -> list[str]:
    if best.empty:
        return []
    lines = []
    for _, part in best.groupby(["data", "model", "k"], sort=False, dropna=False):
        symbol = kinds.of(part).symbol
        told = [
            f"{symbol} = {row['size']} at n = {row['n_train']} ({row['test_rmse']:.2e})"
            for _, row in part.iterrows()
        ]
        lines.append(f"{_whose(part.iloc[0], best)}Least test RMSE: {'; '.join(told)}.")
    return lines


def _whose(row: Series, among: DataFrame) -> str:
    """Whose it is, where there are several."""
    several = len(among[["data", "model", "k"]].drop_duplicates()) > 1
    return f"{_named(row['data'], row['model'])}: " if several else ""


def _named(data: Any, model: Any) -> str:
    return f"{data} ({KINDS[model].name})" if model == MLP else str(data)


def _observed(found: DataFrame) -> list[str]:
    lines = []
    for _, row in found.iterrows():
        held = "holds" if row["holds"] else "does not hold"
        compared = f"{row['of']} comparison{'s' if row['of'] > 1 else ''}"
        detail = f": {row['detail']}" if row["detail"] else ""
        told = f"{row['observation'].capitalize()}: {held} ({compared}{detail})."
        lines.append(f"{_whose(row, found)}{told}")
    return lines
