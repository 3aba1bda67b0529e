"""Ends of hidden splines where points are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import generator, normal, points, random_kan, uneven_kan
from torch import Tensor

from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Iteration, Problem
from kansweep.solvers.gauss_newton import continued, smoother
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.weights import Memory

G = 24


def waves(h: Tensor) -> Tensor:
    """One or two outputs of hidden values (R, n, 1)."""
    return torch.cat([torch.exp(h), torch.sin(3 * h)], 2)


def given(make=random_kan, base: bool = False, outputs: int = 1, n: int = 400) -> tuple:
    """A [2, 1, M] network that knows the sum of its inputs, fitted to ``waves`` of it, at points
    that do not reach its corners, where it is wrong, and the problem."""
    net = make((2, 1, outputs), grid_size=G, base=base)
    first, last = net.layers
    identity = first.greville(net.k)[:, None].clone()
    first = replace(first, coef=identity, base=None if base is False else 0 * first.base)
    last = replace(last, lower=last.lower * 2, upper=last.upper * 2)
    x = points(2, n, 2) * torch.tensor([1.0, 0.6]).double()
    net = replace(net, layers=(first, last))
    h = replace(net, layers=(first,))(x)
    fit = continued.gauss_points(last.unit_breaks(net.k), net.k)
    at = last.lower[:, None] + (last.upper - last.lower)[:, None] * fit
    silu = torch.nn.functional.silu(last.shift[:, None] + last.scale[:, None] * at)
    silu = 0 if last.base is None else silu * last.base[:, :, 0][:, None]
    last = last.fitted((waves(at)[..., :outputs] - silu)[:, :, None], net.k)
    coef = last.coef.clone()
    coef[..., :2] += 0.3
    coef[..., -2:] -= 0.3
    net = replace(net, layers=(first, replace(last, coef=coef)))
    return net, Problem(x, waves(h)[..., :outputs], (-1.0, 1.0), (0, 1))


def mended(net: KAN, problem: Problem, beyond: int = 2) -> KAN:
    one = torch.ones(net.n_replicas).double()
    left = Memory.left(one[:, None, None].repeat(1, len(net.layers), 3), one, G, beyond)
    return continued.continued(net, problem, left.numbers)


def error(net: KAN, x: Tensor) -> Tensor:
    h = replace(net, layers=net.layers[:1])(x)
    return (net(x) - waves(h)[..., : net.width[-1]]).abs().amax(1)


@pytest.mark.parametrize(
    ("make", "base", "outputs"),
    [(random_kan, False, 1), (uneven_kan, False, 1), (random_kan, True, 2)],
)
def test_corners_without_points_are_what_the_points_next_to_them_say(make, base, outputs) -> None:
    net, problem = given(make, base, outputs)
    corners = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.95, 0.9]]).double().repeat(2, 1, 1)
    better = mended(net, problem)
    assert (error(net, corners) > 0.05).all()
    assert (error(better, corners) < 1e-3).all()
    assert better.layers[0] is net.layers[0]
    middle = problem.x * 0.25
    np.testing.assert_allclose(better(middle), net(middle), atol=1e-6)


def split(net: KAN) -> KAN:
    """The same function with its hidden node in two halves, of which one is shifted by 0.2."""
    first, last = net.layers
    first = replace(first, coef=torch.cat([first.coef, first.coef + 0.1], 1))
    ends = {
        name: torch.cat([end, end + 0.2], 1)
        for name, end in (("lower", last.lower), ("upper", last.upper))
    }
    last = replace(last, coef=0.5 * last.coef.repeat(1, 1, 2, 1), **ends)
    last = replace(last, shift=last.shift.repeat(1, 2), scale=last.scale.repeat(1, 2))
    return replace(net, layers=(first, last))


def deeper(net: KAN) -> KAN:
    """The same function with a layer more, the identity."""
    more = replace(net.layers[1], lower=net.layers[1].lower - 3, upper=net.layers[1].upper + 8)
    more = replace(more, coef=more.greville(net.k)[:, None])
    return replace(net, layers=(*net.layers, more))


@pytest.mark.parametrize("make", [split, deeper])
def test_so_are_those_behind_several_nodes_and_of_inner_layers(make) -> None:
    net, problem = given()
    net = make(net)
    corners = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.95, 0.9]]).double().repeat(2, 1, 1)
    true = waves(corners.sum(2, keepdim=True))[..., :1]
    assert ((net(corners) - true).abs().amax(1) > 0.05).all()
    better = mended(net, problem)
    assert ((better(corners) - true).abs().amax(1) < 2e-3).all()
    middle = problem.x * 0.25
    np.testing.assert_allclose(better(middle), net(middle), atol=1e-6)


def test_noise_and_ends_with_many_points_change_nothing() -> None:
    net, problem = given()
    noise = 0.1 * normal(*problem.y.shape) * torch.tensor([1.0, 0.0])[:, None, None]
    change = (
        mended(net, replace(problem, y=problem.y + noise))(problem.x * 2) - net(problem.x * 2)
    ).abs()
    assert change[0].max() == 0.0
    assert change[1].max() > 0.1
    few = problem.at(slice(0, 100))  # of which higher differences have made the ends
    assert mended(net, few, smoother.BEYOND) is net
    assert mended(net, problem, smoother.BEYOND) is not net
    pair = random_kan((2, 2, 1), grid_size=G)  # which does not follow the points
    assert mended(pair, problem) is pair
    values = torch.linspace(-1, 1, 1000).double()[None, :, None].repeat(2, 1, 2)
    coef = net.layers[-1].coef.clone()
    coef[..., :2] -= 0.299  # to where it is nearly right
    coef[..., -2:] += 0.3
    net = replace(net, layers=(net.layers[0], replace(net.layers[1], coef=coef)))
    many = Problem(values, waves(values.sum(2, keepdim=True))[..., :1], (-1.0, 1.0), (0, 1))
    assert mended(net, many) is net


@pytest.mark.parametrize("flipped", [False, True])
def test_ends_are_looked_at_up_to_where_points_determine_a_spline(flipped: bool) -> None:
    """Unless four are in the outermost interval, up to the break behind the fourth."""
    breaks = torch.linspace(0, 1, 21).double().repeat(2, 1)
    t = torch.rand(2, 120, generator=generator(3)).double() ** 3
    t = 1 - t.flip(0) if flipped else t
    limit = continued._limit(t, None, breaks, 4)[:, 0]
    for row, found in zip(t.numpy(), limit.tolist(), strict=True):
        counts = np.histogram(row, bins=20, range=(0, 1))[0]
        interval = int((counts.cumsum() < 4).sum())
        assert found == (pytest.approx((interval + 1) / 20) if interval else -np.inf)


def test_the_polynomial_is_that_of_least_variance_and_bias() -> None:
    t, z = points(1, 100, 1)[..., 0].abs(), torch.linspace(0, 0.1, 7).double()[None]
    y = torch.exp(3 * t) + 1e-4 * normal(1, 100)
    end = continued._End.of(t, y[..., None], None)
    error, values = continued._told(end, z, torch.ones_like(z).bool())
    t, order = t[0].sort()
    y, rivals = y[0][order].numpy(), []
    for n in (16, 32, 64, 100):
        own, of = t[:n].numpy(), np.polynomial.Chebyshev
        fits = [of.fit(own, y[:n], degree) for degree in range(min(12, n // 2 - 1) + 1)]
        for degree in range(3, len(fits) - 2):
            fit, *finer = fits[degree : degree + 3]
            at, to = (
                np.polynomial.chebyshev.chebvander(
                    fit.mapparms()[0] + fit.mapparms()[1] * v, degree
                )
                for v in (own, z[0].numpy())
            )
            noise = ((y[:n] - fit(own)) ** 2).sum() / (n - degree - 1)
            variance = noise * (to @ np.linalg.pinv(at.T @ at) * to).sum(1).mean()
            there = [each(z[0].numpy()) for each in (fit, *finer)]
            bias = max((np.diff(there, axis=0) ** 2).mean(1))
            rivals.append((variance + bias, there[0]))
    least, best = min(rivals, key=lambda rival: rival[0])
    assert error.item() == pytest.approx(least, rel=1e-4)
    np.testing.assert_allclose(values[0, :, 0], best, rtol=1e-7)


@pytest.mark.parametrize("speed", [5, 8, 12])
def test_of_even_functions_no_more_is_said_than_is_known(speed: float) -> None:
    """Every other coefficient is none there, and says nothing of the bias."""
    t = torch.linspace(0.02, 0.98, 200).double()[None]
    z = torch.linspace(0, 0.02, 9).double()[None]
    end = continued._End.of(t, torch.cos(speed * (t - 0.5))[..., None], None)
    error, values = continued._fitted(end, z, torch.ones_like(z).bool())
    true = (values[..., 0] - torch.cos(speed * (z - 0.5))).square().mean()
    assert true < error.item() < 2 * true


@pytest.mark.parametrize("name", ["kink", "steep"])
def test_points_are_followed_as_well_and_a_step_more_is_told(name: str) -> None:
    function = {
        "kink": lambda s: (s - 2.3).clamp(min=0) + 0.1 * s,
        "steep": lambda s: torch.exp(4 * s),
    }[name]
    x, told = points(2, 600, 3, seed=1), {}
    problem = Problem(x, function(x.sum(2, keepdim=True)), (-1.0, 1.0), (0, 1))

    def observe(now: Iteration) -> None:
        told.update({r: (now.step, now.rmse[i]) for i, r in enumerate(now.replicas.tolist())})

    solver = LM()
    net = solver.start(Shape((3, 1, 1), 3, 24, False), problem)
    descended = solver._searched(net, problem, None, None)
    outcome = solver.solve(net, problem, None, observe)
    for r in range(2):
        own = (outcome.net(x) - problem.y)[r].square().mean().sqrt()
        assert told[r] == (outcome.steps[r], pytest.approx(own.item(), rel=1e-9))
        assert own < 1.5 * (descended.net(x) - problem.y)[r].square().mean().sqrt()


@pytest.mark.parametrize("sure", [False, True])
def test_zigzags_of_which_no_polynomial_is_sure_stay(
    sure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of which it is, for points are followed less well by it."""
    if sure:
        monkeypatch.setattr(continued, "WRONG", 1e9)
        monkeypatch.setattr(continued, "LARGER", 1e9)
    net, problem = given()
    coef = net.layers[-1].coef.clone()
    coef[..., ::2] += 0.01
    net = replace(net, layers=(net.layers[0], replace(net.layers[1], coef=coef)))
    followed = replace(problem, y=net(problem.x) + 1e-7 * normal(*problem.y.shape))
    np.testing.assert_allclose(mended(net, followed)(problem.x), net(problem.x), atol=1e-10)


def test_a_count_is_so_many_points() -> None:
    net, problem = given(n=60)
    times = torch.arange(60) % 3 + 1
    at = torch.arange(60).repeat_interleave(times)
    counted = replace(problem, counts=times.double().repeat(2, 1))
    repeated = replace(problem, x=problem.x[:, at], y=problem.y[:, at])
    fresh = points(2, 500, 2, seed=9)
    one, other = (mended(net, each)(fresh) for each in (counted, repeated))
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert not torch.allclose(one, net(fresh), atol=1e-2)


@pytest.mark.parametrize("believed", [False, True])
def test_what_does_not_come_true_of_points_that_are_known_is_not_said(
    believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bend in the last interval with points none further in tell."""
    if believed:
        monkeypatch.setattr(continued, "LARGER", torch.inf)
    t = torch.linspace(0.06, 1, 200).double()[None]
    y = (torch.sin(3 * t) + 5 * (0.1 - t).clamp(min=0) ** 2)[..., None]
    limit = torch.tensor([[0.1]]).double()
    assert bool(continued._comes_true(t, y, None, limit)) == believed
    smooth = torch.sin(3 * t)[..., None]
    assert bool(continued._comes_true(t, smooth + 1e-9 * normal(1, 200, 1), None, limit))


@pytest.mark.parametrize("expected", [0.03, 3.0])
def test_splines_are_not_changed_by_less_than_what_is_expected_of_the_error(
    expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = continued._told
    monkeypatch.setattr(
        continued, "_told", lambda *given: (0 * told(*given)[0] + expected**2, told(*given)[1])
    )
    monkeypatch.setattr(continued, "WRONG", 1e9)
    net, problem = given()
    change = (mended(net, problem)(problem.x * 2) - net(problem.x * 2)).abs().max()
    assert change > 0.1 if expected < 0.1 else change == 0.0


def test_a_replica_is_continued_as_it_would_be_alone() -> None:
    """Also where others have fewer points to tell."""
    net, problem = given(n=120)
    x = problem.x.clone()
    x[1] *= torch.linspace(0.1, 1, 120).double()[:, None]  # few of them are outermost
    h = replace(net, layers=net.layers[:1])(x)
    problem = replace(problem, x=x, y=waves(h)[..., :1])
    fresh = points(2, 200, 2, seed=9)
    both = mended(net, problem)
    assert not torch.equal(both.theta(), net.theta())
    for r in range(2):
        at = torch.tensor([r])
        alone = mended(net[at], problem[at])
        np.testing.assert_allclose(alone(fresh[at]), both(fresh)[at], atol=1e-9)


@pytest.mark.parametrize(("outer", "told"), [(4, True), (12, False)])
def test_a_rehearsal_has_nothing_but_the_other_points(outer: int, told: bool) -> None:
    """Whose number may be too small for any polynomial."""
    t = torch.linspace(0, 1, 18).double()[None]
    y = (torch.exp(t) + 1e-6 * normal(1, 18))[..., None]
    limit = 0.5 * (t[:, outer - 1, None] + t[:, outer, None])
    assert bool(continued._comes_true(t, y, None, limit)) == told
    y[:, :outer] += 0.1
    assert not bool(continued._comes_true(t, y, None, limit))


def test_points_are_followed_by_every_output_that_an_inner_layer_changes() -> None:
    net, problem = given(outputs=2)
    layer = replace(net.layers[1], lower=net.layers[1].lower - 9, upper=net.layers[1].upper + 9)
    layer = torch.cat([layer.greville(net.k), 0 * layer.greville(net.k)], 1), layer
    coef = torch.stack([layer[0], layer[0].flip(1)], 1)
    ends = {
        name: getattr(layer[1], name).repeat(1, 2) for name in ("lower", "upper", "shift", "scale")
    }
    net = replace(net, layers=(*net.layers, replace(layer[1], coef=coef, **ends)))
    y = torch.cat([problem.y[..., :1], net(problem.x)[..., 1:] + 1e-9 * normal(2, 400, 1)], 2)
    missed = (mended(net, replace(problem, y=y))(problem.x) - y).square().mean(1).sqrt()
    assert (missed[:, 1] < 1.5e-9).all()


@pytest.mark.parametrize(("points_known", "exact"), [(21, False), (22, True)])
def test_no_polynomial_has_more_than_half_as_many_coefficients_as_points(
    points_known: int, exact: bool
) -> None:
    """Two of which are there to tell the bias of degree 8."""
    t = torch.linspace(0.02, 1, points_known).double()[None]
    z = torch.linspace(0, 0.02, 5).double()[None]
    end = continued._End.of(t, ((t - 0.5) ** 8)[..., None], None)
    error, _ = continued._fitted(end, z, torch.ones_like(z))
    assert (error.item() < 1e-20) == exact


def test_points_that_count_for_nothing_take_no_place_in_a_stretch() -> None:
    t, y = points(1, 400, 1)[..., 0].abs(), normal(1, 400, 1)
    counts = torch.randint(0, 3, (1, 400), generator=generator(2)).double()
    at = torch.arange(400).repeat_interleave(counts[0].long())
    counted = continued._End.of(t, y, counts).stretches()
    repeated = continued._End.of(t[:, at], y[:, at], None).stretches()
    for one, other in zip(counted, repeated, strict=True):
        assert one.weight.sum() == other.weight.sum()
        assert (one.weight * one.t).sum().item() == pytest.approx((other.weight * other.t).sum())


@pytest.mark.parametrize(
    ("make", "asked"),
    [(lambda net: net, [1.0] * 2), (split, [2.0] * 4), (deeper, [2.0] * 2 + [1.0] * 2)],
)
def test_more_is_asked_of_what_the_outputs_do_not_tell_alone(make, asked, monkeypatch) -> None:
    net, problem = given()
    seen, with_end = [], continued._with_end

    def watched(one, h, y, counts, k, apart, *, high):
        seen.append(apart)
        return with_end(one, h, y, counts, k, apart, high=high)

    monkeypatch.setattr(continued, "_with_end", watched)
    mended(make(net), problem)
    assert seen == asked
    monkeypatch.setattr(
        continued, "_told", lambda end, z, near: (0 * end.y[:, 0] + 1, 0 * z[..., None])
    )
    monkeypatch.setattr(continued, "_comes_true", lambda *_: torch.tensor([[True]]))
    monkeypatch.setattr(continued, "WRONG", 1e9)
    last = replace(net.layers[-1], coef=torch.full_like(net.layers[-1].coef, 1.5)).input(0)
    h = replace(net, layers=net.layers[:1])(problem.x)
    for apart, sure in ((1.0, True), (2.0, False)):  # of a change of 1.5 times the error
        found = with_end(last, h, problem.y, None, net.k, apart, high=False)
        assert bool(found[1].any()) == sure
