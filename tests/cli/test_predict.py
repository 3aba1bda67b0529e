"""`kansweep predict`: what it prints, and that it trains and writes nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
from folders import files


def test_it_tells_the_error_of_a_cell_that_was_not_trained(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep("first")
    before = files(tmp_path)
    status, out, err = kansweep("predict", "name=first", "size=24", "n_train=100")
    assert (status, err) == (0, "")
    assert out.startswith("first at G = 24, n = 100 (P = 81, P/n = 0.81):\n  test RMSE ")
    assert "G is 2 times the largest" in out

    words = ("predict", "size=24", "n_train=100")
    record = json.loads(kansweep(*words, "format=json").out)
    table = pd.read_csv(
        io.StringIO(kansweep("predict", "size=24", "n_train=100", "format=csv").out)
    )
    assert record["low"] < record["rmse"] < record["high"]
    assert table["rmse"].tolist() == [record["rmse"]]
    assert record["size_beyond"] == 2.0
    assert files(tmp_path) == before


def test_what_it_cannot_predict_it_refuses_in_a_sentence(kansweep: Any, sweep: Any) -> None:
    sweep()
    for word, message in {
        "sizes=[3,7]": "`sizes` must be out of the sweep's 3, 6, 12; got 7.",
        "sizes=[3]": "sound cells; there are 2.",
    }.items():
        status, out, err = kansweep("predict", word)
        assert (status, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1
