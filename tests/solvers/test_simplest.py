"""The simplest KANs in a KAN, and the leave-one-out errors by which they are chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import tables
from kansweep.config.solvers import LMConfig
from kansweep.data.sources import source
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Iteration, Problem, output_spread
from kansweep.solvers.gauss_newton import contained, leave_one_out, simplest
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.weights import Memory
from tests.nets import normal, points, random_kan, uneven_kan


def problem_of(function: str, n: int = 40, n_inputs: int = 3, noise: float = 0.0) -> Problem:
    x = points(2, n, n_inputs)
    signal = {
        "linear": x[..., :1] - 2 * x[..., 1:2],
        "composed": torch.exp(torch.sin(3 * x[..., :1]) + x[..., 1:2] ** 2),
    }[function]
    return Problem(x, signal + noise * normal(2, n, 1, seed=3), (-1.0, 1.0), (0, 1))


def trained(width: tuple[int, ...], problem: Problem, **options: bool) -> tuple[KAN, Tensor]:
    """A KAN after a descent at weights (2, L, 3) that an edge can feel, and these."""
    make = uneven_kan if options.pop("uneven", False) else random_kan
    net = make(width, grid_size=6, **options)
    w = torch.tensor([1e-3, 1e-2, 3e-3], dtype=torch.float64).repeat(2, len(net.layers), 1)
    return descend(net, problem, Limits(300, 1e-13), Weight.fixed(w), 1e-3).net, w


def retrained_errors(net: KAN, problem: Problem, w: Tensor, left_out: int) -> Tensor:
    """Squared errors (R,) at a point after training on the others with the same sums."""
    n = problem.x.shape[1]
    rest = [i for i in range(n) if i != left_out]
    spread = output_spread(problem.y)
    y = problem.y / spread[:, None]
    part = Problem(problem.x[:, rest], y[:, rest], problem.domain, problem.seeds)
    # A descent's unit is the outputs' spread, which one point less changes; hidden nodes have none.
    w = w * (n / (n - 1))
    w[:, :-1] /= output_spread(part.y).square()[..., None]
    net = descend(net, part, Limits(300, 1e-13), Weight.fixed(w), 1e-3).net
    at = slice(left_out, left_out + 1)
    return (net(problem.x[:, at]) - y[:, at]).square().sum((1, 2))


@pytest.mark.parametrize("options", [{}, {"base": True}, {"uneven": True}])
def test_leave_one_out_errors_of_one_layer_are_those_of_training_again(
    options: dict[str, bool],
) -> None:
    problem = problem_of("composed", noise=0.3)
    net, w = trained((3, 1), problem, **options)
    errors = leave_one_out.errors(net, problem, w)
    for left_out in (0, 7, 23):
        again = retrained_errors(net, problem, w, left_out)
        torch.testing.assert_close(errors[:, left_out], again, rtol=1e-6, atol=1e-12)


def test_degrees_of_freedom_may_count_more_than_once_while_errors_are_not_more_than_twice() -> None:
    problem = problem_of("composed", noise=0.3)
    net, w = trained((3, 1), problem)
    residual = (net(problem.x) - problem.y) / output_spread(problem.y)[:, None]
    once, more = leave_one_out.errors_and_more(net, problem, w, 1.5)
    left = residual[..., 0].abs() / once.sqrt()
    expected = torch.maximum(1 - 1.5 * (1 - left), left / 2)
    assert (expected == left / 2).any()
    assert (expected > left / 2).any()
    torch.testing.assert_close(residual[..., 0].abs() / more.sqrt(), expected)


@pytest.mark.parametrize("base", [False, True])
def test_leave_one_out_errors_of_a_network_are_nearly_those_of_training_again(base: bool) -> None:
    problem = problem_of("composed", n=80, n_inputs=2, noise=0.2)
    net, w = trained((2, 1, 1), problem, base=base)
    errors = leave_one_out.errors(net, problem, w)
    again = torch.stack([retrained_errors(net, problem, w, i) for i in range(0, 80, 16)], 1)
    pair = np.stack([errors[:, ::16].sqrt().numpy().ravel(), again.sqrt().numpy().ravel()])
    assert np.corrcoef(pair)[0, 1] > 0.9
    assert 0.85 < pair[0].sum() / pair[1].sum() < 1.15


def test_leave_one_out_errors_of_many_outputs_add_up() -> None:
    one, other = problem_of("composed", noise=0.3), problem_of("linear", noise=0.3)
    both = replace(one, y=torch.cat([one.y, other.y], 2))
    net, w = trained((3, 2), both)
    parts = [
        replace(net, layers=(replace(net.layers[0], coef=net.layers[0].coef[:, m : m + 1]),))
        for m in range(2)
    ]
    apart = [leave_one_out.errors(*each, w) for each in zip(parts, (one, other), strict=True)]
    torch.testing.assert_close(leave_one_out.errors(net, both, w), apart[0] + apart[1])


def test_linear_regression_and_its_leave_one_out_errors() -> None:
    problem = problem_of("composed", noise=0.3)
    x, y = (part.numpy() for part in (problem.x, problem.y))
    net, errors = contained.linear(contained.blank(random_kan((3, 2, 1))), problem)
    for r in range(2):
        design = np.column_stack([np.ones(len(x[r])), x[r]])
        expected = design @ np.linalg.lstsq(design, y[r])[0]
        np.testing.assert_allclose(net(problem.x)[r], expected, atol=1e-12)
        rest = np.arange(len(x[r])) != 5
        without = design[5] @ np.linalg.lstsq(design[rest], y[r][rest])[0]
        np.testing.assert_allclose(errors[r, 5], ((without - y[r, 5]) / y[r].std()) ** 2)


def test_of_noise_the_mean_alone_is_less_wrong_than_a_regression() -> None:
    x = points(1, 40, 3).repeat(2, 1, 1)
    y = torch.stack([normal(1, 40, 1, seed=5)[0], x[1, :, :1]])
    problem = Problem(x, y, (-1, 1), (0, 1))
    net, errors = contained.linear(contained.blank(random_kan((3, 1))), problem)
    fitted = net(x)
    torch.testing.assert_close(fitted[0], y[0].mean().expand_as(fitted[0]))
    torch.testing.assert_close(fitted[1], y[1])
    without = torch.cat([y[0, :5, 0], y[0, 6:, 0]]).mean()
    expected = ((without - y[0, 5, 0]) / y[0].std(correction=0)) ** 2
    torch.testing.assert_close(errors[0, 5], expected)


def test_inputs_that_do_not_vary_or_repeat_others_do_no_harm() -> None:
    problem = problem_of("linear", noise=0.1)
    x = torch.cat([problem.x, problem.x[..., :1], torch.ones_like(problem.x[..., :1])], 2)
    net, errors = contained.linear(contained.blank(random_kan((5, 1))), replace(problem, x=x))
    of_three, expected = contained.linear(contained.blank(random_kan((3, 1))), problem)
    torch.testing.assert_close(net(x), of_three(problem.x))
    torch.testing.assert_close(errors, expected)


def test_a_table_that_an_additive_model_follows_too_far_is_left_to_a_regression(
    tmp_path: Path,
) -> None:
    """With leave-one-out errors as they are its test errors are 1.2 to 1.4 times a regression's."""
    config = tables.configuration("diabetes", 0, tmp_path)
    rows = tables.chains("diabetes", config, source(config.data), 35, (3,))
    np.testing.assert_allclose(rows["test_rmse"], rows["linear_rmse"])


@pytest.mark.parametrize("width", [(3, 1), (3, 1, 1), (3, 4, 2, 2), (3, 2, 3, 2)])
@pytest.mark.parametrize("base", [False, True])
def test_a_network_holds_what_its_first_grids_hold(width: tuple[int, ...], base: bool) -> None:
    net, problem = random_kan(width, base=base), problem_of("linear")
    flat = random_kan((3, width[-1]), base=base, seed=9)
    whole = contained.within(flat, net, problem)
    assert whole.width == net.width
    beyond = 1.5 * points(2, 200, 3, seed=4)
    torch.testing.assert_close(whole(beyond), flat(beyond), rtol=1e-12, atol=1e-12)
    for layer, values in zip(whole.layers[1:], _hidden(whole, problem.x), strict=True):
        assert bool((values >= layer.lower[:, None] - 1e-12).all())
        assert bool((values <= layer.upper[:, None] + 1e-12).all())


def _hidden(net: KAN, x: Tensor) -> list[Tensor]:
    return [part.x for part in net.activations(x)[0][1:]]


def solved(problem: Problem, sizes: tuple[int, ...] = (5, 10)) -> list[tuple[KAN, Memory]]:
    """A chain of [3,2,1]."""
    lm, chain, memory = LM(LMConfig()), [], None
    net = lm.start(Shape((3, 2, 1), 3, sizes[0], False), problem)
    for size in sizes:
        outcome = lm.solve(net.refined(size), problem, memory)
        net, memory = outcome.net, outcome.memory
        chain.append((net, Memory.of(memory)))
    return chain


def test_noise_around_a_line_leaves_linear_regression_on_every_grid() -> None:
    problem = problem_of("linear", noise=1.0)
    expected, _ = contained.linear(contained.blank(random_kan((3, 2, 1))), problem)
    fresh = points(2, 100, 3, seed=8)
    for net, memory in solved(problem):
        assert bool(memory.simple.all())
        torch.testing.assert_close(net(fresh), expected(fresh))


def test_what_is_composed_and_has_no_noise_is_left_to_the_network() -> None:
    for net, memory in solved(problem_of("composed", n=60)):
        assert not bool(memory.simple.any())
        assert bool(torch.isfinite(net.theta()).all())


def test_errors_are_less_where_two_standard_errors_say_so_or_one_and_most_points() -> None:
    problem = problem_of("linear", n=100)
    rare = torch.zeros(2, 100, dtype=torch.float64)
    rare[0, :2], rare[1, :7] = 1.0, 1.0  # of 1.4 and 2.7 standard errors
    little = torch.full_like(rare, 1e-3)
    assert simplest._better(0.9 * rare, rare, problem).tolist() == [False, True]
    assert simplest._better(rare + little, little, problem).tolist() == [False, False]
    for many, better in ((60, False), (75, True)):
        less = torch.where(torch.arange(100) < many, 0.5 * little, 1.5 * little)
        assert simplest._better(less, rare + little, problem).tolist() == [better, True]
    assert simplest._better(0.9 * little, 0.01 * rare + little, problem).tolist() == [True, True]
    once = torch.where(torch.arange(100) == 99, 1.0, rare[:1])  # less at all but one, and no gain
    assert simplest._better(once.expand(2, -1), rare + little, problem).tolist() == [False, True]


def test_what_is_better_must_be_so_with_more_degrees_of_freedom_and_without() -> None:
    problem = problem_of("linear", n=40)
    line = torch.ones(2, 40).double()
    spread = torch.tensor([-1.0, 1.0]).double().repeat(2, 20)
    deviation = 40**-0.5  # of the mean of what varies by one
    sure, likely = (line - by * deviation + spread for by in (2.1, 1.6))
    for errors, expected in (
        ((sure, likely), True),
        ((likely, sure), False),
        ((sure, line), False),
    ):
        found = simplest._surely_better(torch.stack(errors), line.expand(2, -1, -1), problem)
        assert found.tolist() == [expected] * 2


def test_where_nothing_is_noise_no_leave_one_out_error_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def counted(net: KAN, problem: Problem, w: Tensor, excess: float) -> Tensor:
        asked.append(excess)
        return errors_and_more(net, problem, w, excess)

    errors_and_more = leave_one_out.errors_and_more
    monkeypatch.setattr(leave_one_out, "errors_and_more", counted)
    for noise, times in ((0.0, 0), (0.1, 1)):
        problem = problem_of("composed", 100, noise=noise)
        net = LM().start(Shape((3, 1, 1), 3, 5, False), problem)
        assert 4 * net.n_params >= 100
        LM().solve(net, problem)
        assert set(asked) == ({simplest.EXCESS} if times else set())


def test_a_penalty_that_was_asked_for_is_no_reason_to_choose() -> None:
    problem, lm = problem_of("linear", noise=1.0), LM(LMConfig(penalty=1.0))
    net = lm.start(Shape((3, 1, 1), 3, 5, False), problem)
    assert not bool(Memory.of(lm.solve(net, problem).memory).simple.any())


def test_replicas_of_both_kinds_in_one_batch_keep_their_places() -> None:
    noisy, clean = problem_of("linear", n=60, noise=1.0), problem_of("composed", n=60)
    mixed = replace(noisy, y=torch.stack([clean.y[0], noisy.y[1]]))
    lm, seen = LM(LMConfig()), list[Iteration]()
    first = lm.solve(lm.start(Shape((3, 1, 1), 3, 6, False), mixed), mixed)
    assert Memory.of(first.memory).simple.tolist() == [False, True]
    second = lm.solve(first.net.refined(12), mixed, first.memory, seen.append)
    assert Memory.of(second.memory).simple.tolist() == [False, True]
    error = (second.net(mixed.x) - mixed.y).square().mean((1, 2)).sqrt()
    assert error[0] < 0.1 * mixed.y[0].std()
    assert error[1] > 0.5
    counts = [sum(r in now.replicas.tolist() for now in seen) for r in range(2)]
    assert counts == list(second.steps)
