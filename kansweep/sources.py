"""Where data come from: a function that is sampled, or the rows of a table; NumPy, no torch.

A source gives a seed's training and test points. The training points of a seed are one stream, so
that a larger set contains the smaller, and its test set is the same for every size.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kansweep import formula, targets
from kansweep.checks import ConfigError, one_of
from kansweep.config import N_TEST, DataConfig
from kansweep.streams import Stream, generator
from kansweep.targets import TARGETS, Interval, Target

if TYPE_CHECKING:  # a table's reader is imported where there is a table: it takes pandas
    from kansweep.tables import Table

Array = NDArray[np.float64]
Points = tuple[Array, Array]
"""Inputs (n, n_inputs) and outputs (n, n_outputs)."""

PROBES = 1000  # points at which a function must be finite, and by whose values it is known
DIGITS = 9  # of those values: the last ones differ between machines


class Source(Protocol):
    """What training asks of its data. ``bounds`` are the inputs' (n_inputs,) lower and upper ends;
    ``units`` what outputs are trained in: the offset and the scale of what they are given in."""

    @property
    def bounds(self) -> tuple[Array, Array]: ...

    @property
    def units(self) -> tuple[float, float]: ...

    @property
    def noise(self) -> float: ...

    def train(self, n: int, seed: int) -> Points: ...

    def test(self, n: int, seed: int) -> Points: ...


@dataclass(frozen=True)
class Sampled:
    """A target at sampled points: ``noise`` is the standard deviation of what is added to the
    training outputs, never to the test set's."""

    target: Target
    noise: float = 0.0
    sampling: str = "uniform"
    units: tuple[float, float] = (0.0, 1.0)

    @property
    def bounds(self) -> tuple[Array, Array]:
        return self.target.bounds

    def train(self, n: int, seed: int) -> Points:
        x = SAMPLINGS[self.sampling](n, self.target, seed)
        y = self.target.function(x)
        if self.noise:
            rng = generator(seed, Stream.NOISE)
            y = y + self.noise * rng.standard_normal(y.shape)
        return x, y

    def test(self, n: int, seed: int) -> Points:
        x = _uniform(n, self.target, seed, Stream.TEST)
        return x, self.target.function(x)


@dataclass(frozen=True)
class Tabled:
    """The rows of a table, in an order that the seed draws: the first are for the test. Outputs
    are trained in units of their spread and reported in their own."""

    table: Table
    n_test: int
    noise: float = 0.0

    @property
    def bounds(self) -> tuple[Array, Array]:
        return self.table.x.min(0), self.table.x.max(0)

    @property
    def units(self) -> tuple[float, float]:
        return float(self.table.y.mean()), float(self.table.y.std())

    def train(self, n: int, seed: int) -> Points:
        return self._rows(slice(self.n_test, self.n_test + n), seed)

    def test(self, n: int, seed: int) -> Points:
        return self._rows(slice(0, n), seed)

    def _rows(self, part: slice, seed: int) -> Points:
        order = generator(seed, Stream.TRAIN).permutation(len(self.table.x))[part]
        return self.table.x[order], self.table.y[order]


# ----------------------------------------------------------------------------------- sampling


def _uniform(n: int, target: Target, seed: int, stream: Stream = Stream.TRAIN) -> Array:
    return generator(seed, stream).uniform(*target.bounds, (n, target.n_inputs))


def _sobol(n: int, target: Target, seed: int) -> Array:
    """The first points of a scrambled Sobol sequence (Owen 1998), a sequence a seed."""
    from scipy.stats import qmc  # slow to import

    rng = generator(seed, Stream.TRAIN)
    # A power of two, as its balance asks for; the first n of it are a prefix of every longer one.
    unit = qmc.Sobol(target.n_inputs, rng=rng).random_base2(max(1, (n - 1).bit_length()))[:n]
    lower, upper = target.bounds
    return lower + (upper - lower) * unit


def _grid(n: int, target: Target, seed: int) -> Array:
    """The regular grid, ends included, of as many points along every axis; no seed changes it."""
    side = _side(n, target.n_inputs)
    axes = [np.linspace(low, high, side) for low, high in target.intervals]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def _side(n: int, d: int) -> int:
    side: int = round(n ** (1 / d))
    return side


SAMPLINGS: dict[str, Callable[[int, Target, int], Array]] = {
    "uniform": _uniform,
    "sobol": _sobol,
    "grid": _grid,
}


def _check_sampling(data: DataConfig, target: Target) -> None:
    d = target.n_inputs
    for n in data.sizes or () if data.sampling == "grid" else ():
        side = _side(n, d)
        if side**d != n or side < 2:
            near = sorted({max(2, s) ** d for s in (int(n ** (1 / d)), int(n ** (1 / d)) + 1)})
            raise ConfigError(
                f"`data.sizes` must be numbers to the power of {d} for data.sampling=grid with {d}"
                f" inputs, such as {' or '.join(map(str, near))}; got {n}."
            )


# ------------------------------------------------------------------------ from a configuration


def source(data: DataConfig) -> Source:
    """The source that a settled configuration describes; raises ConfigError where there is none."""
    if data.is_table:
        from kansweep import tables

        if data.n_test is None:
            raise ValueError("a table's configuration is settled before it is used")
        table = tables.read(data.path, data.inputs, data.output)
        if table.sha256 != data.sha256:
            raise ConfigError(
                f"`data.path` must hold what it held when this sweep began; {data.path} has"
                " changed. Give what it holds now a name of its own with name=…"
            )
        return Tabled(table, data.n_test)
    found = target(data)
    return Sampled(found, noise(data, found), data.sampling)


def noise(data: DataConfig, found: Target) -> float:
    """The noise's standard deviation in the outputs' units: as given, or in % of the spread."""
    if isinstance(data.noise, str):
        return float(data.noise.rstrip("%")) / 100 * targets.spread(found)
    return float(data.noise)


def spread(data: DataConfig) -> float:
    """Standard deviation of the outputs, as far as their source can be had; or 1."""
    with suppress(ConfigError):
        return source(data).units[1] if data.is_table else targets.spread(target(data))
    return 1.0


def target(data: DataConfig) -> Target:
    """The function that a configuration names, writes or imports; not for tables."""
    if data.formula is not None:
        return _of_formula(data.formula, label(data), data.domain, data.hidden)
    if data.target is not None:
        return _imported(data.target, label(data), data.domain, data.hidden, os.getcwd())
    return TARGETS[data.name]


def label(data: DataConfig) -> str:
    """What rows and figures call it: its name, unless that is the one of the target overridden."""
    if data.is_table:
        return Path(str(data.path)).stem
    own = data.formula or data.target
    return own if own is not None and data.name in TARGETS else data.name


def shape(data: DataConfig) -> tuple[int, tuple[int, ...], int]:
    """Number of inputs, suggested hidden widths and number of outputs; reads no table."""
    if data.is_table:
        inputs = len(data.inputs or ())
        usual = () if inputs == 1 else (1,)
        return inputs, usual if data.hidden is None else data.hidden, 1
    found = target(data)
    return found.n_inputs, found.hidden, found.n_outputs


def check(data: DataConfig) -> None:
    """Refuse what no source can be made of, as far as that shows without reading a table.

    A function is looked at on its domain: one that a user wrote runs here.
    """
    if data.is_table:
        return
    if data.formula is None and data.target is None:
        names = one_of(*TARGETS)
        if not names.holds(data.name):
            raise names.refusal("data.name", data.name)
        for key in ("domain", "hidden"):
            if getattr(data, key) is not None:
                raise ConfigError(
                    f"`data.{key}` goes with data.formula or data.target; {data.name} has its own"
                    f"{'; model.hidden changes it' if key == 'hidden' else ''}."
                )
    if data.target is None or data.sha256 is None:  # what is settled may be read anywhere
        _check_sampling(data, target(data))


def settled(data: DataConfig) -> DataConfig:
    """The configuration with everything that the data themselves decide: a table's columns, sizes
    and test set, and what tells its content, or that of a user's code, from another.

    Reads the table; raises ConfigError where it is of no use.
    """
    if not data.is_table:
        sha256 = None if data.target is None else _fingerprint(target(data))
        found = replace(data, n_test=data.n_test or N_TEST)
    else:
        from kansweep import tables

        table = tables.read(data.path, data.inputs, data.output)
        n_test = data.n_test or max(1, len(table.x) // 5)
        sizes = data.sizes or tables.sizes(len(table.x) - n_test)
        if max(sizes, default=0) + n_test > len(table.x) or not sizes:
            raise ConfigError(
                f"`data.path` must have the rows that `data.sizes` and `data.n_test` ask for,"
                f" {max(sizes, default=2)} + {n_test}; {data.path} has {len(table.x)}."
            )
        sha256 = table.sha256
        found = replace(data, inputs=table.inputs, output=table.output, n_test=n_test, sizes=sizes)
    if data.sha256 not in (None, sha256):
        what = data.target or data.path
        raise ConfigError(f"`data.sha256` must be that of {what}, {sha256}; got {data.sha256}.")
    return replace(found, sha256=sha256)


# -------------------------------------------------------------------------- a user's functions


@lru_cache(maxsize=64)
def _of_formula(
    text: str, name: str, domain: tuple[Any, ...] | None, hidden: tuple[int, ...] | None
) -> Target:
    function = formula.parse(text)
    found = _given(Target(name, text, function, function.n_inputs, (1,), "formula"), domain, hidden)
    _check_values(found, "data.formula")
    return found


@lru_cache(maxsize=64)
def _imported(
    address: str,
    name: str,
    domain: tuple[Any, ...] | None,
    hidden: tuple[int, ...] | None,
    folder: str,  # modules of another folder are others
) -> Target:
    """``package.module:name``: a ``Target``, or a function of arrays (n,), one a variable."""
    module, _, attribute = address.partition(":")
    try:
        with _importing_from(folder):
            value = getattr(import_module(module), attribute)
    except Exception as error:  # whatever a user's module raises
        raise ConfigError(
            f"`data.target` must be package.module:function; {address} cannot be imported:"
            f" {type(error).__name__}: {error}."
        ) from error
    if isinstance(value, Target):
        for key, given in (("domain", domain), ("hidden", hidden)):
            if given is not None:
                raise ConfigError(f"`data.{key}` is for a plain function; {address} is a Target.")
        found = replace(value, name=value.name if name == address else name)
    elif callable(value):
        found = _given(_of_function(value, name, address), domain, hidden)
    else:
        raise ConfigError(f"`data.target` must be a function or a Target; {address} is neither.")
    _check_values(found, "data.target")
    return found


@contextmanager
def _importing_from(folder: str) -> Iterator[None]:
    """As ``python -m`` does, so that a module beside the sweep is found; last, so that it hides
    none."""
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _of_function(function: Callable[..., Any], name: str, address: str) -> Target:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    if not names:
        raise ConfigError(
            f"`data.target` must be a function of its variables, as def f(x1, x2);"
            f" {address} has none."
        )

    def columns(x: Array) -> Array:
        value = np.asarray(function(*x.T), dtype=np.float64)
        return np.broadcast_to(value, len(x))[:, None].copy()

    return Target(name, f"{address}({', '.join(names)})", columns, len(names), (1,), address)


def _given(found: Target, domain: tuple[Any, ...] | None, hidden: tuple[int, ...] | None) -> Target:
    """The target with the domain and the hidden widths that the configuration gives it."""
    if domain is not None:
        intervals: tuple[Interval, ...]
        intervals = domain if isinstance(domain[0], tuple) else (domain,)
        if len(intervals) not in (1, found.n_inputs):
            raise ConfigError(
                f"`data.domain` must be one interval, or one for each of {found.n_inputs} inputs;"
                f" got {len(intervals)}."
            )
        found = replace(found, domain=tuple((float(a), float(b)) for a, b in intervals))
    return found if hidden is None else replace(found, hidden=hidden)


def _check_values(found: Target, key: str) -> None:
    """Refuse a function that cannot be evaluated, or whose values are no numbers or all alike."""
    x = np.random.default_rng(0).uniform(*found.bounds, (PROBES, found.n_inputs))
    try:
        y = np.asarray(found.function(x), dtype=np.float64)
    except Exception as error:  # whatever a user's function raises
        raise ConfigError(
            f"`{key}` must be a function of arrays; it raised {type(error).__name__}: {error}."
        ) from error
    if y.shape != (PROBES, found.n_outputs):
        raise ConfigError(
            f"`{key}` must give a value for each point, {(PROBES, found.n_outputs)}; got {y.shape}."
        )
    wrong = ~np.isfinite(y).all(axis=1)
    if wrong.any():
        point = ", ".join(f"x{i + 1} = {value:.3g}" for i, value in enumerate(x[wrong][0][:5]))
        raise ConfigError(
            f"`{key}` must be finite on its domain; {found.formula} is not at {point}."
            " data.domain=[low,high] gives it another."
        )
    if np.ptp(y) == 0:
        raise ConfigError(
            f"`{key}` must not be constant; {found.formula} is {y[0, 0]:g} everywhere."
        )


def _fingerprint(found: Target) -> str:
    """What tells a function from another with the same name: its values, to some digits."""
    x = np.random.default_rng(0).uniform(*found.bounds, (PROBES, found.n_inputs))
    told = " ".join(f"{value:.{DIGITS}e}" for value in found.function(x).ravel())
    return hashlib.sha256(f"{found.intervals} {told}".encode()).hexdigest()[:16]
