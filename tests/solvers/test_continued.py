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
from kansweep.solvers.gauss_newton import continued
from kansweep.solvers.gauss_newton.extrapolated import End
from kansweep.solvers.gauss_newton.lm import LM

G = 24


def waves(h: Tensor) -> Tensor:
    """One or two outputs of hidden values (R, n, 1)."""
    return torch.cat([torch.exp(h), torch.sin(3 * h)], 2)


def given(
    make=random_kan, base: bool = False, outputs: int = 1, n: int = 400, wrong: float = 0.3
) -> tuple:
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
    coef[..., :2] += wrong
    coef[..., -2:] -= wrong
    net = replace(net, layers=(first, replace(last, coef=coef)))
    return net, Problem(x, waves(h)[..., :outputs], (-1.0, 1.0), (0, 1))


mended = continued.continued


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


@pytest.mark.parametrize("name", ["kink", "steep"])
def test_points_are_followed_as_well_or_others_better_and_a_step_more_is_told(name: str) -> None:
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
    fresh = points(2, 20_000, 3, seed=5)
    for r in range(2):
        own, before = (
            (each.net(x) - problem.y)[r].square().mean().sqrt() for each in (outcome, descended)
        )
        assert told[r] == (outcome.steps[r], pytest.approx(own.item(), rel=1e-9))
        true = function(fresh[r].sum(1))
        error, without = (
            (each.net(fresh)[r, :, 0] - true).square().mean().sqrt()
            for each in (outcome, descended)
        )
        assert own < 1.5 * before or error < without


@pytest.mark.parametrize("sure", [False, True])
def test_what_nothing_that_is_told_is_sure_of_stays(
    sure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it is sure of, for points are followed less well by it."""
    if sure:
        told = continued._told
        monkeypatch.setattr(continued, "_told", lambda *_: (0 * told(*_)[0], told(*_)[1]))
        monkeypatch.setattr(continued, "GAINED", 0.0)
    net, problem = given(wrong=0.0)
    coef = net.layers[-1].coef + 0.1 * normal(*net.layers[-1].coef.shape, seed=2)
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


def expected(t: Tensor, y: Tensor, limit: float, *, over: bool) -> tuple[float, float]:
    """The error that is expected up to a limit, after a rehearsal and before."""
    z, end = torch.linspace(0, limit, 9).double()[None], End.of(t[None], y[None], None)
    near, at = torch.ones_like(z), torch.tensor([[limit]]).double()
    enough = torch.tensor([-1.0 if over else torch.inf]).double()
    which, none = torch.tensor([True]), torch.tensor([0])
    before = min(end.told(z, near, which, none, over=each)[0].item() for each in (False, over))
    return continued._told(end, z, near, at, enough)[0].item(), before


@pytest.mark.parametrize("over", [False, True])
def test_what_does_not_come_true_of_points_that_are_known_is_believed_so_much_less(over) -> None:
    """Of a bend in the last interval with points none further in tell."""
    t = torch.linspace(0.06, 1, 200).double()
    y = torch.sin(3 * t) + 1e-9 * normal(200)
    after, before = expected(t, y, 0.1, over=over)
    assert before <= after < 100 * before
    bend = 5 * (0.1 - t).clamp(min=0) ** 2
    after, before = expected(t, y + bend, 0.1, over=over)
    assert after > 100 * before


def test_a_rehearsal_that_expects_any_error_shows_nothing_of_one_polynomial_over_another() -> None:
    """With noise, told by a few points less, it may; it is no more than ``SHOWS`` that it shows."""
    t, z = torch.linspace(0.06, 1, 200).double()[None], torch.linspace(0, 0.1, 9).double()[None]
    end = End.of(t, 1 / (t + 0.1), None)
    none, one = torch.tensor([-1.0]).double(), torch.ones_like(z)

    class Vague:
        """As sure of places as ``end``, and not at all of points."""

        t, y, weight = end.t, end.y, end.weight

        def told(self, places, near, which, without, *, over):
            error, values = end.told(places, near, which, without, over=over)
            return (error, values) if places is z else (1e6 * error, values + 1e-3)

    claimed = end.told(z, one, none < 0, torch.tensor([0]), over=True)[0].item()
    told = continued._told(Vague(), z, one, torch.tensor([[0.1]]).double(), none)[0].item()
    assert told == pytest.approx(1e-6 / continued.SHOWS, rel=0.1)
    assert claimed < 1e-3 * told


def test_one_polynomial_over_another_tells_where_one_alone_is_not_enough() -> None:
    t, z = torch.linspace(0.06, 1, 200).double(), torch.linspace(0, 0.1, 9).double()[None]
    end = End.of(t[None], 1 / (t[None] + 0.1), None)
    given = end, z, torch.ones_like(z), torch.tensor([[0.1]]).double()
    alone, values = continued._told(*given, torch.tensor([torch.inf]).double())
    for share, wider in ((1.01, False), (0.99, True)):
        error, said = continued._told(*given, share * alone)
        assert bool((error < 1e-6 * alone).all()) == wider
        assert torch.equal(said, values) != wider
    assert torch.allclose(said, 1 / (z + 0.1), rtol=1e-9)


@pytest.mark.parametrize("expected", [0.01, 3.0])
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
    t = torch.linspace(0, 1, 18).double()
    y = torch.exp(t) + 1e-6 * normal(18)
    limit = float(t[outer - 1] + t[outer]) / 2
    end = End.of(t[None], y[None], None)
    one, at = torch.ones(1, 1).double(), torch.tensor([[limit]]).double()
    given = 0 * one, one, at, torch.tensor([torch.inf]).double()
    error, _ = continued._told(end, *given)
    assert bool(error.isfinite()) == told
    end.y[:, :outer] += 0.1
    spoilt, _ = continued._told(end, *given)
    assert not spoilt < 1e3 * error


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


def test_near_a_pole_that_no_point_reaches_errors_are_those_of_the_grid() -> None:
    """Intervals there are too wide for a spline to follow both the points and the pole."""
    x, fresh = points(3, 300, 2, seed=1), points(3, 20_000, 2, seed=2)

    def pole(x: Tensor) -> Tensor:
        return 1 / (1.05 + x.mean(2, keepdim=True))

    problem, solver, memory = Problem(x, pole(x), (-1.0, 1.0), (0, 1, 2)), LM(), None
    net = solver.start(Shape((2, 1, 1), 3, 12, False), problem)
    for grid_size in (12, 24, 48):
        outcome = solver.solve(net.refined(grid_size), problem, memory)
        net, memory = outcome.net, outcome.memory
    error = (net(fresh) - pole(fresh)).square().mean((1, 2)).sqrt()
    assert error.median() < 1.5e-3  # the floor is 5.4e-4; without continued ends 1e-2


@pytest.mark.parametrize(
    ("make", "asked"),
    [(lambda net: net, [1.0] * 2), (split, [2.0] * 4), (deeper, [2.0] * 2 + [1.0] * 2)],
)
def test_more_is_asked_of_what_the_outputs_do_not_tell_alone(make, asked, monkeypatch) -> None:
    net, problem = given()
    seen, with_end = [], continued._with_end

    def watched(one, h, y, counts, k, apart, enough, *, high):
        seen.append(apart)
        return with_end(one, h, y, counts, k, apart, enough, high=high)

    monkeypatch.setattr(continued, "_with_end", watched)
    mended(make(net), problem)
    assert seen == asked
    monkeypatch.setattr(
        continued, "_told", lambda end, z, near, limit, enough: (0 * enough + 1, 0 * z)
    )
    monkeypatch.setattr(continued, "WRONG", 1e9)
    last = replace(net.layers[-1], coef=torch.full_like(net.layers[-1].coef, 1.5)).input(0)
    h = replace(net, layers=net.layers[:1])(problem.x)
    enough = torch.zeros(2, 1).double()
    for apart, sure in ((1.0, True), (2.0, False)):  # of a change of 1.5 times the error
        found = with_end(last, h, problem.y, None, net.k, apart, enough, high=False)
        assert bool(found[1].any()) == sure
