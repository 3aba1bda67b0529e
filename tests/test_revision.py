"""The benchmark against an earlier revision, as far as it computes."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks import revision


def test_a_clone_without_the_revision_says_so_in_a_sentence(monkeypatch):
    monkeypatch.setattr(revision, "REFERENCE", "0" * 40)
    assert revision.measure(0.0) == (
        f"This clone does not have revision {'0' * 40}; `git fetch --unshallow` brings it."
    )


def test_the_floor_counts_products_of_derivatives_and_a_factorisation_an_iteration():
    rows = pd.DataFrame(
        {"width": ["2-1-1"], "k": [3], "n_train": [100], "n_params": [24], "steps": [5]}
    )
    assert revision.flops(rows) == pytest.approx(5 * (100 * 12**2 + 24**3 / 3))
