"""Deep networks that hang on single points."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import points, random_kan
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton import penalty, steady
from kansweep.solvers.gauss_newton.weights import Memory
from kansweep.solvers.reasons import StopReason

DEEP, GRID, POINTS = (2, 1, 1, 1), 3, 100  # 24 parameters
ERROR = 0.1  # of every network at its points
SEARCHED, FRESH = 1.0, 7.0  # what networks say, by which they are told; firm ones say how firm
# Leave-one-out errors of four replicas: one does not hang; to two of those that do, one of the
# firmer weights is the best; of the last these hang, too.
LEFT_OUT = {
    SEARCHED: [0.9, 4.0, 4.0, 4.0],
    30.0: [0.1, 2.5, 0.4, 2.0],
    1e3: [0.1, 0.5, 0.5, 1.5],
    FRESH: [0.1, 0.4, 0.3, 0.9],
}


def saying(net: KAN, mark: float | Tensor) -> KAN:
    return net.with_theta(torch.zeros_like(net.theta()) + mark)


def outcome(net: KAN, steps: int) -> Outcome[KAN]:
    one = torch.ones(net.n_replicas).double()
    weight = one[:, None, None].expand(-1, len(net.layers), 3)
    why = (StopReason.CONVERGED,) * net.n_replicas
    left = Memory(weight, ERROR * one, net.grid_size * one)
    return Outcome(net, (steps,) * net.n_replicas, why, one, left.numbers)


def steadied(monkeypatch, width=DEEP, n_points=POINTS, last=None, left_out=LEFT_OUT):
    """What each replica ends with, and after how many steps; a search takes 2 and others one."""
    net = random_kan(width, GRID, replicas=4)
    x = points(4, n_points, 2)
    problem = Problem(x, net(x), (-1.0, 1.0), (0, 1, 2, 3))

    def errors(net, of, w):
        marks = net.theta()[:, 0].tolist()
        known = [left_out[mark][seed] for mark, seed in zip(marks, of.seeds, strict=True)]
        return torch.tensor(known).double()[:, None].expand(-1, n_points) ** 2

    def search(net, of, last, observe):
        return outcome(net if last is None else saying(net, SEARCHED), 2)

    def train(net, of, weight, observe):
        return outcome(saying(net, (weight.value[:, :1, 0] / penalty.weight(GRID, 3)).round()), 1)

    def start(shape, of):
        return saying(random_kan(shape.width, shape.grid_size, replicas=len(of.seeds)), FRESH)

    begun = saying(net, SEARCHED)
    if last is not None:
        memory = Memory.of(outcome(net, 2).memory)
        last = replace(memory, grid_size=torch.tensor(last).double())
    monkeypatch.setattr(steady.leave_one_out, "errors", errors)
    found = steady.steadied(search, train, start, begun, problem, last, None)
    return found.net.theta()[:, 0].tolist(), list(found.steps)


def test_what_hangs_on_single_points_gives_way_to_what_is_firm(monkeypatch):
    found, steps = steadied(monkeypatch)
    assert found == [SEARCHED, 1e3, 30.0, SEARCHED]
    assert steps == [2, 4, 4, 4]


def test_and_up_to_the_last_grid_of_a_race_to_what_is_found_anew(monkeypatch):
    """0.4 is not by far less than 0.5, and 0.3 than 0.4 neither."""
    found, steps = steadied(monkeypatch, last=[10.0, 10.0, 20.0, 10.0])
    assert found == [SEARCHED, 1e3, 30.0, FRESH]
    assert steps == [2, 6, 4, 6]


def test_what_hangs_itself_is_no_help(monkeypatch):
    worse = {**LEFT_OUT, FRESH: [0.1, 0.1, 0.1, 1.1]}
    found, _ = steadied(monkeypatch, last=[10.0, 10.0, torch.nan, 10.0], left_out=worse)
    assert found == [SEARCHED, FRESH, 30.0, SEARCHED]


@pytest.mark.parametrize(
    ("width", "n_points"),
    [((2, 4, 1), 200), ((2, 1, 1), POINTS), ((2, 1), POINTS), (DEEP, 48), (DEEP, 24 * 16)],
)
def test_what_cannot_hang_or_not_be_told_is_left_alone(monkeypatch, width, n_points):
    found, steps = steadied(monkeypatch, width, n_points, left_out={SEARCHED: [4.0] * 4})
    assert found == [SEARCHED] * 4
    assert steps == [2] * 4
