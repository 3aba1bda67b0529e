"""Laws in words: the table and the remarks that `kansweep plot` prints."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame, Series

from kansweep import law, observations
from kansweep.law import Rules, listed

_HEADER = ["RMSE", "n_train", "exponent", "95% interval", "against the floor", "verdict", "seeds"]
_GRIDS = ["grid sizes", "orders in G"]


def terminal(results: DataFrame, laws: DataFrame, rules: Rules = law.DEFAULT) -> str:
    """Everything that the results of a sweep show, as text; `laws` by the same `rules`."""
    cells = law.classify(results, rules)
    blocks = []
    for (data, x, theory), part in laws.groupby(["data", "x", "theory"], sort=False):
        mine = cells[(cells["data"] == data) & (-1 - cells["k"] == theory)]
        title = f"{data}: RMSE ~ {x}^exponent, in theory {theory}"
        blocks.append("\n".join([title, *_table(part, mine), *_remarks(part)]))
    blocks += ["\n".join(_best_grids(observations.best_grids(results, rules)))]
    blocks += ["\n".join(_observed(observations.check(results, rules)))]
    return "\n\n".join(block for block in blocks if block)


def orders_table(results: DataFrame, rules: Rules = law.DEFAULT) -> str:
    """The observed orders of every curve as a Markdown table, the floor's last.

    A pair of which one cell does not count stands in parentheses.
    """
    orders = law.observed_orders(results, rules)
    pairs = list(dict.fromkeys(zip(orders["grid_size"], orders["next_grid_size"], strict=True)))
    lines = [["data", "k", "RMSE", "n", *(f"{a} to {b}" for a, b in pairs)]]
    for (data, k, split, n), part in orders.groupby(["data", "k", "split", "n_train"]):
        told = {
            (row["grid_size"], row["next_grid_size"]): _order(row["order"], row["counts"])
            for _, row in part.iterrows()
        }
        lines.append(
            [str(data), str(k), str(split), str(n), *(told.get(pair, "") for pair in pairs)]
        )
    cells = law.classify(results, rules)
    for (data, k), part in cells.groupby(["data", "k"]):
        floors = law.floor_orders(part)
        if floors:
            told = {pair: _order(order, True) for pair, order in floors.items()}
            lines.append([str(data), str(k), "floor", "", *(told.get(pair, "") for pair in pairs)])
    rules_ = ["---", "---:", "---", "---:", *["---:"] * len(pairs)]
    header, *body = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rules_, *body))


def _order(order: float, counts: bool) -> str:
    return "" if order != order else f"{order:.2f}" if counts else f"({order:.2f})"


def _table(laws: DataFrame, cells: DataFrame) -> list[str]:
    rows = [[*_HEADER, *_GRIDS]]
    rows += [_words(row, cells) for _, row in laws.sort_values(["split", "n_train"]).iterrows()]
    floor = law.floor_orders(cells)
    if floor:
        sizes = dict.fromkeys(size for pair in floor for size in pair)
        orders = " ".join(f"{order:.2f}" for order in floor.values())
        rows.append(["floor", *[""] * (len(_HEADER) - 1), " ".join(map(str, sizes)), orders])
    else:
        rows = [row[:4] + row[5:] for row in rows]
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
        " ".join(map(str, mine["grid_size"])),
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


def _best_grids(best: DataFrame) -> list[str]:
    if best.empty:
        return []
    lines = []
    for curves, part in best.groupby(["data", "k"], sort=False):
        told = [
            f"G = {row['grid_size']} at n = {row['n_train']} ({row['test_rmse']:.2e})"
            for _, row in part.iterrows()
        ]
        lines.append(f"{_of(curves, best)}Least test RMSE: {'; '.join(told)}.")
    return lines


def _of(curves: Any, among: DataFrame) -> str:
    """Whose it is, where there are several."""
    data, _ = curves
    return f"{data}: " if len(among[["data", "k"]].drop_duplicates()) > 1 else ""


def _observed(found: DataFrame) -> list[str]:
    lines = []
    for _, row in found.iterrows():
        held = "holds" if row["holds"] else "does not hold"
        compared = f"{row['of']} comparison{'s' if row['of'] > 1 else ''}"
        detail = f": {row['detail']}" if row["detail"] else ""
        whose = _of((row["data"], row["k"]), found)
        lines.append(f"{whose}{row['observation'].capitalize()}: {held} ({compared}{detail}).")
    return lines
