"""Sentences about what laws say, and why there is none."""

from __future__ import annotations

from pandas import DataFrame, Series

from kansweep.kinds import KINDS
from kansweep.laws.cells import Rules
from kansweep.laws.findings import Study
from kansweep.laws.noise import MARGIN
from kansweep.laws.notation import (
    counted,
    entry,
    exponent,
    exponent_finest,
    exponent_vs_floor,
    listed,
    signed,
)
from kansweep.laws.verdicts import DESCRIPTIVE, INSUFFICIENT

_VERDICTS = {
    "consistent": "which is consistent with {} within {}",
    "inconsistent": "which is inconsistent with {} within {}",
    "inconclusive": "which neither supports nor refutes {} within {}",
    "pre-asymptotic": "which is not yet {} within {} but on its way to it",
    DESCRIPTIVE: "without a verdict on {}, for one seed does not show how seeds differ",
}


def finding(law: Series, behind: DataFrame, margin: float) -> str:
    """What one law says by the cells ``behind`` it, or why there is none: the exponent, then the
    number that the verdict is about with the verdict, by equivalence within ``margin``."""
    whose = "The primary law: with" if law["primary"] else "With"
    where = f"{whose} {law['n_train']} training points"
    if law["verdict"] == INSUFFICIENT:
        return f"{where} the data are insufficient for a law: {entry(law['note'])}."
    kind = KINDS[law["model"]]
    verb = "falls" if law["exponent"] < 0 else "grows"
    over = f"{kind.symbol} = {behind['size'].min()} to {behind['size'].max()}"
    if law["x"] == "n_params":
        over += f" (P = {behind['n_params'].min():.0f} to {behind['n_params'].max():.0f})"
    verdict = "a description, of which no theory is claimed"
    if kind.has_theory:
        verdict = _judged(law, kind.symbol, margin)
    return (
        f"{where}, {law['split']} RMSE {verb} as {axis(law)} to the {exponent(law)} over {over},"
        f" {counted(law['n_seeds'], 'seed')}: {verdict}."
    )


def _judged(law: Series, symbol: str, margin: float) -> str:
    """The number that a verdict is about, what it is in theory, and the verdict."""
    if relative := exponent_vs_floor(law):
        number, theory = f"relative to the floor the exponent is {relative}", "the theory's 0"
    else:
        number = f"over the finest doubling of {symbol} the exponent is {exponent_finest(law)}"
        theory = f"the theory's {signed(law['theory'], 0)}"
    return f"{number}, {_VERDICTS[law['verdict']].format(theory, f'{margin:g}')}"


def outputs(each: Study) -> str:
    """What the errors of several outputs are, of which this is the study one by one."""
    names = listed(list(dict.fromkeys(each.results["data"])))
    return (
        f"The RMSE of all is that of {names} together, the errors of each in units of its standard"
        " deviation. Each alone, in its own unit:"
    )


def of_noise(law: Series) -> str:
    """What the law of a target with noise says, against data size."""
    kind = KINDS[law["model"]]
    verdict = "a description, of which no theory is claimed"
    if law["theory"] == law["theory"]:
        theory = f"the {signed(law['theory'])} of the smoothing penalty"
        verdict = _VERDICTS[law["verdict"]].format(theory, f"{MARGIN:g}")
    return (
        f"With noise, {kind.of(law['data'])}: test RMSE falls as n to the {exponent(law)},"
        f" {verdict}; at {kind.symbol} = {law['size']} over n = {law['n_low']} to {law['n_high']},"
        f" {counted(law['n_seeds'], 'seed')}."
    )


def observed(row: Series, rules: Rules) -> str:
    """An observation with the comparisons that it rests on."""
    seeds = counted(row["n_seeds"], "seed")
    by = f"by intervals over {seeds}" if row["n_seeds"] > 1 else f"of {seeds}, no interval"
    shown = ", of 95% in brackets" if row["detail"] and row["n_seeds"] > 1 else ""
    within = f"within a factor of {rules.harm:g} {by}{shown}"
    compared = f"{row['of']} comparison{'s' if row['of'] > 1 else ''} {within}"
    detail = f": {row['detail']}" if row["detail"] else ""
    return f"{row['observation'].capitalize()}: {row['verdict']} ({compared}{detail})."


def axis(law: Series) -> str:
    """The symbol of what a law is against."""
    return "P" if law["x"] == "n_params" else KINDS[law["model"]].symbol
