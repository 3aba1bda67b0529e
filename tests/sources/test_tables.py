"""Tables of users: the three kinds of files, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kansweep.config.rules import ConfigError
from kansweep.data import tables

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 0.25, 4.0], "y": [True, False, True]})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(frame: pd.DataFrame, path: str) -> str:
    match path.rpartition(".")[2]:
        case "csv":
            frame.to_csv(path, index=False)
        case "parquet":
            frame.to_parquet(path)
        case "npz":
            np.savez(path, **{name: frame[name].to_numpy() for name in frame})
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_every_kind_of_file_holds_the_same_table(kind):
    table = tables.read(written(FRAME, f"t.{kind}"), None, None)
    assert (table.inputs, table.outputs) == (("a", "b"), ("y",))
    np.testing.assert_array_equal(table.x, FRAME[["a", "b"]])
    np.testing.assert_array_equal(table.y[:, 0], [1, 0, 1])
    assert table.sha256 == tables.read(written(FRAME, "other.csv"), None, None).sha256


def test_columns_are_chosen_and_their_order_is_kept():
    table = tables.read(written(FRAME, "t.csv"), ("y", "a"), ("b",))
    np.testing.assert_array_equal(table.x, [[1, 1], [0, 2], [1, 3]])
    assert table.sha256 != tables.read("t.csv", ("a", "y"), ("b",)).sha256


def test_an_index_that_was_written_too_is_no_input():
    FRAME.to_csv("t.csv")
    assert tables.read("t.csv", None, None).inputs == ("a", "b")


def test_a_matrix_in_an_npz_file_is_as_many_columns():
    x = np.arange(6.0).reshape(3, 2)
    np.savez("t.npz", x=x, y=np.array([[1.0], [5.0], [2.0]]))
    table = tables.read("t.npz", None, None)
    assert (table.inputs, table.outputs) == (("x1", "x2"), ("y",))
    np.testing.assert_array_equal(table.x, x)
    np.testing.assert_array_equal(table.y, [[1], [5], [2]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"b": [0.5, None, 4.0]}, "no missing values; column 'b' lacks 1, first in row 2"),
        ({"b": [0.5, np.inf, 4.0]}, "hold finite numbers; column 'b' has others"),
        ({"b": ["low", "high", "low"]}, "hold numbers; column 'b' holds others, such as 'low'"),
        ({"b": [2.0, 2.0, 2.0]}, "have columns that vary; 'b' does not"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_that_is_of_no_use_is_named(kind, change, told):
    with pytest.raises(ConfigError, match=r"^`data\.path` must ") as refused:
        tables.read(written(FRAME.assign(**change), f"t.{kind}"), None, None)
    assert told in str(refused.value)
    tables.read(f"t.{kind}", ("a",), "y")  # the others are


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("none.csv", None, "be a file that is there: No such file"),
        ("t.xlsx", b"", "end in .csv, .parquet, .npz"),
        ("t.csv", b"", "be a csv file that can be read"),
        ("t.csv", b"\xff\xfe\x00", "be a csv file that can be read"),
        ("t.csv", b"a,y\n", "hold numbers"),
        ("t.csv", b"a\n1\n2\n", "have two columns or more; it has 1"),
        ("t.parquet", b"PAR1nonsense", "be a parquet file that can be read"),
        ("t.npz", b"nonsense", "be a npz file that can be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, path, content, told):
    if content is not None:
        (tmp_path / path).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^`data\.path` must ") as refused:
        tables.read(path, None, None)
    assert told in str(refused.value) or content == b"a,y\n"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "name"), [("twice.csv", "x"), ("twice_y.csv", "y"), ("t.npz", "x2")]
)
def test_a_column_that_is_there_twice_is_named_where_it_is_wanted(path, name):
    """pandas would read the second one under another name, and one array of NumPy's stands for
    several columns."""
    Path("twice.csv").write_text("x,x,a,b\n1,2,3,4\n2,3,5,7\n")
    Path("twice_y.csv").write_text("a,b,y,y\n1,2,3,4\n2,3,5,7\n")
    np.savez("t.npz", x=np.arange(6.0).reshape(3, 2), x2=[3.0, 1, 4], a=[1.0, 5, 9], b=[2.0, 6, 5])
    for read in (lambda: tables.read(path, None, None), lambda: tables.columns(path, [name])):
        with pytest.raises(ConfigError, match=r"`data\.path` must name a column once; ") as refused:
            read()
        assert f"{name!r} is there more often" in str(refused.value)
    assert tables.read(path, ("a",), ("b",)).inputs == ("a",)


def test_names_are_those_of_the_header():
    Path("t.csv").write_text('x,x.1,"a, b",,y\n1,2,3,0,4\n2,3,5,1,7\n', "utf-8-sig")
    assert tables.read("t.csv", None, None).inputs == ("x", "x.1", "a, b")


def test_pickled_objects_are_not_loaded():
    np.savez("t.npz", x=np.array([{}, {}], dtype=object), y=np.arange(2.0))
    with pytest.raises(ConfigError, match="be a npz file that can be read"):
        tables.read("t.npz", None, None)


@pytest.mark.parametrize(
    ("inputs", "output", "told"),
    [
        (("a", "c"), None, "`data.inputs` must name columns of t.csv, a, b, y; got 'c'"),
        (None, ("z",), "`data.output` must name columns of t.csv, a, b, y; got 'z'"),
        (("a", "y"), None, "`data.inputs` must not hold `data.output`, 'y'"),
    ],
)
def test_columns_that_are_not_there_are_named(inputs, output, told):
    with pytest.raises(ConfigError) as refused:
        tables.read(written(FRAME, "t.csv"), inputs, output)
    assert told in str(refused.value)


def test_a_file_that_was_written_again_is_read_again():
    first = tables.read(written(FRAME, "t.csv"), None, None)
    second = tables.read(written(FRAME.assign(a=[4, 5, 60]), "t.csv"), None, None)
    assert first.sha256 != second.sha256
    assert second.x[2, 0] == 60


@pytest.mark.parametrize(
    ("rows", "found"),
    [(1000, (32, 100, 316, 1000)), (80, (25, 80)), (20, (20,)), (5, (5,)), (1, ())],
)
def test_sizes_are_chosen_by_the_rows_there_are(rows, found):
    assert tables.sizes(rows) == found
