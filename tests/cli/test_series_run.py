"""`kansweep run` of KANs of series, to their laws."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from kansweep import kinds

SERIES = [kind for kind in kinds.KINDS.values() if kind.basis]
WORDS = "data.sizes=[100] data.n_test=200 seeds=1 data.formula=exp(sin(2*x1)) model.hidden=[]"


@pytest.mark.parametrize("kind", SERIES, ids=lambda kind: kind.name)
def test_a_sweep_ends_in_a_law(kind: kinds.Kind, kansweep: Any, tmp_path: Any) -> None:
    words = ("run", f"model={kind.name}", f"{kind.axis}=[3,6,12]", *WORDS.split(), "name=a")
    status, out, err = kansweep(*words)
    assert status == 0, err
    assert "a: 3 cells, 0 of them kept, 3 trained, 0 failed" in out
    rows = pd.read_parquet("outputs/a/results.parquet")
    assert (rows["status"] == "ok").all()
    assert rows["k"].isna().all() == (kind.degree is None)
    assert rows["test_rmse"].is_monotonic_decreasing
    status, out, err = kansweep("plot", "name=a", "plot.formats=[png]", "plot.split=test")
    assert (status, err) == (0, "")
    laws = pd.read_csv("outputs/a/laws.csv")
    assert (laws["exponent"] < -2).all()
    assert laws["theory"].dropna().tolist() == ([-4.0] if kind.has_theory else [])
