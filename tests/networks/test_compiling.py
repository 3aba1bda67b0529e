"""The cache of compiled loops, between processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import environment
from processes import python

pytest.importorskip("numba")  # the tensors serve without it

MODULE = """
import os
from kansweep.networks.compiling import filling, loop, unused

assert not unused()  # there is none

@loop
def double(x):
    return 2.0 * x

if __name__ == "__main__":
    with filling() as empty:
        if empty:
            double(1.0)
    assert unused() != empty
    assert double(3.0) == 6.0
    assert not unused()
    print(empty, sum(double.stats.cache_hits.values()))
"""


@pytest.fixture
def begun(tmp_path):
    """Begins a process that calls a loop, in any folder."""
    module = tmp_path / "loops.py"
    module.write_text(MODULE)

    def begin(folder=tmp_path, **variables):
        return subprocess.Popen(
            [sys.executable, module],
            cwd=folder,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def test_of_processes_at_once_one_fills_the_cache_and_says_so(tmp_path, begun):
    processes = [begun() for _ in range(3)]
    ends = [process.communicate(timeout=120) for process in processes]
    assert sorted(out.split()[0] for out, _ in ends) == ["False", "False", "True"]
    told = [err for out, err in ends if out.startswith("True")]
    assert len(told[0].splitlines()) == 1
    assert "compiled" in told[0]

    (elsewhere := tmp_path / "elsewhere").mkdir()
    out, err = begun(elsewhere).communicate(timeout=120)
    assert (out, err) == ("False 1\n", "")


def test_the_cache_is_where_numba_is_told_to_have_it(tmp_path, begun):
    where = tmp_path / "cache"
    out, _ = begun(NUMBA_CACHE_DIR=str(where)).communicate(timeout=120)
    assert out == "True 0\n"
    assert {path.suffix for path in where.rglob("*.*")} >= {".compiled", ".nbc", ".nbi"}
    assert not (tmp_path / "__pycache__").exists()


def test_without_numba_one_line_says_so():
    script = """
import sys
sys.modules["numba"] = None
from kansweep.networks.compiling import available
sys.exit(not available() and not available())
"""
    assert "without numba" in python(script)
    assert len(python(script).splitlines()) == 1
