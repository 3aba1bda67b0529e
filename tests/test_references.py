"""The envelope, and the line of the theory's slope."""

from __future__ import annotations

import pytest
from studies import (
    envelope,
    published,
)

# ------------------------------------------------------------------------ the published table


def test_envelope_of_the_published_table_takes_only_cells_that_count():
    best = envelope(published(), "test")
    assert best["n_train"].tolist() == [100, 300, 1000, 3000]
    assert best["size"].tolist() == [5, 20, 20, 100]  # not 50 at 300, over-parameterised
    assert best["rmse"].tolist() == pytest.approx([7.32e-3, 2.34e-5, 4.69e-5, 3.27e-8])
