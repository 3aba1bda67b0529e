"""Loops that numba compiles, and the cache that keeps what it made of them.

Compiled code is kept beside the source, or in the user's folder for caches where the package may
not be written, or in ``NUMBA_CACHE_DIR``: wherever it is run from, the next process finds it there.
To fill the cache takes fifteen seconds, once for a version and a kind of processor. One process
does so, those beside it wait: numba itself would let two write one file for different code.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import logging
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

# Of passes over points that may be shared out; a run leaves it at one (``sweep.worker``).
_threads: ContextVar[int] = ContextVar("threads", default=1)

LoopT = TypeVar("LoopT", bound=Callable[..., Any])
_loops: list[Any] = []
_log = logging.getLogger(__name__)  # a worker has no other way to stderr


@lru_cache
def available() -> bool:
    """Whether numba is there and runs with this NumPy; where not, one line says so."""
    try:
        import_module("numba")
    except ImportError as error:
        _log.warning("kansweep: without numba the solver takes some five times as long: %s", error)
        return False
    return True


def loop(function: LoopT) -> LoopT:
    """The function compiled when it is first called, or as an earlier process left it; as it is
    where numba is not ``available``."""
    if not available():
        return function
    try:
        compiled: LoopT = _njit(function, cache=True)
    except RuntimeError:  # no folder that may be written: every process compiles for itself
        return _njit(function)
    _loops.append(compiled)
    return compiled


def unused() -> bool:
    """Whether there are loops of which this process has called none; the first calls load them,
    which takes some tenths of a second."""
    return bool(_loops) and not any(compiled.signatures for compiled in _loops)


def inner(function: LoopT) -> LoopT:
    """A function that only loops call: a way in from Python would have to be compiled as well."""
    return _njit(function, no_cpython_wrapper=True) if available() else function


def inlined(function: LoopT) -> LoopT:
    """A function that becomes a part of the loops that call it."""
    if not available():
        return function
    return _njit(function, no_cpython_wrapper=True, forceinline=True)


def _njit(function: LoopT, **options: bool) -> LoopT:
    numba: Any = import_module("numba")
    numba.config.SLP_VECTORIZE = 1  # four sums of neighbours become one of a vector
    compiled: LoopT = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(
        function
    )
    return compiled


@contextmanager
def in_threads(count: int) -> Iterator[None]:
    """Share passes over many points out among so many threads, of whoever is within."""
    token = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(token)


def shares(n_points: int, least: int) -> list[tuple[int, int]]:
    """The parts of a pass over points, (first, last) each, of which none is smaller than
    ``least``."""
    parts = max(1, min(_threads.get(), n_points // least))
    ends = [n_points * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(ends))


@contextmanager
def filling() -> Iterator[bool]:
    """Whether the cache is to be filled, by whoever has it so to himself until the block ends."""
    mark = _mark()
    if mark is None or mark.exists():
        yield False
        return
    _log.warning(
        "kansweep: waiting for the solver's loops to be compiled, once after an installation."
    )
    with mark.with_name("kansweep.lock").open("w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        if mark.exists():
            yield False
            return
        yield True
        mark.touch()


def _mark() -> Path | None:
    """The file that is there once the cache holds these loops for this machine; None where there
    is no cache."""
    if not _loops:
        return None
    numba: Any = import_module("numba")
    machine = import_module("llvmlite.binding").get_host_cpu_name()
    sources = sorted({each.py_func.__code__.co_filename for each in _loops})
    stamps = [(path, Path(path).stat().st_mtime_ns) for path in sources]
    known = (numba.__version__, platform.python_version(), machine, stamps)
    digest = hashlib.sha256(repr(known).encode()).hexdigest()[:16]
    return Path(_loops[0].stats.cache_path) / f"kansweep-{digest}.compiled"
