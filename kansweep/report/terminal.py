"""What `kansweep plot` prints of a study: tables of laws and orders, and remarks."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.kinds import KINDS
from kansweep.laws import cells
from kansweep.laws.cells import WHOSE
from kansweep.laws.findings import Study
from kansweep.laws.noise import MARGIN
from kansweep.laws.notation import counted, entry, listed
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import frontier, sentences
from kansweep.report.matrix import aligned

_HEADER = ["RMSE", "n_train", "exponent", "95% interval", "against the floor", "finest doubling"]
_HEADER += ["verdict", "seeds"]
_OF_SOME = _HEADER[4:6]  # each of the laws that are judged by it


def summary(study: Study) -> str:
    """Everything that a study shows, as text."""
    blocks = [laws(study)]
    blocks += ["\n".join(_with_noise(law) for _, law in study.noise_laws.iterrows())]
    blocks += ["\n".join(_best_sizes(study.best_sizes["test"]))]
    blocks += ["\n".join(frontier.lines(study))]
    blocks += ["\n".join(_observed(study))]
    return "\n\n".join(block for block in blocks if block)


def laws(study: Study) -> str:
    """The laws of a study, a table for each target, kind and order."""
    blocks = []
    of = {"gradient": " of the gradient", "hessian": " of the Hessian"}.get(study.splits[0], "")
    by = ["data", "x", "model", "k"]
    for _, part in study.shown.groupby(by, sort=False, dropna=False):
        law = part.iloc[0]
        kind = KINDS[law["model"]]
        predicted = f", in theory {law['theory']:g}" if kind.has_theory else ""
        title = f"{kind.of(law['data'])}: RMSE{of} ~ {law['x']}^exponent{predicted}"
        lines = [title, *_table(study, part), *_remarks(study, part)]
        if not of:
            lines += _pooled(cells.of_sweep(study.pooled, law))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def outputs(study: Study) -> str:
    """The laws of each of several outputs, '' where there is one."""
    if study.outputs is None:
        return ""
    return f"{sentences.outputs(study.outputs)}\n\n{laws(study.outputs)}"


# ------------------------------------------------------------------------------ the laws


def _table(study: Study, laws: DataFrame) -> list[str]:
    """The laws of one target and kind, each with the sizes that it rests on."""
    kind = KINDS[laws["model"].iloc[0]]
    rows = [[*_HEADER, f"{kind.size}s", f"orders in {kind.symbol}"]]
    sorted_laws = laws.sort_values(["split", "n_train"])
    rows += [
        _line(law, study.behind(law)["size"], study.orders_behind(law))
        for _, law in sorted_laws.iterrows()
    ]
    floor = study.floor_orders(laws.iloc[0])
    if floor:
        sizes = dict.fromkeys(size for pair in floor for size in pair)
        orders = " ".join(f"{order:.2f}" for order in floor.values())
        rows.append(["floor", *[""] * (len(_HEADER) - 1), " ".join(map(str, sizes)), orders])
    columns = list(zip(*rows, "<>>><<<<<<", strict=True))
    columns = columns if kind.on_grid else columns[:-1]
    shown = [column for column in columns if column[0] not in _OF_SOME or any(column[1:-1])]
    *lines, aligns = zip(*shown, strict=True)
    return aligned(lines, "".join(aligns))


def _line(law: Series, sizes: Series, orders: DataFrame) -> list[str]:
    fitted = law["verdict"] != INSUFFICIENT
    return [
        law["split"],
        str(law["n_train"]),
        f"{law['exponent']:.2f}" if fitted else "",
        _interval(law, "ci_low", "ci_high") if fitted else "",
        _judged(law, "exponent_vs_floor", "vs_floor_low", "vs_floor_high"),
        _judged(law, "exponent_finest", "finest_low", "finest_high"),
        str(law["verdict"]),
        str(law["n_seeds"]),
        " ".join(map(str, sizes)),
        " ".join(
            f"{order:.2f}{' (across a gap)' if across else ''}"
            for order, across in zip(orders["order"], orders["across"], strict=True)
        ),
    ]


def _judged(law: Series, middle: str, low: str, high: str) -> str:
    if law[middle] != law[middle]:
        return ""
    interval = f" {_interval(law, low, high)}" if law[low] == law[low] else ""
    return f"{law[middle]:+.2f}{interval}"


def _interval(row: Series, low: str, high: str) -> str:
    return f"[{row[low]:.2f}, {row[high]:.2f}]"


def _remarks(study: Study, laws: DataFrame) -> list[str]:
    """Each part of the notes once, with the data sizes that it concerns; why there is no floor."""
    told: dict[str, dict[Any, list[str]]] = {}  # data sizes and splits
    for _, law in laws.iterrows():
        for part in entry(law["note"]).split("; "):
            told.setdefault(part, {}).setdefault(law["n_train"], []).append(law["split"])
    told.pop("", None)
    remarks = []
    for part, numbers in told.items():
        splits = sorted({split for each in numbers.values() for split in each})
        of = f", {splits[0]}" if len(splits) < laws["split"].nunique() else ""
        remarks.append(f"  n = {listed(numbers)}{of}: {part}")
    why = study.why_no_floor(laws.iloc[0])
    remarks += [f"  No floor: {why}."] if why else []
    return [*remarks, *_named_primary(laws), *_judged_by(study, laws)]


def _named_primary(laws: DataFrame) -> list[str]:
    """Which of several laws is the one to look at."""
    if len(laws) == 1:
        return []
    chosen = laws[laws["primary"].astype(bool)]
    return [
        f"  Primary: {law['split']} RMSE at n = {law['n_train']}" for _, law in chosen.iterrows()
    ]


def _judged_by(study: Study, laws: DataFrame) -> list[str]:
    """What the verdicts of a table are on, and within which margin."""
    with_floor = laws["exponent_vs_floor"].notna()
    by_floor, by_pair = with_floor.any(), (laws["exponent_finest"].notna() & ~with_floor).any()
    within, theory = f"{study.rules.margin:g}", f"{laws['theory'].iloc[0]:g}"
    on = [f"within {within} of 0 against the floor"] if by_floor else []
    on += [f"within {within} of {theory} over the finest doubling"] if by_pair else []
    return [f"  Verdicts: by equivalence, {' or '.join(on)}"] if on else []


def _pooled(laws: DataFrame) -> list[str]:
    """The law of all data sizes together, a line a split."""
    if laws.empty:
        return []
    first = laws.iloc[0]
    among = f"{counted(first['n_cells'], 'cell')}, {counted(first['n_seeds'], 'seed')}"
    lines = [f"All data sizes at once, ln(RMSE/floor) = a + delta ln G + c P/n ({among}):"]
    for _, law in laws.sort_values("split").iterrows():
        delta = f"delta {law['delta']:+.3f} [{law['delta_low']:.3f}, {law['delta_high']:.3f}]"
        cost = f"c {law['c']:+.2f} {_interval(law, 'c_low', 'c_high')}"
        lines.append(f"  {law['split']:<5}  {delta}, in theory 0; {cost}")
    return lines


def _with_noise(law: Series) -> str:
    known = law["theory"] == law["theory"]
    theory = f", in theory {law['theory']:.2f} within {MARGIN:g}" if known else ""
    kind = KINDS[law["model"]]
    return (
        f"{kind.of(law['data'])}: with noise, test RMSE ~ n^{law['exponent']:.2f}"
        f" {_interval(law, 'ci_low', 'ci_high')} at {kind.symbol} = {law['size']},"
        f" n = {law['n_low']} to {law['n_high']}{theory}: {law['verdict']}"
        f" ({counted(law['n_seeds'], 'seed')})."
    )


# ---------------------------------------------------------------------------- the orders


def orders_table(study: Study) -> str:
    """The observed orders of every curve as a Markdown table, the floor's last.

    A pair of which one cell does not count stands in parentheses. '' where no kind has any.
    """
    orders = study.orders
    if orders.empty and not study.kind.on_grid:
        return ""
    pairs = list(dict.fromkeys(zip(orders["size"], orders["next_size"], strict=True)))
    lines = [["data", "k", "RMSE", "n", *(f"{a} to {b}" for a, b in pairs)]]
    by = [*WHOSE, "split", "n_train"]
    for _, part in orders.groupby(by, dropna=False):
        texts = {
            (row["size"], row["next_size"]): _order(row["order"], row["counts"])
            for _, row in part.iterrows()
        }
        first = part.iloc[0]
        whose = [*_named(first), first["split"], str(first["n_train"])]
        lines.append([*whose, *(texts.get(pair, "") for pair in pairs)])
    for _, row in study.cells.drop_duplicates(WHOSE).iterrows():
        if floor := study.floor_orders(row):
            texts = {pair: _order(order, True) for pair, order in floor.items()}
            lines.append([*_named(row), "floor", "", *(texts.get(pair, "") for pair in pairs)])
    header, *body = lines
    rules = ["---", "---:", "---", "---:", *["---:"] * len(pairs)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rules, *body))


def _order(order: float, counts: bool) -> str:
    return "" if order != order else f"{order:.2f}" if counts else f"({order:.2f})"


def _named(row: Series) -> list[str]:
    k = row["k"]
    return [KINDS[row["model"]].of(row["data"]), "" if k != k else f"{k:g}"]


# ---------------------------------------------------------------------------- the remarks


def _best_sizes(best: DataFrame) -> list[str]:
    lines = []
    for _, part in best.groupby(WHOSE, sort=False, dropna=False):
        symbol = kinds.of(part).symbol
        cells = [
            f"{symbol} = {row['size']} at n = {row['n_train']} ({row['test_rmse']:.2e})"
            for _, row in part.iterrows()
        ]
        whose = _whose(part.iloc[0], best)
        lines.append(f"{whose}Least test RMSE, geometric means over seeds: {'; '.join(cells)}.")
    return lines


def _whose(row: Series, among: DataFrame) -> str:
    """Whose it is, where there are several."""
    several = len(among[WHOSE].drop_duplicates()) > 1
    return f"{KINDS[row['model']].of(row['data'])}: " if several else ""


def _observed(study: Study) -> list[str]:
    observations = study.observations
    return [
        f"{_whose(row, observations)}{sentences.observed(row, study.rules)}"
        for _, row in observations.iterrows()
    ]
