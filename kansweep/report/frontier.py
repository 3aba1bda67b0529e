"""The best sizes and their laws in words: lines for the terminal, tables for the page."""

from __future__ import annotations

from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.kinds import KINDS
from kansweep.laws.cells import WHOSE, of_sweep
from kansweep.laws.findings import Study
from kansweep.laws.notation import TIMES, counted, exponent, listed, rmse
from kansweep.report import markup

_QUANTITIES = {
    "n_params": "P",
    "n_train": "n",
    "rmse": "RMSE",
    "cost": f"P {TIMES} n",
    "seconds": "seconds",
}


def lines(study: Study) -> list[str]:
    """Of every target, kind and order; none where there are too few sizes to look for the best."""
    found, several = study.frontier, len(study.frontier.best[WHOSE].drop_duplicates()) > 1
    written = []
    for _, best in found.best.groupby(WHOSE, sort=False, dropna=False):
        first = best.iloc[0]
        if several:
            written.append(f"{KINDS[first['model']].of(first['data'])}:")
        laws = of_sweep(found.laws, first)
        written += [_sizes(best), *_edges(best), *(f"  {_law(law)}" for _, law in laws.iterrows())]
    return written


def _sizes(best: DataFrame) -> str:
    symbol = kinds.of(best).symbol
    inside = [
        f"{symbol} = {row['size']:.0f} at n = {row['n_train']} (P/n = {_per_point(row)})"
        for _, row in best[best["edge"] == ""].iterrows()
    ]
    return f"Best size, the smallest within 10% of the least: {'; '.join(inside) or 'none inside'}."


def _per_point(row: Series) -> str:
    """With its interval, where there are seeds to have one."""
    interval = f" [{row['per_point_low']:.2g}, {row['per_point_high']:.2g}]"
    alone = row["per_point_low"] != row["per_point_low"]
    return f"{row['per_point']:.2g}{'' if alone else interval}"


def _edges(best: DataFrame) -> list[str]:
    edge = best[best["edge"] != ""]
    return [
        f"  at the edge of the list, being the {name} tried: n = {listed(part['n_train'])}"
        for name, part in edge.groupby("edge")
    ]


def _law(law: Series) -> str:
    interval = f"[{law['ci_low']:.2f}, {law['ci_high']:.2f}]"
    return (
        f"{_QUANTITIES[law['of']]} ~ ({_QUANTITIES[law['x']]})^{law['exponent']:.2f} {interval}"
        f" along them, {counted(law['n_seeds'], 'seed')}"
    )


def section(study: Study) -> str:
    """As two tables, '' where there is nothing to say."""
    found = study.frontier
    if found.best.empty:
        return ""
    symbol = study.kind.symbol
    rows = [
        [
            str(row["n_train"]),
            f"{row['size']:.0f}",
            _per_point(row),
            rmse(row["rmse"]),
            f"the {row['edge']} tried" if row["edge"] else "",
        ]
        for _, row in found.best.iterrows()
    ]
    header = ["n", f"best {symbol}", "P/n [95%]", "test RMSE", "edge of the list"]
    caption = (
        "Best size for each data size: the smallest within 10% of the least test RMSE, seed by seed"
        " (geometric means)"
    )
    return "\n".join([markup.table(caption, header, rows, "Hnnnw"), _laws(found.laws)])


def _laws(laws: DataFrame) -> str:
    if laws.empty:
        note = "Fewer than three data sizes have their best size inside the list: no law of them."
        return markup.paragraph(note, "note")
    rows = [
        [_QUANTITIES[law["of"]], _QUANTITIES[law["x"]], exponent(law), str(law["n_points"])]
        for _, law in laws.iterrows()
    ]
    caption = (
        "Along the best sizes inside the list: exponents, Student's t over"
        f" {counted(laws['n_seeds'].iloc[0], 'seed')}"
    )
    return markup.table(caption, ["of", "against", "exponent [95%]", "data sizes"], rows, "hhnn")
