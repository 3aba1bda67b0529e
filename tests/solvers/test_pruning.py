"""Pruned edges: what is left trains as the smaller network that it is, and what goes is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import random_kan

from kansweep.config.models import KANConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks.compiled import layout
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import objective, pruning, strain, systems
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.trained import kan as trained_kan

N = 300


def problem(seeds=(0,), outputs=1) -> Problem:
    source = Sampled(TARGETS["exp_sin"])
    data = [source.train(N, seed) for seed in seeds]
    x, y = (torch.from_numpy(np.stack(part)) for part in zip(*data, strict=True))
    more = [y, x.prod(2, keepdim=True), x[..., :1].exp()][:outputs]
    lower, upper = (torch.from_numpy(end) for end in source.bounds)
    return Problem(x, torch.cat(more, 2), (lower, upper), tuple(seeds))


def begun(width, seeds=(0,), outputs=1) -> KAN:
    """A rough network to go on from."""
    net = random_kan(width, 5, replicas=len(seeds), seed=2)
    return LM()._train(net, problem(seeds, outputs), 0.1, 3)


def padded(net: KAN) -> KAN:
    """A network of one hidden layer with a node more, whose edges are marked as gone."""
    first, last = net.layers
    idle = first.coef[:, :1].flip(3) + 0.3
    kept = torch.ones_like(first.coef[..., 0]).bool(), torch.ones_like(last.coef[..., 0]).bool()
    into = torch.cat([kept[0], ~kept[0][:, :1]], 1)
    out = torch.cat([kept[1], ~kept[1][..., :1]], 2)
    grid = {
        name: torch.cat([getattr(last, name), getattr(last, name)[:, :1]], 1)
        for name in ("lower", "upper", "shift", "scale")
    }
    wide = torch.cat([last.coef, torch.zeros_like(last.coef[:, :, :1])], 2)
    layers = (
        replace(first, coef=torch.cat([first.coef, idle], 1), kept=into),
        replace(last, coef=wide, kept=out, **grid),
    )
    return replace(net, layers=layers)


@pytest.mark.parametrize(
    ("way", "outputs"), [("compiled", 1), ("compiled", 3), ("tensor", 2), ("iterative", 1)]
)
def test_what_is_left_trains_as_the_network_without_what_went(way, outputs, monkeypatch):
    net, of = begun((2, 2, outputs), outputs=outputs), problem(outputs=outputs)
    lm = LM(LMConfig(max_steps=6))
    if way != "compiled":
        for module in (layout, strain):
            monkeypatch.setattr(module, "available", lambda: False)
    if way == "iterative":  # which estimates a trace from other signs
        lm = LM(LMConfig(max_steps=6, penalty=1.0))
        monkeypatch.setattr(systems, "is_direct", lambda *_: False)
        monkeypatch.setattr(systems, "CG_TOLERANCE", 1e-12)
    small, large = (lm._solved(one, of, None, None) for one in (net, padded(net)))
    assert large.steps == small.steps
    assert large.net.n_params == small.net.n_params < large.net.n_theta
    torch.testing.assert_close(large.net(of.x), small.net(of.x), rtol=0, atol=1e-6)
    torch.testing.assert_close(large.memory, small.memory, rtol=1e-3, atol=1e-12)


def test_a_network_that_is_too_large_comes_down_to_the_structure_of_the_target():
    of, lm = problem(), LM(model=KANConfig(prune=0.02))
    net = LM().start(Shape((2, 2, 1), 3, 5, False), of)
    outcome = lm.solve(net, of)
    kept = [layer.edges_kept[0].tolist() for layer in outcome.net.layers]
    assert sorted(kept[0]) == [[False, False], [True, True]]
    assert sum(kept[1][0]) == 1
    assert outcome.net.n_params == 3 * 8
    alone = LM().solve(LM().start(Shape((2, 1, 1), 3, 5, False), of), of)
    errors = [objective.training_error(one.net, of).sqrt() for one in (outcome, alone)]
    torch.testing.assert_close(*errors, rtol=1e-3, atol=0)

    finer = outcome.net.refined(10)
    assert [layer.edges_kept[0].tolist() for layer in finer.layers] == kept
    longer = lm.solve(finer, of, outcome.memory)
    assert [layer.edges_kept[0].tolist() for layer in longer.net.layers] == kept
    assert longer.net.n_params == 3 * 13


def test_what_is_left_is_trained_without_the_nodes_that_are_gone():
    of, lm, seen = problem(), LM(), []

    def retrain(net: KAN, of: Problem) -> KAN:
        seen.append(lm._train(net, of, 1e-3))
        return seen[-1]

    net = lm._train(LM().start(Shape((2, 2, 1), 3, 5, False), of), of, 1e-3)
    left = pruning.lesser(net, of, 0.02, retrain)
    assert {one.width for one in seen} == {(2, 1, 1)}
    assert left.width == net.width
    assert left.n_params == 3 * 8
    torch.testing.assert_close(left(of.x), seen[0](of.x), rtol=0, atol=1e-12)


def test_what_is_needed_stays():
    of = problem()
    net = LM().solve(LM().start(Shape((2, 1, 1), 3, 5, False), of), of).net
    lm = LM(model=KANConfig(prune=0.02))
    assert lm.solve(net, of).net.n_params == net.n_params
    every = tuple(torch.ones_like(layer.coef[0, ..., 0]).bool() for layer in net.layers)
    assert pruning._without(net, every) is None  # nothing would lead to the output


def test_what_serves_nothing_more_goes_with_what_it_served():
    net = begun((2, 3, 1))
    every = tuple(torch.ones_like(layer.coef[0, ..., 0]).bool() for layer in net.layers)
    single = list(pruning._single(every))
    assert len(single) == 9
    assert len(list(pruning._nodes(every))) == 3
    without = pruning._without(net, single[6])  # the edge from the first node to the output
    assert without.layers[0].kept[0].tolist() == [[False, False], [True, True], [True, True]]
    assert without.layers[1].kept[0].tolist() == [[False, True, True]]
    again = pruning._without(without, single[0])
    assert again is None  # it is gone already
    values = torch.cat([part.coef for part in without.layers[1:]])[0, 0, 0]
    assert values.std() == 0.0


def test_seeds_are_pruned_each_for_itself_and_the_same_in_a_batch():
    of, lm = problem((0, 1)), LM(model=KANConfig(prune=0.02))
    net = begun((2, 2, 1), (0, 1))
    both = lm.solve(net, of)
    for r in range(2):
        at = torch.tensor([r])
        alone = lm.solve(net[at], of[at])
        for one, other in zip(alone.net.layers, both.net.layers, strict=True):
            assert torch.equal(one.edges_kept, other.edges_kept[at])
        torch.testing.assert_close(alone.net(of.x[at]), both.net(of.x)[at], rtol=0, atol=1e-6)


def test_stored_weights_say_what_is_left():
    net = padded(begun((2, 1, 1)))
    arrays = net.to_arrays()
    again = KAN.from_arrays(arrays)
    assert again.n_params == net.n_params == 24
    stored = trained_kan.from_arrays(arrays, None)
    assert (stored.n_params, len(stored.edges), stored.width) == (24, 3, (2, 2, 1))
    x = problem().x
    np.testing.assert_allclose(stored(x[0].numpy()), net(x)[0].numpy(), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"`0\.kept` does not fit"):
        trained_kan.from_arrays({**arrays, "0.kept": arrays["0.kept"][:, :1]}, None)
    with pytest.raises(ValueError, match=r"no `0\.kept` of truth values"):
        trained_kan.from_arrays({**arrays, "0.kept": arrays["0.kept"].astype(float)}, None)


def test_what_cannot_be_pruned_is_refused():
    with pytest.raises(ConfigError, match=r"`model\.prune` must be 0 for solver=lbfgs; got 0\.1"):
        RunConfig(model=KANConfig(prune=0.1), solver=LBFGSConfig())
    for value in (-0.1, 1.0, True, "much"):
        with pytest.raises(ConfigError, match=r"`model\.prune` must be a number from 0 to less"):
            KANConfig(prune=value)
