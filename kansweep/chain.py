"""One batch of chains: train, extend the grid, train, ..., yielding the results of every size.

Chains of a batch differ only in the seed and run as replicas of one tensor computation. What goes
wrong is a result with a status, never an exception: a replica that fails alone is the only one
marked, and its next grid starts cold.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from kansweep.data import Data, sample
from kansweep.kinds import Kind
from kansweep.protocol import Network, Refinable, Shape
from kansweep.sampling import Source
from kansweep.solvers.contract import Checkpoint, Iteration, Outcome, Problem, Solver
from kansweep.sweep import DIVERGED, FAILED, OK

REPORT_EVERY = 0.2  # seconds between progress reports; each evaluates the test set


@dataclass(frozen=True)
class Batch:
    """What to train: the seeds and shapes of chains that share everything else."""

    source: Source
    n_train: int
    n_test: int
    seeds: tuple[int, ...]
    kind: Kind
    shapes: tuple[Shape, ...]  # in the order of training, each extending the one before
    device: str
    dtype: str
    trace: bool = False  # keep what every iteration reports


@dataclass(frozen=True)
class Progress:
    """Where a cell's training stands, as medians over the replicas still in it."""

    n_train: int
    size: int
    replicas: int
    step: int
    train_rmse: float
    test_rmse: float
    reg: float | None


@dataclass(frozen=True)
class Result:
    """How one cell ended; without a net where an exception left none."""

    seed: int
    size: int
    status: str
    stop_reason: str
    seconds: float
    started_at: datetime
    device: str
    start_grid: int | None = None
    n_params: int | None = None
    train_rmse: float | None = None
    test_rmse: float | None = None
    test_median_error: float | None = None
    reg: float | None = None
    steps: int | None = None
    grad_norm: float | None = None
    error: str | None = None
    net: Checkpoint | None = None
    trace: tuple[TraceRow, ...] = ()


TraceRow = dict[str, float | int | bool | None]
"""One iteration of one replica, by the names of ``store.TRACE``."""

Report = Callable[[Progress], None]


def train(
    batch: Batch, solver: Solver[Any, Any], nets: Sequence[Checkpoint | None], report: Report
) -> Iterator[list[Result]]:
    """Train every shape in turn; ``nets`` are what to extend, None to start cold.

    Yields one list a shape, a result a seed in the order of ``batch.seeds``.
    """
    nets = list(nets)
    clock = time.perf_counter()
    try:
        data = _sample(batch)
    except Exception as error:
        for shape in batch.shapes:
            yield [_failure(batch, seed, shape, error) for seed in batch.seeds]
        return
    for shape in batch.shapes:
        started_at = datetime.now(UTC)
        results = _cell(batch, solver, nets, data, shape, report)
        now = time.perf_counter()
        share, clock = (now - clock) / len(batch.seeds), now
        results = [
            replace(
                _since(result, _start_size(batch.kind, shape, net)),
                seconds=share,
                started_at=started_at,
            )
            for result, net in zip(results, nets, strict=True)
        ]
        yield results
        goes_on = [batch.kind.extended and result.status == OK for result in results]
        nets = [result.net if on else None for result, on in zip(results, goes_on, strict=True)]


def _start_size(kind: Kind, shape: Shape, net: Checkpoint | None) -> int | None:
    """The size at which a chain began from nothing, None of a kind that always does."""
    if not kind.extended:
        return None
    return shape.size if net is None else net.start_size


def _since(result: Result, start_size: int | None) -> Result:
    """The result of a chain that began from nothing at that size."""
    net = None if result.net is None else replace(result.net, start_size=start_size)
    return replace(result, net=net, start_grid=start_size)


def _sample(batch: Batch) -> Data:
    return sample(
        batch.source,
        batch.n_train,
        batch.n_test,
        batch.seeds,
        dtype=getattr(torch, batch.dtype),
        device=batch.device,
    )


def _cell(
    batch: Batch,
    solver: Solver[Any, Any],
    nets: list[Checkpoint | None],
    data: Data,
    shape: Shape,
    report: Report,
) -> list[Result]:
    """All replicas in one shape; where that raises, each alone, so that only one is lost."""
    try:
        return _trained(batch, solver, nets, data, shape, report)
    except Exception as error:
        if len(nets) == 1:
            return [_failure(batch, batch.seeds[0], shape, error)]
    alone = []
    for r, seed in enumerate(batch.seeds):
        one = replace(batch, seeds=(seed,))
        part = data[torch.tensor([r], device=data.x_train.device)]
        alone += _cell(one, solver, [nets[r]], part, shape, report)
    return alone


def _trained(
    batch: Batch,
    solver: Solver[Any, Any],
    nets: list[Checkpoint | None],
    data: Data,
    shape: Shape,
    report: Report,
) -> list[Result]:
    lower, upper = (torch.from_numpy(end).to(data.x_train) for end in batch.source.bounds)
    units = Units.of(batch.source, data.y_train)
    problem = Problem(data.x_train, units.scaled(data.y_train), (lower, upper), batch.seeds)
    diary = _Diary(batch, data, shape, units, report)
    net, memory = _begin(solver, shape, problem, [units.trained(net) for net in nets])
    outcome = solver.solve(net, problem, memory, diary.observe)
    return _results(batch, replace(outcome, net=units.restored(outcome.net)), data, diary)


@dataclass(frozen=True)
class Units:
    """What outputs are trained in; those of a target are its own, exactly."""

    offset: Tensor  # (M,)
    scale: Tensor  # (M,)

    @classmethod
    def of(cls, source: Source, y: Tensor) -> Units:
        offset, scale = (y.new_full(y.shape[-1:], number) for number in source.units)
        return cls(offset, scale)

    def scaled(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.scale

    def trained(self, net: Checkpoint | None) -> Checkpoint | None:
        if net is None:
            return None
        return replace(net, net=net.net.with_outputs(-self.offset / self.scale, 1 / self.scale))

    def restored(self, net: Network) -> Network:
        return net.with_outputs(self.offset, self.scale)


def _begin(
    solver: Solver[Any, Any], shape: Shape, problem: Problem, nets: list[Checkpoint | None]
) -> tuple[Network, Tensor | None]:
    """Every replica in the new shape, extended where there is something to extend, and what
    the method remembers: NaN where it starts cold, None where all do."""
    cold = [r for r, net in enumerate(nets) if net is None]
    begun = {
        r: cast(Refinable, net.net).refined(shape.size)
        for r, net in enumerate(nets)
        if net is not None
    }
    if cold:
        index = torch.tensor(cold, device=problem.x.device)
        started = solver.start(shape, problem[index])
        begun |= {r: started[i : i + 1] for i, r in enumerate(cold)}
    known = [net.memory for net in nets if net is not None]
    memory = None
    if known:
        unknown = torch.full_like(known[0], torch.nan)
        memory = torch.cat([unknown if net is None else net.memory for net in nets])
    return type(begun[0]).concatenated([begun[r] for r in range(len(nets))]), memory


class _Diary:
    """Follows the iterations of a batch: reports now and then, keeps all of them for a trace."""

    def __init__(
        self, batch: Batch, data: Data, shape: Shape, units: Units, report: Report
    ) -> None:
        self.batch, self.data, self.shape, self.units = batch, data, shape, units
        self.report = report
        self.rows: dict[int, list[TraceRow]] = defaultdict(list)
        self.last = time.perf_counter()

    def observe(self, now: Iteration) -> None:
        if self.batch.trace:
            for r, row in zip(now.replicas.tolist(), _trace_rows(now), strict=True):
                self.rows[r].append(row)
        if time.perf_counter() - self.last < REPORT_EVERY:
            return
        net, part = self.units.restored(now.net()), self.data[now.replicas]
        reg = net.regularity(part.x_train)
        self.report(
            Progress(
                n_train=self.batch.n_train,
                size=self.shape.size,
                replicas=len(now.replicas),
                step=now.step,
                train_rmse=float((now.rmse * self.units.scale.mean()).median()),
                test_rmse=float(rmse(net, part.x_test, part.y_test).median()),
                reg=None if reg is None else float(reg.median()),
            )
        )
        self.last = time.perf_counter()


def _trace_rows(now: Iteration) -> list[TraceRow]:
    columns: dict[str, list[Any]] = {
        name: [None] * len(now.replicas) if value is None else value.tolist()
        for name, value in vars(now).items()
        if value is None or (isinstance(value, Tensor) and name != "replicas")
    }
    rows = zip(*columns.values(), strict=True)
    return [{"step": now.step, **dict(zip(columns, row, strict=True))} for row in rows]


def _results(batch: Batch, outcome: Outcome[Any], data: Data, diary: _Diary) -> list[Result]:
    net = outcome.net
    test_error = net(data.x_test) - data.y_test
    columns = {
        "train_rmse": rmse(net, data.x_train, data.y_train),
        "test_rmse": test_error.square().mean((1, 2)).sqrt(),
        "test_median_error": test_error.abs().flatten(1).median(1).values,
        "grad_norm": outcome.grad_norm,
    }
    if (reg := net.regularity(data.x_train)) is not None:
        columns["reg"] = reg
    numbers = {name: value.tolist() for name, value in columns.items()}
    results = []
    for r, seed in enumerate(batch.seeds):
        finite = np.isfinite([numbers["train_rmse"][r], numbers["test_rmse"][r]]).all()
        results.append(
            Result(
                seed,
                diary.shape.size,
                OK if finite else DIVERGED,
                outcome.stop_reason[r],
                seconds=0.0,
                started_at=datetime.now(UTC),
                device=str(data.x_train.device),
                n_params=net.n_params,
                steps=outcome.steps[r],
                net=Checkpoint(net[r : r + 1], outcome.memory[r : r + 1]),
                trace=tuple(diary.rows[r]),
                **{name: values[r] for name, values in numbers.items()},
            )
        )
    return results


def _failure(batch: Batch, seed: int, shape: Shape, error: Exception) -> Result:
    return Result(
        seed,
        shape.size,
        FAILED,
        "out of memory" if _is_out_of_memory(error) else "exception",
        seconds=0.0,
        started_at=datetime.now(UTC),
        device=batch.device,
        error=f"{type(error).__name__}: {error}",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """torch says so with a class of its own on a GPU and in words on a CPU."""
    known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


def rmse(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """Root mean squared error of each replica, (R,)."""
    return (net(x) - y).square().mean((1, 2)).sqrt()
