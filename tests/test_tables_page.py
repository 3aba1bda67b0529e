"""The page of the KAN paper's tables: made of what was run, and some of its rows run again."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from places import ROOT

from kansweep.data.published import published
from kansweep.laws.published import beside

tables = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "tables.py")))
ROWS = {  # of the first command of each
    "feynman": ["III.10.19", "I.13.12", "I.44.4"],
    "special": ["sph_harm(0,1,x,y)", "sph_harm(0,2,x,y)", "kv(x,y)"],
}
ROUND_OFF = 1e-11  # errors below it differ between machines
SHAPE = {"feynman": ("kan", "human"), "special": ("smallest", "smallest")}


FEWEST = ["III.10.19", "I.13.12", "II.36.38"]  # of the table of fewest parameters


def lines(name: str) -> dict[str, list[str]]:
    """The cells of a table of the page behind each function's name."""
    found = re.search(tables.SLOT.format(f"table: {name}"), tables.PAGE.read_text(), re.DOTALL)
    assert found is not None
    return cells(found[0])


def cells(table: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_pages_functions_are_those_that_are_there() -> None:
    assert tables.functions() in tables.PAGE.read_text()


@pytest.mark.parametrize(("name", "count"), [("feynman", 27), ("special", 15)])
def test_the_pages_published_values_are_the_published_ones(name: str, count: int) -> None:
    page, empty = lines(name), cells(tables.table(name, pd.DataFrame(columns=tables.NEEDED)))
    assert len(page) == count
    for function, row in empty.items():
        given = [i for i, cell in enumerate(row) if cell != "-"]
        assert [page[function][i] for i in given] == [row[i] for i in given]


@pytest.mark.parametrize("name", ROWS)
def test_three_rows_of_a_table_come_out_again(name: str, kansweep) -> None:
    model, shape = SHAPE[name]
    files = {path.stem: path for path in (ROOT / "configs/data" / name).iterdir()}
    chosen = [f"{name}/{stem}" for stem in files if tables.named(files[stem]) in ROWS[name]]
    command = shlex.split(tables.COMMANDS[name][0])
    words = [word for word in command[1:] if not word.startswith("model=")]
    assert kansweep(*words, f"model={model}", f"data={','.join(chosen)}").status == 0
    results = pd.concat(map(pd.read_parquet, Path("outputs").glob("*/results.parquet")))
    made = cells(tables.table(name, beside(results, published())))
    column = tables.SHAPES[name].index(shape) * 3 + 1
    for function in ROWS[name]:
        ours = float(made[function][column])
        assert float(lines(name)[function][column]) == pytest.approx(ours, rel=0.3, abs=ROUND_OFF)


def test_three_rows_of_the_fewest_parameters_come_out_again(kansweep) -> None:
    (command,) = (each for each in tables.COMMANDS["feynman"] if "model.enough" in each)
    chosen = ",".join(f"feynman/{name}" for name in FEWEST)
    assert kansweep(*shlex.split(command)[1:], f"data={chosen}").status == 0
    page, made = lines("fewest"), cells(tables.fewest(Path("outputs")))
    assert len(page) == 27
    for name in FEWEST:
        assert page[name][0] == made[name][0]  # published
        assert page[name][3:] == made[name][3:]  # found
