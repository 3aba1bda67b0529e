"""Learned edges beside the target's own functions, in the units of the network's nodes.

A KAN is known only up to its gauge: hidden nodes may be permuted, each of them stands for
h = a u + b of the structure's node u with any a and b, and the edges into a node may share its
constant in any way. So every hidden node is matched with the structure's node that it is an affine
function of, by least squares over points of the domain, and an edge from h = a u + b to
h' = a' u' + b' should be

    phi(h) = a' f((h - b) / a) + constant,

with the constant that gives it the mean of the learned one. Where a node is matched with none, or
where another node does a part of its work so that the edges are not determined one by one, nothing
is said of what they should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kansweep.data.targets import Array, Edge, Target

if TYPE_CHECKING:
    from kansweep.trained.kan import Edge as LearnedEdge
    from kansweep.trained.kan import TrainedKAN

_POINTS = 2000
_ALIKE = 0.999  # R^2 from which on a node is taken for an affine function of another: to 3%
_SLIGHT = 0.02  # of a node's standard deviation: what reaches it so weakly changes no picture


@dataclass(frozen=True, eq=False)
class Curve:
    """An edge over its range: what was learned, and what should have been, if that is known.

    ``true`` is NaN where no input of the target leads to.
    """

    edge: LearnedEdge
    x: Array  # (q,)
    learned: Array  # (q,)
    true: Array | None  # (q,)


@dataclass(frozen=True, eq=False)
class _Node:
    """A node of the structure: its values at the points, and the range of all it takes."""

    values: Array  # (n,)
    lower: float
    upper: float


@dataclass(frozen=True)
class _Match:
    """A node of the network is a u + b, u being node ``node`` of the structure."""

    node: int
    a: float = 1.0
    b: float = 0.0


def matched(network: TrainedKAN, target: Target | None, n_points: int = 201) -> list[Curve]:
    """A curve an edge, in the order of ``network.edges``.

    None is known to be true without a target, without its structure, or at other widths.
    """
    truth = _Truth.of(network, target)
    curves = []
    for edge in network.edges:
        x = np.linspace(edge.lower, edge.upper, n_points)
        true = None if truth is None else truth.along(edge, x)
        curves.append(Curve(edge, x, edge.values(x), true))
    return curves


@dataclass(frozen=True, eq=False)
class _Truth:
    """The structure's nodes, those of the network at the same points, and which is which."""

    structure: tuple[tuple[Edge, ...], ...]
    nodes: list[dict[int, _Node]]  # of the structure, by layer
    learned: list[Array]  # (n, width[l]), of the network
    matches: list[list[_Match | None]]  # of the network's nodes
    parts: list[Array]  # (n, O, I), what each edge of the network adds to its node

    @classmethod
    def of(cls, network: TrainedKAN, target: Target | None) -> _Truth | None:
        if target is None or target.structure is None:
            return None
        if network.width != (target.n_inputs, *target.hidden, target.n_outputs):
            return None
        rng = np.random.default_rng(0)
        lower, upper = _domain(target).T
        x = rng.uniform(lower, upper, (_POINTS, target.n_inputs))
        nodes, learned = _nodes(target, x), network.nodes(x)
        matches: list[list[_Match | None]] = [[_Match(i) for i in range(target.n_inputs)]]
        for layer, there in zip(learned[1:-1], nodes[1:-1], strict=True):
            matches.append([_match(values, there) for values in layer.T])
        matches.append([_Match(i) for i in range(target.n_outputs)])
        parts = [
            np.stack([layer.edges(i, h[:, i]) for i in range(h.shape[1])], axis=-1)
            for layer, h in zip(network.layers, learned, strict=False)
        ]
        return cls(target.structure, nodes, learned, matches, parts)

    def along(self, edge: LearnedEdge, x: Array) -> Array | None:
        """What an edge should be at values of its source, None where that is not known."""
        source = self.matches[edge.layer][edge.source]
        sink = self.matches[edge.layer + 1][edge.sink]
        if source is None or sink is None or self._shared(edge):
            return None
        node = self.nodes[edge.layer][source.node]
        u = (x - source.b) / source.a
        slack = 1e-9 * (node.upper - node.lower)
        reached = (u >= node.lower - slack) & (u <= node.upper + slack)
        true = np.full_like(x, np.nan)
        true[reached] = sink.a * self._function(edge.layer, source, sink, u[reached])
        mean = sink.a * self._function(edge.layer, source, sink, node.values).mean()
        true += self.parts[edge.layer][:, edge.sink, edge.source].mean() - mean
        return true

    def _function(self, layer: int, source: _Match, sink: _Match, u: Array) -> Array:
        for edge in self.structure[layer]:
            if (edge.source, edge.sink) == (source.node, sink.node):
                return edge.function(u)
        return np.zeros_like(u)

    def _shared(self, edge: LearnedEdge) -> bool:
        """Whether the edges into a node are not determined: two sources stand for one node of the
        structure, or one for none, and have more than a slight part in it."""
        spread = self.parts[edge.layer][:, edge.sink].std(axis=0)  # (I,)
        active = spread > _SLIGHT * self.learned[edge.layer + 1][:, edge.sink].std()
        active[edge.source] = True
        matches = [m for m, on in zip(self.matches[edge.layer], active, strict=True) if on]
        nodes = {match.node for match in matches if match is not None}
        return len(nodes) < len(matches)


def _domain(target: Target) -> Array:
    """Lower and upper end of every input, (I, 2)."""
    return np.broadcast_to(np.asarray(target.domain, dtype=np.float64), (target.n_inputs, 2))


def _nodes(target: Target, x: Array) -> list[dict[int, _Node]]:
    """The values that the structure's nodes take, inputs first."""
    ends = _domain(target)
    layers = [{i: _Node(values, *ends[i].tolist()) for i, values in enumerate(x.T)}]
    for edges in target.structure or ():
        sums: dict[int, _Node] = {}
        for edge in edges:
            values = edge.function(layers[-1][edge.source].values)
            old = sums.get(edge.sink, _Node(np.zeros_like(values), 0.0, 0.0))
            lower, upper = old.lower + edge.values[0], old.upper + edge.values[1]
            sums[edge.sink] = _Node(old.values + values, lower, upper)
        layers.append(sums)
    return layers


def _match(values: Array, nodes: dict[int, _Node]) -> _Match | None:
    """The node that values (n,) are an affine function of, None where there is none."""
    best, most = None, _ALIKE
    for name, node in nodes.items():
        u, h = node.values - node.values.mean(), values - values.mean()
        cross = u @ h
        r_squared = cross**2 / max((u @ u) * (h @ h), np.finfo(float).tiny)
        if r_squared >= most:
            a = float(cross / (u @ u))
            best, most = _Match(name, a, float(values.mean() - a * node.values.mean())), r_squared
    return best
