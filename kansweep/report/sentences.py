"""Sentences about what laws say, and why there is none."""

from __future__ import annotations

from pandas import DataFrame, Series

from kansweep.kinds import KINDS
from kansweep.laws.notation import (
    counted,
    entry,
    exponent,
    exponent_finest,
    exponent_vs_floor,
    signed,
)
from kansweep.laws.verdicts import INSUFFICIENT

_VERDICTS = {
    "consistent": "consistent with the theory's {}",
    "inconsistent": "inconsistent with the theory's {}",
    "inconclusive": "which neither supports nor refutes the theory's {}",
    "pre-asymptotic": "still on its way to the theory's {}",
    "descriptive": "a description of one seed, no verdict on the theory's {}",
}


def finding(law: Series, behind: DataFrame) -> str:
    """What one law says by the cells ``behind`` it, or why there is none."""
    where = f"With {law['n_train']} training points"
    if law["verdict"] == INSUFFICIENT:
        return f"{where} the data are insufficient for a law: {entry(law['note'])}."
    verb = "falls" if law["exponent"] < 0 else "grows"
    verdict = "a description, of which no theory is claimed"
    if KINDS[law["model"]].has_theory:
        verdict = _VERDICTS[law["verdict"]].format(signed(law["theory"], 0))
    relative, finest = exponent_vs_floor(law), exponent_finest(law)
    judged = f" (between the finest two: {finest})" if finest else ""
    judged = f" (as RMSE over the floor: {relative}, about 0 in theory)" if relative else judged
    symbol = KINDS[law["model"]].symbol
    over = f"{symbol} = {behind['size'].min()} to {behind['size'].max()}"
    if law["x"] == "n_params":
        over += f" (P = {behind['n_params'].min():.0f} to {behind['n_params'].max():.0f})"
    return (
        f"{where}, {law['split']} RMSE {verb} as {axis(law)} to the {exponent(law)},"
        f" {verdict}{judged}, over {over},"
        f" {counted(law['n_seeds'], 'seed')}."
    )


def with_noise(law: Series) -> str:
    """What the noise law of a target says."""
    theory = f", in theory {law['theory']:.2f}" if law["theory"] == law["theory"] else ""
    kind = KINDS[law["model"]]
    interval = f"[{law['ci_low']:.2f}, {law['ci_high']:.2f}]"
    return (
        f"{kind.of(law['data'])}: with noise, test RMSE ~ n^{law['exponent']:.2f} {interval} at"
        f" {kind.symbol} = {law['size']}, n = {law['n_low']} to {law['n_high']}{theory}:"
        f" {law['verdict']} ({counted(law['n_seeds'], 'seed')})."
    )


def axis(law: Series) -> str:
    """The symbol of what a law is against."""
    return "P" if law["x"] == "n_params" else KINDS[law["model"]].symbol
