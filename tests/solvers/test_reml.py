"""The penalty's weight, as restricted likelihood finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from mixed_model import Additive
from nets import example, normal, points
from torch import Tensor
from trainings import EXAMPLE, fresh_rmse, trained

from kansweep.config.solvers import LMConfig
from kansweep.networks.kan import KAN, Shape, edges
from kansweep.networks.points import points_of
from kansweep.solvers.contract import Problem, output_spread
from kansweep.solvers.gauss_newton import descent, penalty, projection, start
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import settle
from kansweep.solvers.gauss_newton.reml import Weight, updated
from kansweep.solvers.gauss_newton.systems import Direct, Iterative, system

SPREAD = 1.40  # standard deviation of exp_sin over its domain


def excess(noise: float, n_train: int, solver: LM | None = None) -> float:
    """Error on the clean target at G = 100 over that at the best grid, medians of four seeds;
    noise in standard deviations of the target, on the training outputs only."""
    seeds = (0, 1, 2, 3)
    problem = example(n_train, seeds)
    draws = [np.random.default_rng([seed, 3]).standard_normal((n_train, 1)) for seed in seeds]
    noisy = replace(problem, y=problem.y + noise * SPREAD * torch.from_numpy(np.stack(draws)))
    nets = trained(noisy, (5, 10, 20, 50, 100), solver)
    errors = [fresh_rmse(net, seeds).median().item() for net in nets]
    return errors[-1] / min(errors)


@pytest.mark.parametrize(("noise", "n_train"), [(0.01, 100), (0.1, 300)])
def test_with_noise_a_grid_far_too_fine_is_as_good_as_the_best(noise, n_train):
    assert excess(noise, n_train) < 1.05


@pytest.mark.parametrize("n_train", [300, 1000])
def test_with_noise_a_penalty_that_is_given_fits_the_noise_and_reml_does_not(n_train):
    assert excess(0.01, n_train, LM(LMConfig(penalty=1.0))) > 2
    assert excess(0.01, n_train) < 1.05


@pytest.mark.parametrize("form", [Direct, Iterative])
@pytest.mark.parametrize(("stiff", "degree"), [(1, 4), (2, 1), (3, 0)])
def test_a_stiff_penalty_does_not_hold_what_it_leaves_free(stiff, degree, form, monkeypatch):
    """At huge weights the coefficients are the best polynomial of degree k + 1, the best line, or
    nothing but a constant, from nothing."""
    monkeypatch.setattr(descent, "system", form)
    monkeypatch.setattr(projection, "is_direct", lambda *_: form is Direct)
    x = points(1, 200, 1)
    y = torch.sin(4 * x) + 0.1 * normal(1, 200, 1, seed=2)
    problem = Problem(x, y, (-1, 1), (0,))
    net = start.blank(Shape((1, 1), 3, 20, False), problem)
    value = torch.where(torch.arange(3) < stiff, 1e9, 0.0).double()
    fitted = descend(net, problem, Limits(20, 1e-9), Weight.fixed(value[None, None]), 1e-3).net
    powers = np.polynomial.legendre.legvander(np.linspace(-1, 1, 23), degree)  # (K, degree + 1)
    columns = [net.with_theta(torch.from_numpy(c)[None])(x).flatten() for c in powers.T]
    design = torch.stack(columns, dim=1).numpy()
    best = design @ np.linalg.lstsq(design, y.flatten().numpy(), rcond=None)[0]
    np.testing.assert_allclose(fitted(x).flatten(), best, atol=1e-4)


def waves(n_inputs: int, n: int, noise: float, seeds: tuple[int, ...] = (0,)) -> Problem:
    """y = sum_i sin((2 + i) x_i) + noise, a problem of one layer."""
    pairs = [(points(1, n, n_inputs, seed=s), normal(1, n, 1, seed=1000 + s)) for s in seeds]
    x, drawn = (torch.cat(part) for part in zip(*pairs, strict=True))
    rates = 2.0 + torch.arange(n_inputs)
    y = torch.sin(rates * x).sum(2, keepdim=True) + noise * drawn
    return Problem(x, y, (-1, 1), seeds)


def oracle(problem: Problem, grid_size: int, r: int = 0) -> Additive:
    return Additive(problem.x[r].numpy(), problem.y[r, :, 0].numpy(), grid_size)


def blank(problem: Problem, grid_size: int) -> KAN:
    return start.blank(Shape((problem.x.shape[2], 1), 3, grid_size, False), problem)


LINEAR = [(1, 60, 0.3, 8), (1, 200, 0.3, 15), (2, 150, 0.2, 10), (3, 400, 0.1, 10)]


@pytest.mark.parametrize(("n_inputs", "n", "noise", "grid_size"), LINEAR)
def test_weights_maximise_the_restricted_likelihood_of_a_linear_model(
    n_inputs, n, noise, grid_size
):
    """Against SciPy's maximum of the mixed model's marginal density. How near: updates end once
    they change a weight by less than a third, or a weight that hardly matters at all."""
    problem = waves(n_inputs, n, noise)
    ours = LM().solve(blank(problem, grid_size), problem).memory[0, :3].numpy()
    model = oracle(problem, grid_size)
    assert model.likelihood(model.best(ours)) - model.likelihood(ours) < 0.05


def repeated_updates(
    problem: Problem, grid_size: int, times: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (R, 3) after many updates from far off, none of them called the last one, and the
    variance of noise that is stationary with them, n w energy / (ranks - w trace), (R, 3)."""
    spread = output_spread(problem.y)
    problem = replace(problem, y=problem.y / spread[:, None])
    net = blank(problem, grid_size)
    replicas = torch.arange(net.n_replicas)
    value = torch.full((net.n_replicas, 1, 3), 1e-3, dtype=torch.float64)
    for _ in range(times):
        point = settle(points_of(problem.x, problem.y, k=net.k).hidden(net, ()), value)
        equations = system(point.linearised())
        one_more = Weight(value, 0 * value, torch.ones_like(replicas))
        ends = value, point.energy, equations.trace(value, replicas)
        value = updated(one_more, point, equations, 0 * value[:, 0, :2]).value
    w, energy, trace = (end[:, 0] for end in ends)
    freedom = torch.tensor(penalty.ranks(net)) - w * trace
    variance = problem.x.shape[1] * w * energy / freedom * spread**2
    return value[:, 0].numpy(), variance.numpy()


@pytest.mark.parametrize(("n_inputs", "n", "noise", "grid_size"), LINEAR)
def test_the_updates_fixed_point_is_where_the_restricted_likelihood_is_stationary(
    n_inputs, n, noise, grid_size
):
    problem = waves(n_inputs, n, noise)
    found = repeated_updates(problem, grid_size)[0][0]
    best = oracle(problem, grid_size).best(found)
    at_most = 5e3  # as good as infinite, and the way there is long
    np.testing.assert_allclose(found.clip(max=at_most), best.clip(max=at_most), rtol=1e-3)


def test_a_weight_that_the_data_determine_is_right_after_one_update():
    """The rows' energy hardly depends on it then, and what the update asks for is right. Two go
    before it, as none changes a weight by more than a hundred times."""
    problem = waves(1, 1000, 1e-3)
    once, final = (repeated_updates(problem, 5, times)[0][0] for times in (3, 100))
    assert 1e-9 < final[penalty.ROUGH] < 3e-8
    assert once[penalty.ROUGH] == pytest.approx(final[penalty.ROUGH], rel=0.05)


@pytest.mark.parametrize(
    ("noise", "off", "took", "missed", "left"),
    [
        (0.3, 0.0, 0.02, np.inf, 0),
        (0.3, 0.0, 0.2, 0.02, 0),
        (0.3, 0.0, 0.2, 0.2, 7),  # steps still gain
        (0.3, 0.0, 0.5, 0.5, 8),  # they gain too much to begin
        (0.3, 0.7, 0.002, np.inf, 7),
        (1e-3, 0.7, 0.02, np.inf, 7),
        (1e-3, 0.7, 0.002, np.inf, 0),  # that far off they hardly matter
        (1e-3, 2.0, 0.002, np.inf, 7),
    ],
)
def test_weights_are_final_once_they_and_the_steps_change_little(noise, off, took, missed, left):
    """From logarithms ``off`` the fixed point."""
    problem = waves(1, 200, noise)
    value = torch.from_numpy(repeated_updates(problem, 15)[0])[:, None] * np.exp(off)
    problem = replace(problem, y=problem.y / output_spread(problem.y)[:, None])
    net = blank(problem, 15)
    point = settle(points_of(problem.x, problem.y, k=net.k).hidden(net, ()), value)
    many = net.n_replicas
    weight = Weight(value, 0 * value, torch.full((many,), 8))
    fall = torch.tensor([took, missed]).double().expand(many, -1)
    after = updated(weight, point, system(point.linearised()), fall)
    assert after.left.tolist() == [left] * many


@pytest.mark.parametrize(("n", "size"), [(100, 0.0), (400, 0.0), (400, 1.0)])
def test_what_the_data_do_not_show_is_held_by_a_large_weight(n, size):
    """Noise alone, or an even function, which has no slope: the likelihood's best weights are
    infinite, and to be near it is to have large ones."""
    seeds = tuple(range(16))
    x = torch.cat([points(1, n, 1, seed=s) for s in seeds])
    drawn = torch.cat([normal(1, n, 1, seed=50 + s) for s in seeds])
    problem = Problem(x, size * torch.cos(3 * x) + 0.2 * drawn, (-1, 1), seeds)
    memory = LM().solve(blank(problem, 12), problem).memory
    for r in seeds:
        ours, model = memory[r, :3].numpy().clip(1e-12), oracle(problem, 12, r)
        assert model.likelihood(model.best(ours)) - model.likelihood(ours) < 0.5


def test_a_noise_that_is_known_comes_back():
    """Of 20 data sets: their mean within 3 standard errors, and nearly what the oracle has for
    each. Read off the slope's weight, which is the one that data always determine."""
    seeds, noise, n = tuple(range(20)), 0.2, 60
    problem = waves(1, n, noise, seeds)
    weights, variances = repeated_updates(problem, 8)
    found = variances[:, penalty.STRAIGHT]
    one = (2 / n) ** 0.5
    assert np.mean(found) / noise**2 == pytest.approx(1, abs=3 * one / len(seeds) ** 0.5)
    assert np.std(found) / noise**2 == pytest.approx(one, rel=0.5)
    for r in seeds:
        unit = problem.y[r].var(correction=0).item()
        expected = oracle(problem, 8, r).variance(weights[r].clip(1e-12)) * unit
        assert found[r] == pytest.approx(expected, rel=0.05)


def ranges_and_bends(net: KAN) -> tuple[Tensor, Tensor]:
    """Of a layer's edges into its one output: their range on [-1, 1] and how far they are from the
    straight line between its ends, (R, I) each."""
    at = torch.linspace(-1, 1, 101, dtype=torch.float64)[None, :, None]
    layer = net.layers[0]
    values = edges(layer, at.expand(net.n_replicas, -1, layer.n_inputs), net.k)[..., 0]
    line = values[:, :1] + (values[:, -1:] - values[:, :1]) * (at + 1) / 2
    return values.amax(1) - values.amin(1), (values - line).abs().amax(1)


def rows_of(f: Callable[[Tensor], Tensor], n: int, noise: float, n_seeds: int = 8) -> Problem:
    seeds = tuple(range(n_seeds))
    x = torch.cat([points(1, n, 2, seed=s) for s in seeds])
    drawn = torch.cat([normal(1, n, 1, seed=50 + s) for s in seeds])
    return Problem(x, f(x) + noise * drawn, (-1, 1), seeds)


def test_an_input_that_only_looks_active_has_an_edge_of_a_few_per_cent():
    problem = rows_of(lambda x: torch.sin(3 * x[..., :1]), 400, 0.1)
    ranges, _ = ranges_and_bends(LM().solve(blank(problem, 12), problem).net)
    share = ranges[:, 1] / ranges[:, 0]
    assert share.median() < 0.03
    assert share.max() < 0.06


def test_edges_become_straight_lines_where_the_data_are_linear_but_for_noise():
    problem = rows_of(lambda x: x.sum(2, keepdim=True), 100, 0.1)
    ranges, bends = ranges_and_bends(LM().solve(blank(problem, 12), problem).net)
    assert ((ranges - 2).abs() < 0.1).all()
    assert bends.median() < 0.01
    assert bends.max() < 0.05


def test_of_noise_alone_nothing_is_left():
    """Least squares leaves sqrt(P / n) of the noise, half of it; linear regression a fifth."""
    problem = rows_of(lambda x: 0 * x[..., :1], 100, 1.0)
    net = LM().solve(blank(problem, 12), problem).net
    fitted = net(points(8, 1000, 2, seed=9)) - problem.y.mean(1, keepdim=True)
    assert fitted.square().mean((1, 2)).sqrt().median() < 0.1


def test_a_weight_that_is_given_stays():
    problem = example(100, (0,))
    outcome = LM(LMConfig(penalty=3.0)).solve(
        LM(LMConfig(penalty=3.0)).start(EXAMPLE, problem), problem
    )
    expected = 3.0 * penalty.weight(5, 3)
    seen = []
    LM(LMConfig(penalty=3.0)).solve(outcome.net, problem, observe=seen.append)
    assert {now.penalty.item() for now in seen} == {expected}
