"""Learned edges against the target's own, whatever the gauge of the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nets import random_kan
from trained_nets import as_model, composed, layer, sine, spline, trained

from kansweep.data.targets import TARGETS, Array, Target
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.matching import Curve, matched

EXP_SIN, NESTED = TARGETS["exp_sin"], TARGETS["nested"]


def in_other_units(net: TrainedKAN, depth: int, a: Array, b: Array, order: Array) -> TrainedKAN:
    """The same function, its hidden nodes h of a layer being a h + b, and in another order."""
    before, after = net.layers[depth], net.layers[depth + 1]
    shared = np.random.default_rng(0).dirichlet(np.ones(before.coef.shape[1]), len(a))  # of b
    coef = before.coef * a[:, None, None] + (shared * b[:, None])[..., None]
    ends = np.sort([a * after.lower + b, a * after.upper + b], axis=0)
    flipped = np.where((a < 0)[:, None], after.coef[..., ::-1], after.coef)
    layers = list(net.layers)
    layers[depth] = replace(before, coef=coef[order])
    layers[depth + 1] = replace(
        after, coef=flipped[:, order], lower=ends[0][order], upper=ends[1][order]
    )
    return replace(net, layers=tuple(layers))


def errors(curves: list[Curve]) -> dict[tuple[int, int, int], float | None]:
    """The largest error of each edge, relative to the range of all into its node; None: no truth.

    Edges are named (layer, source, sink).
    """
    spans: dict[tuple[int, int], float] = {}
    for curve in curves:
        node = curve.edge.layer, curve.edge.sink
        spans[node] = max(spans.get(node, 1e-300), float(np.ptp(curve.learned)))
    return {
        (curve.edge.layer, curve.edge.source, curve.edge.sink): None
        if curve.true is None
        else float(
            np.nanmax(np.abs(curve.true - curve.learned)) / spans[curve.edge.layer, curve.edge.sink]
        )
        for curve in curves
    }


def none_known(curves: list[Curve]) -> bool:
    return all(curve.true is None for curve in curves)


def test_a_trained_network_has_learned_the_targets_own_functions() -> None:
    curves = matched(trained(), EXP_SIN)
    found = errors(curves)
    assert list(found) == [(0, 0, 0), (0, 1, 0), (1, 0, 0)]
    assert max(found.values()) < 1e-4
    for curve in curves:
        edge = curve.edge
        np.testing.assert_array_equal(curve.x[[0, -1]], [edge.lower, edge.upper])
        np.testing.assert_array_equal(curve.learned, edge.values(curve.x))
    outer = curves[2]  # its grid reaches beyond all values that the node takes
    assert 0 < np.isnan(outer.true).sum() < 20
    assert not np.isnan(outer.true[20:-20]).any()


@pytest.mark.parametrize("a", [3.0, -0.25])
def test_units_of_a_hidden_node_do_not_matter(a: float) -> None:
    net = trained()
    other = in_other_units(net, 0, np.array([a]), np.array([7.0]), np.array([0]))
    x = np.random.default_rng(1).uniform(-1, 1, (100, 2))
    np.testing.assert_allclose(other(x), net(x), atol=1e-12)
    found, before = errors(matched(other, EXP_SIN)), errors(matched(net, EXP_SIN))
    assert found == pytest.approx(before, rel=1e-3, abs=1e-9)
    for one, two in zip(matched(other, EXP_SIN), matched(net, EXP_SIN), strict=True):
        if one.edge.layer == 0:  # in units of the node; each has its own share of its constant
            span = np.ptp(two.true)
            assert np.ptp(one.true) == pytest.approx(abs(a) * span, rel=1e-9)


def test_nodes_are_found_at_whatever_place_they_have() -> None:
    net = composed()
    x = np.random.default_rng(1).uniform(-1, 1, (100, 4))
    np.testing.assert_allclose(net(x), NESTED.function(x), atol=1e-3)
    for order in ([0, 1, 2, 3], [3, 0, 1, 2], [2, 1, 3, 0]):
        signs = np.array([1.5, -2.0, 0.3, -0.7])
        other = in_other_units(net, 0, signs, np.arange(4.0), np.array(order))
        other = in_other_units(other, 1, np.array([2.0, -3.0]), np.ones(2), np.array([1, 0]))
        found = errors(matched(other, NESTED))
        known = {edge for edge, error in found.items() if error is not None}
        true = [order.index(1), order.index(3)]  # where the nodes of the structure are now
        first = {(0, source, sink) for source in range(4) for sink in true}
        assert known == first | {(1, source, 0) for source in true} | {(2, 0, 0)}
        assert max(error for error in found.values() if error is not None) < 2e-3


def test_an_edge_that_the_structure_lacks_should_be_flat() -> None:
    for curve in matched(composed(), NESTED):
        if (curve.edge.layer, curve.edge.sink) == (0, 3) and curve.edge.source >= 2:
            np.testing.assert_allclose(curve.true, 0.0, atol=1e-12)


def test_where_two_nodes_share_the_work_of_one_their_edges_are_not_told() -> None:
    """Both are the same node of the structure, and what follows from either is anybody's guess."""
    net = composed()
    first, second, last = net.layers
    coef = first.coef.copy()
    coef[0] = coef[3]  # node 0 is now node 3 again
    split = second.coef.copy()
    split[1, 0] = 0.5 * spline(sine, -2.0, 2.0)
    split[1, 3] = 0.5 * second.coef[1, 3]
    layers = (replace(first, coef=coef), replace(second, coef=split), last)
    found = errors(matched(replace(net, layers=layers), NESTED))
    assert found[1, 3, 1] is found[1, 0, 1] is found[1, 1, 1] is None
    assert found[2, 1, 0] < 2e-3  # the node behind them is what it should be all the same
    assert found[0, 0, 0] < 1e-2  # and so are those before


def test_a_double_from_which_nothing_follows_takes_nothing_from_the_node_at_work() -> None:
    net = composed()
    coef = net.layers[0].coef.copy()
    coef[0] = coef[3]
    idle = replace(net, layers=(replace(net.layers[0], coef=coef), *net.layers[1:]))
    found = errors(matched(idle, NESTED))
    assert found[1, 3, 1] < 2e-3
    assert found[1, 0, 1] is None  # flat, and no sine is missing in it


def test_a_node_that_is_no_node_of_the_structure_has_no_truth() -> None:
    net = trained()
    coef = net.layers[0].coef.copy()
    coef[0, 1] += 0.05 * np.arange(coef.shape[2])
    layers = (replace(net.layers[0], coef=coef), net.layers[1])
    assert none_known(matched(replace(net, layers=layers), EXP_SIN))


def test_one_layer_is_compared_too() -> None:
    target = TARGETS["bessel"]
    net = TrainedKAN((layer([[target.structure[0][0].function]], [(-1.0, 1.0)]),), "bessel")
    found = errors(matched(net, target))
    assert found[0, 0, 0] < 1e-2


def test_a_dead_node_is_matched_with_none() -> None:
    net = trained()
    coef = np.zeros_like(net.layers[0].coef)
    dead = replace(net, layers=(replace(net.layers[0], coef=coef), net.layers[1]))
    assert none_known(matched(dead, EXP_SIN))


@pytest.mark.parametrize(
    ("width", "target"),
    [
        ((2, 2, 1), TARGETS["product"]),  # no structure
        ((2, 5, 1), EXP_SIN),  # other widths
        ((2, 1, 1, 1), EXP_SIN),
        ((2, 1, 1), None),
        ((2, 1, 1), replace(EXP_SIN, structure=None)),
    ],
)
def test_without_a_structure_of_these_widths_nothing_is_true(
    width: tuple[int, ...], target: Target | None
) -> None:
    arrays: dict[str, Any] = random_kan(width, replicas=1).to_arrays()
    curves = matched(as_model(arrays), target)
    assert none_known(curves)
    assert len(curves) == len(as_model(arrays).edges)
