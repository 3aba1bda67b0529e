"""`kansweep run` of KANs of series, to their laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kansweep import kinds, load_model, study

SERIES = [kind for kind in kinds.KINDS.values() if kind.basis]
WORDS = "data.sizes=[300] data.n_test=200 seeds=1 data.formula=exp(sin(2*x1)) model.hidden=[]"


@pytest.mark.parametrize("kind", SERIES, ids=lambda kind: kind.name)
def test_a_sweep_of_a_kind_ends_in_a_law(kind: kinds.Kind, kansweep: Any) -> None:
    """By no word but the kind's name and its sizes; it is trained by `lm`."""
    status, out, err = kansweep(
        "run", f"model={kind.name}", f"{kind.axis}=[3,6,12]", *WORDS.split()
    )
    assert status == 0, err
    assert "example8: 3 cells, 0 of them kept, 3 trained, 0 failed" in out
    rows = pd.read_parquet("outputs/example8/results.parquet")
    assert (rows["status"] == "ok").all()
    assert set(rows["solver"]) == {"lm"}
    assert rows["k"].isna().all() == (kind.degree is None)
    laws = study.of_one(rows).laws
    assert (laws["exponent"] < -2).all()
    assert set(laws["theory"].dropna()) == ({-4.0} if kind.has_theory else set())
    x = np.linspace(-1.0, 1.0, 101)[:, None]
    error = load_model("outputs/example8", size=12)(x) - np.exp(np.sin(2 * x))
    assert np.sqrt((error**2).mean()) < 2 * rows["test_rmse"].iloc[-1]
