"""Outcomes of some replicas among those of all."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from kansweep.networks.kan import KAN, where
from kansweep.solvers.contract import Iteration, Observe, Outcome


def spread_out(at: Tensor, many: int) -> tuple[Tensor, Tensor]:
    """Where rows ``at`` (r,) stand among many: a mask (many,) and, in it, which of the r it is."""
    mask = torch.zeros(many, dtype=torch.bool, device=at.device)
    place = torch.zeros(many, dtype=torch.long, device=at.device)
    mask[at] = True
    place[at] = torch.arange(at.numel(), device=at.device)
    return mask, place


def among(observe: Observe | None, at: Tensor) -> Observe | None:
    """What to tell of the replicas ``at`` (r,) alone, which count from 0 while they are trained."""
    if observe is None:
        return None
    return lambda now: observe(replace(now, replicas=at[now.replicas]))


class Held:
    """What is observed of a rival, to be told only of replicas that it is kept in."""

    def __init__(self, observe: Observe | None) -> None:
        self._tell, self._seen = observe, list[Iteration]()

    @property
    def observe(self) -> Observe | None:
        return None if self._tell is None else self._keep

    def _keep(self, now: Iteration) -> None:
        net = now.net()  # without the points that led there
        self._seen.append(replace(now, net=lambda: net))

    def tell(self, kept: Tensor) -> None:
        """Of those that a mask (R,) selects."""
        for now in self._seen:
            chosen = kept[now.replicas]
            if self._tell is not None and bool(chosen.any()):
                self._tell(_part(now, chosen))


def _part(now: Iteration, chosen: Tensor) -> Iteration:
    """The iteration of those that a mask (r,) selects."""
    damping, penalty = (
        None if part is None else part[chosen] for part in (now.damping, now.penalty)
    )
    return Iteration(
        now.step,
        now.replicas[chosen],
        lambda: cast(KAN, now.net())[chosen],
        now.rmse[chosen],
        now.grad_norm[chosen],
        now.accepted[chosen],
        damping,
        penalty,
    )


def replaced(
    outcome: Outcome[KAN], at: Tensor, other: Outcome[KAN], better: Tensor | None = None
) -> Outcome[KAN]:
    """The outcome with the replicas ``at`` (r,) taken from another of r replicas, those that are
    better (r,), if that is said; its steps count in any case."""
    steps, reasons = list(outcome.steps), list(outcome.stop_reason)
    for row, r in enumerate(at.tolist()):
        steps[r] += other.steps[row]
        if better is None or better[row]:
            reasons[r] = other.stop_reason[row]
    mask, place = spread_out(at, len(steps))
    if better is not None:
        mask[at] = better
    return Outcome(
        where(mask, other.net[place], outcome.net),
        tuple(steps),
        tuple(reasons),
        torch.where(mask, other.grad_norm[place], outcome.grad_norm),
        torch.where(mask[:, None], other.memory[place], outcome.memory),
    )


def of(outcome: Outcome[KAN], at: Tensor) -> Outcome[KAN]:
    """The outcome of the replicas ``at``."""
    which = at.tolist()
    return Outcome(
        outcome.net[at],
        tuple(outcome.steps[r] for r in which),
        tuple(outcome.stop_reason[r] for r in which),
        outcome.grad_norm[at],
        outcome.memory[at],
    )


def joined(parts: list[tuple[Tensor, Outcome[KAN]]]) -> Outcome[KAN]:
    """The outcomes of replicas (r,) each, which make up all, in order."""
    outcomes = [outcome for at, outcome in parts if at.numel()]
    if len(outcomes) == 1:
        return outcomes[0]
    whole = Outcome(
        KAN.concatenated([one.net for one in outcomes]),
        tuple(steps for one in outcomes for steps in one.steps),
        tuple(reason for one in outcomes for reason in one.stop_reason),
        torch.cat([one.grad_norm for one in outcomes]),
        torch.cat([one.memory for one in outcomes]),
    )
    return of(whole, torch.cat([at for at, _ in parts]).argsort())
