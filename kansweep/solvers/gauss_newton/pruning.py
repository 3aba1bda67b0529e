"""Edges that a trained KAN can do without are removed, and the rest is trained again.

Backward elimination: hidden nodes first, each with all of its edges, then single edges, and of
those left always the one that as a constant raises the training error least. It is gone if the
rest, trained again, keeps the RMSE within a share of the outputs' spread of what it was before any
was removed. Only so can one tell: nodes share the work, and what one of them did, others may do.

What is removed is no unknown any more and counts for nothing; ``Layer.kept`` says so, and finer
grids inherit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import spare
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.simplest import Solve
from kansweep.solvers.gauss_newton.spare import Edges, serving
from kansweep.solvers.gauss_newton.weights import Memory

Retrain = Callable[[KAN, Problem], KAN]


def pruned(
    outcome: Outcome[KAN],
    begun: Tensor,
    problem: Problem,
    share: float,
    retrain: Retrain,
    solve: Solve,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome with those replicas that have just begun, (R,) of bool, without the edges that
    they can do without, and solved again; those left to the simplest KANs stay as they are."""
    for r in (begun & ~Memory.of(outcome.memory).simple).nonzero():
        net = lesser(outcome.net[r], problem[r], share, retrain)
        outcome = replaced(outcome, r, solve(net, problem[r], None, among(observe, r)))
    return outcome


def lesser(
    net: KAN, problem: Problem, share: float, retrain: Retrain, patience: int | None = None
) -> KAN:
    """A KAN of one replica without the edges that it can do without, all of which are kept so far;
    ``retrain`` trains what is left far enough to be judged. After so many refusals in a row,
    ``patience``, no other nodes or edges are tried."""
    every = tuple(torch.ones_like(layer.coef[0, ..., 0]).bool() for layer in net.layers)
    net, most = _with_kept(net, every), _rmse(net, problem) + share
    for groups in (_nodes(every), _single(every)):
        waiting, refused = list(groups), 0
        while waiting and refused != patience:
            each = [(_without(net, group), group) for group in waiting]
            trials = [(one, group) for one, group in each if one is not None]
            if not trials:
                break
            least = min(trials, key=lambda trial: _rmse(trial[0], problem))
            waiting = [group for _, group in trials if group is not least[1]]
            trial = _retrained(least[0], problem, retrain)
            refused += 1
            if _rmse(trial, problem) <= most:
                net, refused = trial, 0
    return net


def _retrained(net: KAN, problem: Problem, retrain: Retrain) -> KAN:
    """Trained as the smaller network that it is."""
    edges = tuple(layer.edges_kept[0] for layer in net.layers)
    lean = retrain(spare.narrowed(net, edges), problem)
    return _with_kept(spare.within(lean, net, edges), edges)


def _rmse(net: KAN, problem: Problem) -> float:
    """As a share of the outputs' spread."""
    return float(training_error(net, problem).sqrt())


def _nodes(every: Edges) -> Iterator[Edges]:
    """All edges of each hidden node."""
    for index, layer in enumerate(every[:-1]):
        for node in range(len(layer)):
            group = [torch.zeros_like(part) for part in every]
            group[index][node] = True
            group[index + 1][:, node] = True
            yield tuple(group)


def _single(every: Edges) -> Iterator[Edges]:
    for index, layer in enumerate(every):
        for place in range(layer.numel()):
            group = [torch.zeros_like(part) for part in every]
            group[index].view(-1)[place] = True
            yield tuple(group)


def _without(net: KAN, group: Edges) -> KAN | None:
    """The KAN without some edges and those that serve no other; None where these are gone already,
    or nothing would lead to an output."""
    before = tuple(layer.edges_kept[0] for layer in net.layers)
    kept = serving([part & ~gone for part, gone in zip(before, group, strict=True)])
    same = all(torch.equal(one, other) for one, other in zip(before, kept, strict=True))
    return None if same or not bool(kept[-1].any(1).all()) else _with_kept(net, kept)


def _with_kept(net: KAN, kept: Edges) -> KAN:
    """The KAN with these edges; others are constants, except into a node that leads nowhere, whose
    values must not be one number, and do not matter."""
    leads = [part.any(0) for part in kept[1:]]
    leads.append(torch.ones_like(kept[-1][:, 0]))
    layers = zip(net.layers, kept, leads, strict=True)
    return replace(net, layers=tuple(_marked(*each) for each in layers))


def _marked(layer: Layer, kept: Tensor, leads: Tensor) -> Layer:
    constant = (~kept & leads[:, None])[None]
    level = layer.coef.mean(3, keepdim=True).expand_as(layer.coef)
    coef = torch.where(constant[..., None], level, layer.coef)
    base = None if layer.base is None else layer.base.masked_fill(constant, 0.0)
    return replace(layer, coef=coef, base=base, kept=kept[None])
