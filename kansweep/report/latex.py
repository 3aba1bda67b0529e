r"""Matrix, laws, orders and comparisons as LaTeX tables, for ``\usepackage{booktabs,siunitx}``.

Numbers stand in columns of siunitx, which aligns them at the decimal point; what is not a number is
in braces, as siunitx wants it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.kinds import KINDS
from kansweep.laws import beside
from kansweep.laws.cells import WHOSE
from kansweep.laws.findings import Study
from kansweep.laws.verdicts import INSUFFICIENT
from kansweep.report import compared as words
from kansweep.sweep.columns import State

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{EN DASH}": "--",
}
NONE = "{--}"
_WHOSE = ("Target", "Sweep")
_NUMBER = re.compile(
    r"(?P<sign>-?)(?P<whole>\d+)\.?(?P<part>\d*)(e(?P<minus>[+-])0*(?P<power>\d*))?"
)


def escaped(text: str) -> str:
    """A text as LaTeX prints it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def table(columns: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A ``tabular`` with the rules of booktabs; entries are LaTeX already. A column ``S`` of
    numbers is as wide as these."""
    body = [" & ".join(row) + r" \\" for row in rows]
    head = " & ".join(header) + r" \\"
    lines = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    form = "".join(
        _of_numbers([row[i] for row in rows]) if column == "S" else column
        for i, column in enumerate(columns)
    )
    return "\n".join([rf"\begin{{tabular}}{{{form}}}", *lines, r"\end{tabular}"])


def _of_numbers(entries: Iterable[str]) -> str:
    """siunitx's column for them, one that is centred where there is none."""
    found = [number for entry in entries if (number := _NUMBER.fullmatch(entry))]
    if not found:
        return "c"
    whole, part, power = (
        max(len(number[name] or "") for number in found) for name in ("whole", "part", "power")
    )
    sign = "-" * any(number["sign"] for number in found)
    minus = "-" * any(number["minus"] == "-" for number in found)
    return f"S[table-format={sign}{whole}.{part}{f'e{minus}{power}' if power else ''}]"


def matrix(cells: DataFrame) -> str:
    """Median test RMSE, a row a data size and a column a size; ``cells`` as ``report.matrix`` has
    them."""
    kind = kinds.of(cells)
    done = cells.assign(entry=cells["test_rmse"].where(cells[State.DONE] > 0))
    wide = done.pivot(index="n_train", columns="size", values="entry")
    header = ["{$n$}", *(f"{{${kind.symbol} = {size}$}}" for size in wide.columns)]
    rows = [
        [str(n), *(_number(value, ".2e") for value in values)]
        for n, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return table("S" * len(header), header, rows)


def laws(study: Study) -> str:
    """The laws of a study: exponent with its 95% interval, the theory's, verdict, seeds."""
    header = ["Target", "RMSE", "{$n$}", r"{Exponent}", r"{95\,\% interval}", "{Theory}"]
    shown = study.shown.sort_values(["data", "model", "split", "n_train"], kind="stable")
    rows = [_law(law) for _, law in shown.iterrows()]
    return table("llSScSlS", [*header, "Verdict", "{Seeds}"], rows)


def _law(law: Series) -> list[str]:
    fitted = law["verdict"] != INSUFFICIENT
    interval = f"$[{law['ci_low']:.2f}, {law['ci_high']:.2f}]$" if fitted else NONE
    return [
        escaped(KINDS[law["model"]].of(str(law["data"]))),
        str(law["split"]),
        str(law["n_train"]),
        _number(law["exponent"], ".2f") if fitted else NONE,
        interval,
        _number(law["theory"], "g"),
        str(law["verdict"]),
        str(law["n_seeds"]),
    ]


def orders(study: Study) -> str:
    """The observed orders of every curve, a column a pair of sizes; one of which a cell does not
    count is left out. '' where no kind has any."""
    found = study.orders
    if found.empty:
        return ""
    pairs = list(dict.fromkeys(zip(found["size"], found["next_size"], strict=True)))
    header = ["Target", "{$k$}", "RMSE", "{$n$}", *(rf"{{{a}\,--\,{b}}}" for a, b in pairs)]
    rows = []
    for _, part in found.groupby([*WHOSE, "split", "n_train"], dropna=False, sort=False):
        counted = part[part["counts"].astype(bool)]
        of = counted.set_index(["size", "next_size"])["order"]
        row = part.iloc[0]
        name = escaped(KINDS[row["model"]].of(str(row["data"])))
        whose = [name, _number(row["k"], "g"), str(row["split"]), str(row["n_train"])]
        rows.append([*whose, *(_number(of.get(pair, float("nan")), ".2f") for pair in pairs)])
    return table("lSlS" + "S" * len(pairs), header, rows)


def _number(value: float, form: str) -> str:
    return NONE if value != value else f"{value:{form}}"


def comparison(compared: DataFrame, split: str) -> list[str]:
    """Exponents of the sweeps of one target less that of the first, then their errors over those of
    the first at equal cost; as ``laws.comparison`` has them. None where nothing is compared."""
    chosen = compared[(compared["split"] == split) & compared["estimate"].notna()]
    of_errors = chosen["quantity"] == beside.RMSE
    found = ((_differences, chosen[~of_errors]), (_ratios, chosen[of_errors]))
    return [tabular(rows) for tabular, rows in found if len(rows)]


def _differences(rows: DataFrame) -> str:
    header = [*_WHOSE, "Less that of", "{$n$}", r"{Difference}", r"{95\,\% interval}"]
    lines = [
        [*_compared(row, "{:.2f}".format), str(row["n_seeds"]), _number(row["p_holm"], ".1e")]
        for _, row in rows.iterrows()
    ]
    return table("lllSScSS", [*header, "{Seeds}", "{$p$ (Holm)}"], lines)


def _ratios(rows: DataFrame) -> str:
    header = [*_WHOSE, "Over that of", "{$n$}", "{Ratio}", r"{95\,\% interval}"]
    lines = [
        [*_compared(row, _three_digits), in_math(words.place(row)), str(row["n_seeds"])]
        for _, row in rows.iterrows()
    ]
    return table("lllSSclS", [*header, "At equal", "{Seeds}"], lines)


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def in_math(text: str) -> str:
    """Such as G = 5; a text without an equation as it is."""
    return f"${text}$" if "=" in text else escaped(text)


def _compared(row: Series, form: Callable[[float], str]) -> list[str]:
    """Whose it is, at how many points, and the estimate with its interval."""
    low, high = row["low"], row["high"]
    ends = ", ".join(rf"\num{{{form(end)}}}" for end in (low, high))
    return [
        *(escaped(str(row[name])) for name in ("target", "second", "first")),
        str(row["n_train"]),
        form(row["estimate"]),
        NONE if low != low else f"$[{ends}]$",
    ]
