"""The race of random starts: what it draws, which starts stay, and when it runs again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from nets import example, normal, random_kan

from kansweep.networks.kan import Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import race
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import training_error

CHAIN = Shape((2, 1, 1, 1), 3, 5, False)


def waves(n: int, seeds: tuple[int, ...]) -> Problem:
    """exp(sin(3 (x^2 + y))), a target of three layers."""
    x = example(n, seeds).x
    y = torch.exp(torch.sin(3 * (x[..., :1] ** 2 + x[..., 1:])))
    return Problem(x, y, (-1, 1), seeds)


def test_every_seed_of_a_chain_of_single_nodes_ends_in_a_right_basin():
    problem = waves(300, (0, 1))
    solver = LM()
    net = solver.start(CHAIN, problem)
    net = solver.solve(net.refined(10), problem).net
    assert (training_error(net, problem).sqrt() < 2e-3).all()


def test_starts_depend_on_their_seed_and_number_alone():
    for late in (False, True):
        together = race._drawn(CHAIN, waves(100, (3, 3, 4, 4)), [0, 1, 0, 1], 1.0, late=late)
        alone = race._drawn(CHAIN, waves(100, (4,)), [1], 1.0, late=late)
        torch.testing.assert_close(together[3:].theta(), alone.theta())
        assert not torch.equal(together[2:3].theta(), together[3:].theta())


def test_pursued_starts_do_not_depend_on_the_units_of_outputs():
    shape, problem = Shape((2, 2, 2), 3, 10, False), waves(100, (0, 1))
    problem = replace(problem, y=torch.cat([problem.y, problem.x[..., :1] ** 3], 2))
    other = replace(problem, y=problem.y * torch.tensor([1.0, 1024.0]))
    one, two = (race._drawn(shape, each, [0, 1], 1.0, late=True) for each in (problem, other))
    assert torch.equal(one.theta(), two.theta())


def test_smooth_starts_are_polynomials_and_silu_begins_with_nothing():
    shape = Shape((2, 1, 1), 3, 5, True)
    net = race._drawn(shape, waves(50, (0,)), [0], 1.0, late=False)
    for layer in net.layers:
        assert layer.coef.diff(n=4, dim=3).abs().max() < 1e-12
        assert layer.coef.diff(n=1, dim=3).abs().max() > 1e-2
        assert not layer.base.any()


def test_scores_do_not_see_an_outer_function_that_rises():
    y = waves(100, (0,)).y
    scores = race._scores(y)
    assert torch.equal(scores, race._scores(y.exp()))
    assert scores.std().item() == pytest.approx(1, abs=0.02)


def test_starts_in_one_basin_count_once():
    score = torch.tensor([0.5, 0.1, 0.1001, 0.2, math.nan, 0.3, 0.3, 0.4])
    assert race._best(score, 2, 2).tolist() == [1, 3, 5, 7]
    assert race._best(score, 3, 2).tolist() == [1, 3, 0, 5, 7, 4]


def test_the_order_is_measured_between_the_last_two_grids():
    before, error = torch.tensor([[1.6, 1.0, 1.0, 1.0], [0.1, 1.0, 0.0, math.nan]])
    share = race._share_of_order([3, 5, 10], 3, before, error)
    assert share[:2].tolist() == pytest.approx([1.0, 0.0])
    assert share[2] == torch.inf
    assert share[3] == -torch.inf
    assert (race._share_of_order([3], 3, before, error) == torch.inf).all()


@pytest.mark.parametrize(
    ("order", "gain", "settled"),
    [
        (0.7, 1.0, True),  # coarse for the target, and nothing better is found
        (0.7, 0.5, False),
        (0.5, 1.0, False),  # a wrong basin may be found twice
        (0.01, 0.99, True),  # noise
        (0.01, 1.2, False),
    ],
)
def test_when_another_race_is_the_last(order, gain, settled):
    net, noise = random_kan((2, 2, 1), replicas=1), replace(waves(100, (0,)), y=normal(1, 100, 1))
    net = net.with_theta(0 * net.theta())
    found = race.Winners(net, torch.tensor([1.0]), torch.tensor([order]))
    again = race.Winners(net, torch.tensor([gain]), torch.tensor([order]))
    assert race._is_settled(found, torch.tensor([0]), again, noise).tolist() == [settled]


def test_two_alike_races_are_no_noise_where_neighbours_are_alike():
    net = random_kan((2, 2, 1), replicas=1)
    both = race.Winners(net, torch.tensor([1.0]), torch.tensor([0.01]))
    assert race._is_settled(both, torch.tensor([0]), both, waves(400, (0,))).tolist() == [False]


@pytest.mark.parametrize("by_far", [False, True])
@pytest.mark.parametrize("noise", [False, True])
def test_few_points_ask_for_a_rival_where_neighbours_are_alike(monkeypatch, noise, by_far):
    """Which stays if it is better by far on points that neither was trained on."""
    found, seeds, begun, judged = {}, {}, race._race, []

    def one(shape, problem, restarts, scale, index):
        found[index] = begun(shape, problem, restarts, scale, index).net
        seeds[index], ones = problem.seeds, torch.ones(len(problem.seeds))
        return race.Winners(found[index], ones / (1 + index), ones * torch.inf)

    def surpasses(rival, net, held_out):
        judged.append(held_out.x.shape[1])
        return torch.full((rival.n_replicas,), by_far)

    monkeypatch.setattr(race, "_race", one)
    monkeypatch.setattr(race.basins, "surpasses", surpasses)
    problem = waves(200, (0, 1))
    problem = replace(problem, y=normal(2, 200, 1) if noise else problem.y)
    net = race.run(Shape((2, 2, 1), 3, 5, False), problem, 4, 1.0)
    assert list(found) == ([0] if noise else [0, race.COARSE])
    assert judged == ([] if noise else [20])
    rivals = found[race.COARSE].refined(5).theta() if by_far and not noise else []
    for r, seed in enumerate(seeds[race.COARSE] if len(rivals) else ()):
        assert torch.equal(net[seed : seed + 1].theta()[0], rivals[r])
    others = [r for r in (0, 1) if not len(rivals) or r not in seeds[race.COARSE]]
    assert torch.equal(net.theta()[others], found[0].refined(5).theta()[others])


def test_late_races_begin_on_the_last_grid_with_a_quarter_of_the_starts(monkeypatch):
    seen, trained = [], race._trained

    def watched(net, *more, soften):
        seen.append((net.grid_size, net.n_replicas, soften))
        return trained(net, *more, soften=soften)

    monkeypatch.setattr(race, "_trained", watched)
    shape = Shape((2, 2, 1), 3, 5, False)
    winners = race._race(shape, waves(200, (0, 1)), 12, 1.0, race.COARSE)
    assert seen == [(10, 6, True), (5, 2, False)]  # the other grid is for the order
    assert winners.net.grid_size == 10


def test_the_better_winner_of_every_seed_stays():
    nets = [random_kan((2, 2, 1), seed=seed, replicas=many) for seed, many in ((0, 3), (1, 2))]
    found = race.Winners(nets[0], torch.tensor([1.0, math.nan, 1.0]), torch.zeros(3))
    again = race.Winners(nets[1], torch.tensor([2.0, 0.5]), torch.ones(2))
    best = found.with_better(torch.tensor([0, 1]), again)
    assert best.error.tolist() == [1.0, 0.5, 1.0]
    assert best.order.tolist() == [0.0, 1.0, 0.0]
    assert torch.equal(best.net[1:2].theta(), nets[1][1:2].theta())
    assert torch.equal(best.net[0:1].theta(), nets[0][0:1].theta())


@pytest.mark.parametrize(("order", "races"), [(1.0, 1), (0.7, 2), (0.01, 2), (0.3, race.RACES)])
def test_races_run_until_they_can_tell(monkeypatch, order, races):
    seen = []

    def one(shape, problem, restarts, scale, index):
        seen.append(index)
        return race.Winners(random_kan((2, 2, 1), 5, replicas=1), torch.ones(1), order * ones)

    ones = torch.ones(1)
    monkeypatch.setattr(race, "_race", one)
    noise = replace(waves(100, (0,)), y=normal(1, 100, 1))
    race.run(Shape((2, 2, 1), 3, 5, False), noise, 4, 1.0, 3)
    assert seen == [3 + index for index in range(races)]


def test_an_error_that_is_not_small_is_to_be_confirmed_however_far_it_fell(monkeypatch):
    monkeypatch.setattr(race, "_share_of_order", lambda grids, k, before, error: 0 * error + 0.9)
    for small, order in ((math.inf, 0.9), (0.0, race.LEAST_FALL)):
        monkeypatch.setattr(race.basins, "small", lambda net, small=small: small)
        winners = race._race(Shape((2, 1, 1), 3, 3, False), waves(200, (0,)), 1, 1.0, 0)
        assert winners.order.tolist() == [order]


def test_errors_of_few_points_are_not_asked_to_fall():
    winners = race._race(Shape((2, 2, 1), 3, 5, False), waves(200, (0,)), 1, 1.0, 0)
    assert winners.order.tolist() == [math.inf]


@pytest.mark.parametrize(("n", "last"), [(111, 3), (181, 5), (643, 10), (644, 20)])
def test_the_last_grid_needs_points_to_tell_an_order(n, last):
    assert race._grids(Shape((2, 2, 1, 1), 3, 6, None), n)[-1] == last


def test_a_race_is_run_once_for_all_grids_that_ask_for_it(monkeypatch):
    """And anew for what any other seed, point, count or start would change."""
    problem, seen, begun = waves(150, (0, 1)), [], race._race

    def watched(shape, problem, *more):
        seen.append(problem.seeds)
        return begun(shape, problem, *more)

    monkeypatch.setattr(race, "_race", watched)
    shape = Shape((2, 1, 1), 3, 5, False)
    race.run(shape, problem, 2, 1.0)
    later = race.run(replace(shape, grid_size=10), problem[torch.tensor([1])], 2, 1.0)
    assert seen == [(0, 1)]
    race.run(shape, waves(150, (2, 0)), 2, 1.0)
    assert seen == [(0, 1), (2,)]
    moved = replace(problem, y=problem.y + torch.tensor([[[1e-9]], [[0.0]]]))
    counted = replace(problem, counts=torch.ones(2, 150).double())
    wider = replace(problem, domain=(-1, torch.tensor([1.0, 2.0])))
    for other, restarts, scale, number in (
        *((each, 2, 1.0, 0) for each in (moved, counted, wider)),
        *((problem, 3, 1.0, 0), (problem, 2, 2.0, 0), (problem, 2, 1.0, 1)),
    ):
        race.run(shape, other, restarts, scale, number)
    assert seen[2:] == [(0,), *[(0, 1)] * 5]
    race.run(replace(shape, k=2), problem, 2, 1.0)
    assert len(seen) == 9
    race.remembered.cache_clear()
    anew = race.run(replace(shape, grid_size=10), problem, 2, 1.0)
    torch.testing.assert_close(later.theta()[0], anew.theta()[1], rtol=1e-6, atol=1e-9)


def test_grids_that_only_judge_are_not_softened(monkeypatch):
    seen = []

    def trained(net, field, scale, *, soften):
        seen.append((net.grid_size, soften))
        return net

    monkeypatch.setattr(race, "_trained", trained)
    race._race(Shape((2, 2, 1), 3, 5, False), waves(700, (0,)), 2, 1.0, 0)
    assert seen == [(3, True), (5, True), (10, False), (20, False)]


def test_no_head_is_left_at_the_first_grid(monkeypatch):
    """Errors on the first grid that would leave the better starts, were they asked."""
    seen = []

    def trained(net, field, scale, *, soften):
        seen.append(net.n_replicas)
        return net

    monkeypatch.setattr(race, "_trained", trained)
    race._race(CHAIN, waves(200, (0,)), 12, 1.0, 0)
    assert seen[:3] == [6, 12, 12]  # heads, and then the first two grids
    seen.clear()
    race._race(Shape((2, 2, 1), 3, 5, False), waves(200, (0,)), 12, 1.0, 0)
    assert seen[:2] == [12, 6]


def test_a_chain_that_has_lost_its_way_begins_anew_where_a_race_can_tell(monkeypatch):
    """From zero first edges on, as little as a coarse grid may leave; the second seed is right."""
    problem = waves(400, (0, 1))
    right = race.run(CHAIN, problem, 16, 1.0)
    wrong = right.with_theta(right.theta() * torch.tensor([[0.0], [1.0]]))
    asked = []
    run = race.run
    monkeypatch.setattr(
        race, "run", lambda shape, of, *more: asked.append(of.seeds) or run(shape, of, *more)
    )
    solver, memory, net, errors = LM(), None, wrong, []
    for grid_size in (5, 10, 20, 40):
        outcome = solver.solve(net.refined(grid_size), problem, memory)
        net, memory = outcome.net, outcome.memory
        errors.append(training_error(net, problem).sqrt())
    assert asked == [(0,)]  # at 20, and once
    assert errors[1][0] > 0.1
    assert (errors[2] < 1e-4).all()
