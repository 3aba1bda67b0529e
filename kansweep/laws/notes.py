"""What the note of a law says: all that its fit left out, and what its verdict hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kansweep.laws.cells import Curve, Rules
from kansweep.laws.notation import listed

# From fewer seeds none is taken out to see whether the verdict hangs on it: of two that are left
# the interval says little whatever they are.
SEEDS_TO_SPARE = 4
_FAULTS = ("poor fit", "not converged", "astray")  # of a cell that ended, and was not good enough


def of_curve(curve: Curve, rules: Rules) -> Iterator[str]:
    """What the fit left out, cell by cell and why, and what else its reader must know."""
    if not curve.fitted:
        yield _shortfall(curve, rules)
    yield from _left_out(curve)
    yield from _lacking(curve)
    yield from _above_floor(curve, rules)
    if curve.fitted and curve.whole.sum() == 1:
        verdict = "no verdict, for " if curve.kind.has_theory else ""
        yield f"one seed: {verdict}the interval is that of its own residuals"
    if not curve.kind.has_theory:
        yield "a description: no theory of its exponent is claimed"


def of_axis(curve: Curve, x: str) -> Iterator[str]:
    """What to know where the law is told against an axis that its theory is not of."""
    if curve.kind.has_theory and x == "n_params":
        yield f"the theory is asymptotic in the {curve.kind.size}, not in n_params"


def hinges(curve: Curve, split: str, verdict: str, rules: Rules) -> Iterator[str]:
    """Each single seed or size without which the verdict on a fitted curve would be another."""
    errors, symbol = curve.errors[split][curve.whole], curve.kind.symbol
    others: dict[str, list[Any]] = {}
    if len(errors) >= SEEDS_TO_SPARE:
        for seed in errors.index:
            told = rules.judged(curve.used, errors.drop(index=seed), curve.exponent)
            others.setdefault(told, []).append(f"seed {seed}")
    if len(errors) > 1:
        for size in errors.columns:
            used = curve.used[curve.used["size"] != size]
            if rules.long_enough(used["size"].tolist()):
                told = rules.judged(used, errors.drop(columns=size), curve.exponent)
                others.setdefault(told, []).append(f"{symbol} = {size}")
    for told, names in others.items():
        if told != verdict:
            yield f"without {' or '.join(names)} it would be {told}"


def _left_out(curve: Curve) -> Iterator[str]:
    """The sizes that do not count, and those that do beyond a gap."""
    cells, kind = curve.cells, curve.kind
    for reason, part in cells[~cells["counts"]].groupby("reason", sort=False):
        yield f"{kind.symbol} = {listed(part['size'])} {reason}"
    if not curve.fitted:
        return
    stranded = cells[cells["counts"] & ~cells["used"]]
    if not stranded.empty:
        yield f"{kind.symbol} = {listed(stranded['size'])} {kind.smaller} than a gap"
    ends = curve.used["size"].min(), curve.used["size"].max()
    gap = cells[~cells["used"] & cells["size"].between(*ends)]
    if not gap.empty:
        yield f"fitted across the gap at {kind.symbol} = {listed(gap['size'])}"


def _lacking(curve: Curve) -> Iterator[str]:
    """The seeds without a sound cell somewhere in the run, and why."""
    symbol = curve.kind.symbol
    faults = curve.faults[~curve.sound.all(axis=1)]
    faults = faults.where(faults.isin(_FAULTS), "no sound cell").where(~curve.sound, "")
    why: dict[str, list[str]] = {}
    for seed, row in faults.iterrows():
        parts = [
            f"{fault} at {symbol} = {listed(part.index)}"
            for fault, part in row[row != ""].groupby(row)
        ]
        if parts:
            why.setdefault(", ".join(parts), []).append(str(seed))
    for reason, seeds in why.items():
        yield f"without seed {listed(seeds)}: {reason}"


def _above_floor(curve: Curve, rules: Rules) -> Iterator[str]:
    """Where training ended well above the floor: a remark, for the law is to show it."""
    cells = curve.used[curve.used["floor_rmse"] > 0]
    ratio = (cells["train_rmse"] / cells["floor_rmse"]).to_numpy(float)
    if len(ratio) and ratio.max() > rules.above_floor:
        size = cells["size"].iloc[int(np.argmax(ratio))]
        yield f"training ends at {ratio.max():.1f} times the floor at {curve.kind.symbol} = {size}"


def _shortfall(curve: Curve, rules: Rules) -> str:
    run: list[Any] = list(curve.sound)
    kind = curve.kind
    if len(run) < rules.min_sizes:
        return f"too few {kind.size}s in a row count: {len(run)}, a fit takes {rules.min_sizes}"
    if not rules.long_enough(run):
        span = f"{kind.symbol} = {run[0]} to {run[-1]}"
        return f"{span} spans less than a factor of {rules.min_span:g}"
    return f"no seed has every cell of {kind.symbol} = {listed(run)}"
