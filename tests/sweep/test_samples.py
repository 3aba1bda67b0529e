"""The sampling contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.sweep.samples import sample

TARGET = TARGETS["exp_sin"]


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=10, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**40))
def test_more_points_contain_the_fewer_and_the_test_set_stays(name, n, more, seed):
    few, many = (sample(Sampled(TARGETS[name]), size, 50, (seed,)) for size in (n, n + more))
    assert torch.equal(many.x_train[:, :n], few.x_train)
    assert torch.equal(many.y_train[:, :n], few.y_train)
    assert torch.equal(many.x_test, few.x_test)
    assert torch.equal(many.y_test, few.y_test)


def test_more_test_points_do_not_change_the_training_points():
    assert torch.equal(
        sample(Sampled(TARGET), 30, 10, (0,)).x_train,
        sample(Sampled(TARGET), 30, 999, (0,)).x_train,
    )


def test_seeds_differ_and_do_not_know_of_each_other():
    both, second = sample(Sampled(TARGET), 40, 20, (0, 1)), sample(Sampled(TARGET), 40, 20, (1,))
    assert torch.equal(both.x_train[1:], second.x_train)
    assert not torch.equal(both.x_train[0], both.x_train[1])


def test_training_and_test_points_are_different_ones():
    data = sample(Sampled(TARGET), 40, 40, (0,))
    assert not torch.equal(data.x_train, data.x_test)


def test_points_fill_the_domain_evenly():
    data = sample(Sampled(TARGET), 20_000, 1, (0,))
    counts = torch.histc(data.x_train[0, :, 0].float(), bins=10, min=-1, max=1)
    assert data.x_train.abs().max() <= 1
    assert (counts - 2000).abs().max() < 5 * np.sqrt(2000)


def test_outputs_are_the_targets_values():
    data = sample(Sampled(TARGETS["nested"]), 30, 10, (0, 7))
    for r in range(2):
        values = TARGETS["nested"].function(data.x_test[r].numpy())
        np.testing.assert_array_equal(data.y_test[r], values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_precision_is_the_double_one_rounded(dtype):
    double, other = (
        sample(Sampled(TARGET), 9, 9, (0,)),
        sample(Sampled(TARGET), 9, 9, (0,), dtype=dtype),
    )
    assert torch.equal(other.y_train, double.y_train.to(dtype))
    assert torch.equal(other.x_test, double.x_test.to(dtype))


def test_no_global_generator_is_touched():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    sample(Sampled(TARGET), 10, 10, (0,))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_derivatives_are_those_at_the_first_test_points():
    data = sample(Sampled(TARGET), 30, 50, (0, 7), derivatives=True)
    known = data.derivatives
    assert known is not None
    assert torch.equal(known.x, data.x_test)
    assert (known.gradient.shape, known.hessian.shape) == ((2, 50, 1, 2), (2, 50, 1, 2, 2))
    x1, x2, value = known.x[..., 0], known.x[..., 1], data.y_test[..., 0]
    assert torch.allclose(known.gradient[:, :, 0, 1], 2 * x2 * value)
    slope = torch.pi * torch.cos(torch.pi * x1)
    assert torch.allclose(known.gradient[:, :, 0, 0], slope * value)
    assert torch.allclose(known.hessian[:, :, 0, 0, 1], 2 * x2 * slope * value)
    part = data[torch.tensor([1])].derivatives
    assert part is not None
    assert torch.equal(part.hessian, known.hessian[1:])


def test_derivatives_are_few_where_there_are_many_points_or_inputs():
    for name, few in (("exp_sin", 2000), ("sine_mean", 100)):
        known = sample(Sampled(TARGETS[name]), 10, 3000, (0,), derivatives=True).derivatives
        assert known is not None
        assert known.x.shape[1] == few


def test_where_derivatives_are_not_known_there_are_none():
    assert sample(Sampled(TARGETS["ellipj"]), 10, 10, (0,), derivatives=True).derivatives is None
    assert sample(Sampled(TARGET), 10, 10, (0,)).derivatives is None
