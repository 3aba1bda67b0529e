"""The vocabulary of columns: what files, pages and a writer's mistakes show of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from places import ROOT

from kansweep.solvers.reasons import StopReason
from kansweep.sweep import columns, rows
from kansweep.sweep.columns import RESULTS, TRACE, Column, State, Status

PAGE = (ROOT / "docs" / "files.md").read_text()


@pytest.mark.parametrize(("name", "described"), [("results", RESULTS), ("traces", TRACE)])
def test_the_page_of_files_has_every_column_as_it_is_described(
    name: str, described: tuple[Column, ...]
) -> None:
    (shown,) = re.findall(rf"<!-- columns of {name} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert shown == columns.markdown(described)


@pytest.mark.parametrize("described", [RESULTS, TRACE])
def test_every_column_has_one_name_and_a_meaning(described: tuple[Column, ...]) -> None:
    assert len({column.name for column in described}) == len(described)
    assert all(column.meaning and "|" not in column.meaning for column in described)


def test_a_row_with_an_unknown_column_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    with pytest.raises(ValueError, match=r"There is no column `mood`, `test_loss`\."):
        rows.of_cells([{"key": "a", "mood": None, "test_loss": 0.5}])
    with pytest.raises(ValueError, match=r"There is no column `loss`\."):
        rows.write_trace(path, [{"step": 1, "rmse": 0.1}, {"step": 2, "loss": 0.1}])
    assert not path.exists()


def test_enumerations_are_plain_text_in_every_file(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    row = {"key": "a", "status": Status.FAILED, "stop_reason": StopReason.WORKER_DIED}
    pq.write_table(rows.of_cells([row])[row["key"]], path)
    (read,) = pq.read_table(path).to_pylist()
    assert (read["status"], read["stop_reason"]) == ("failed", "worker died")
    assert {type(read[name]) for name in row} == {str}
    assert json.dumps(row) == '{"key": "a", "status": "failed", "stop_reason": "worker died"}'
    assert pd.DataFrame([row]).to_csv(index=False).splitlines()[1] == "a,failed,worker died"
    assert f"{Status.OK} {State.DONE} {StopReason.STEP_LIMIT}" == "ok done step limit"


def test_every_status_is_a_state_of_the_cell() -> None:
    assert [State.after(status) for status in Status] == [State.DONE, State.FAILED, State.FAILED]
