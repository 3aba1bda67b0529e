"""Deep networks that hang on single points."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import points, random_kan

from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton import penalty, steady
from kansweep.solvers.gauss_newton.weights import Memory
from kansweep.solvers.reasons import StopReason

DEEP = (2, 1, 1, 1, 1, 1, 1)


def left(width, error):
    """An outcome that is wrong by so much at its points, and problem and network."""
    net = random_kan(width, 3, replicas=len(error))
    x = points(len(error), 30, 2)
    one = torch.ones(len(error)).double()
    memory = Memory(one[:, None, None].expand(-1, len(net.layers), 3), one * error, 3 * one)
    why = (StopReason.CONVERGED,) * len(error)
    outcome = Outcome(net, (2,) * len(error), why, one, memory.numbers)
    return outcome, Problem(x, net(x), (-1.0, 1.0), tuple(range(len(error))))


@pytest.mark.parametrize(
    ("width", "left_out", "firm"),
    [
        (DEEP, [0.1, 0.4, 0.4], [None, 1e3, 30.0]),  # of the last two, a firmer one is better
        ((2, 1, 1, 1, 1, 1), [0.1, 0.4, 0.4], [None] * 3),
    ],
)
def test_what_hangs_on_single_points_gives_way_to_what_is_firm(monkeypatch, width, left_out, firm):
    outcome, problem = left(width, torch.tensor([0.1, 0.1, 0.1]).double())
    kept = outcome.net.theta()

    def errors(net, of, w):
        share = w[:, 0, 0] / penalty.weight(3, 3)
        known = {30: [0.3, 0.1], 1000: [0.1, 0.2]}
        if len(of.seeds) == 3:
            squares = torch.tensor(left_out)
        else:
            squares = torch.tensor(known[round(share[0].item())])
        return squares.double()[:, None].expand(-1, 30) ** 2

    def train(net, of, weight, observe):
        mark = weight.value[:, 0, 0] / penalty.weight(3, 3)
        memory = replace(Memory.of(outcome.memory[list(of.seeds)]), weight=weight.value).numbers
        other = net.with_theta(torch.zeros_like(net.theta()) + mark[:, None])
        reasons = (StopReason.STALLED,) * len(mark)
        return Outcome(other, (1,) * len(mark), reasons, mark, memory)

    monkeypatch.setattr(steady.leave_one_out, "errors", errors)
    found = steady.steadied(lambda *_: outcome, train, outcome.net, problem, None, None)
    for r, mark in enumerate(firm):
        expected = kept[r] if mark is None else torch.full_like(kept[r], mark)
        torch.testing.assert_close(found.net.theta()[r], expected)
    steps = [2, 4, 4] if width == DEEP else [2, 2, 2]
    assert list(found.steps) == steps
