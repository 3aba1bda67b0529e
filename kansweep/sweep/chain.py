"""One batch of chains: train, extend, train, ..., yielding the results of every size.

Chains of a batch differ only in the seed and run as replicas of one tensor computation. What goes
wrong is a result with a status, never an exception: a replica that fails alone is the only one
marked, and its next size starts cold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from kansweep import kinds
from kansweep.data.sampling import Source
from kansweep.kinds import Kind
from kansweep.networks.protocol import Network, Refinable, Shape
from kansweep.solvers.contract import Checkpoint, Outcome, Problem, Solver
from kansweep.solvers.reasons import StopReason
from kansweep.sweep.columns import Status
from kansweep.sweep.events import Listener
from kansweep.sweep.recorder import Recorder, TraceRow, median_size, rms
from kansweep.sweep.samples import Data, sample
from kansweep.sweep.units import Units


@dataclass(frozen=True)
class Batch:
    """What to train: the seeds and shapes of chains that share everything else."""

    source: Source
    n_train: int
    n_test: int
    seeds: tuple[int, ...]
    kind: Kind
    shapes: tuple[Shape, ...]  # in the order of training
    device: str
    dtype: str
    trace: bool = False  # keep what every iteration reports
    # Each shape extends the one before, else each starts from nothing; None: as the kind says.
    chained: bool | None = None

    @property
    def extended(self) -> bool:
        return bool(self.kind.extended if self.chained is None else self.chained)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What training left of one replica: its numbers and its network, or the error in their
    place."""

    status: Status
    stop_reason: StopReason
    device: str
    n_params: int | None = None
    train_rmse: float | None = None
    test_rmse: float | None = None
    test_median_error: float | None = None
    reg: float | None = None
    steps: int | None = None
    grad_norm: float | None = None
    train_rmse_each: list[float] | None = None  # of several outputs
    test_rmse_each: list[float] | None = None
    gradient_rmse: float | None = None
    hessian_rmse: float | None = None
    error: str | None = None
    net: Checkpoint | None = None
    trace: tuple[TraceRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result(Ending):
    """How one cell ended, which it is and what it took; ``seconds`` is its share of the batch's."""

    seed: int
    size: int
    start_grid: int | None  # the size at which its chain began from nothing
    seconds: float
    started_at: datetime

    @property
    def columns(self) -> dict[str, Any]:
        """What of it belongs into the cell's row."""
        return {name: value for name, value in vars(self).items() if name not in ("net", "trace")}


def train(
    batch: Batch, solver: Solver[Any, Any], nets: Sequence[Checkpoint | None], listener: Listener
) -> Iterator[list[Result]]:
    """Train every shape in turn; ``nets`` are what to extend, None to start cold.

    Yields one list a shape, a result a seed in the order of ``batch.seeds``.
    """
    nets, clock = list(nets), time.perf_counter()
    training = _Training(batch, solver, listener)
    try:
        data = _sample(batch)
    except Exception as error:
        yield from _none_begun(batch, error)
        return
    for shape in batch.shapes:
        started_at = datetime.now(UTC)
        endings = training.endings(nets, data, shape)
        now = time.perf_counter()
        share, clock = (now - clock) / len(batch.seeds), now
        results = [
            Result(
                **vars(ending),
                seed=seed,
                size=shape.size,
                start_grid=_start_size(batch.extended, shape, net),
                seconds=share,
                started_at=started_at,
            )
            for seed, ending, net in zip(batch.seeds, endings, nets, strict=True)
        ]
        yield results
        nets = [
            result.net if batch.extended and result.status == Status.OK else None
            for result in results
        ]


def _none_begun(batch: Batch, error: Exception) -> Iterator[list[Result]]:
    """Results of a batch whose data cannot be had: they took no time."""
    ending = vars(_failure(error, batch.device))
    for shape in batch.shapes:
        yield [
            Result(
                **ending,
                seed=seed,
                size=shape.size,
                start_grid=None,
                seconds=0.0,
                started_at=datetime.now(UTC),
            )
            for seed in batch.seeds
        ]


def _start_size(extended: bool, shape: Shape, net: Checkpoint | None) -> int | None:
    """The size at which a chain began from nothing, None where every cell does."""
    if not extended:
        return None
    return shape.size if net is None else net.start_size


def _sample(batch: Batch) -> Data:
    return sample(
        batch.source,
        batch.n_train,
        batch.n_test,
        batch.seeds,
        dtype=getattr(torch, batch.dtype),
        device=batch.device,
        derivatives=batch.kind.derivatives is not None,
    )


@dataclass(frozen=True)
class _Training:
    """A batch in the hands of a solver."""

    batch: Batch
    solver: Solver[Any, Any]
    listener: Listener

    def endings(self, nets: Sequence[Checkpoint | None], data: Data, shape: Shape) -> list[Ending]:
        """All replicas in one shape; where that raises, each alone, so that only one is lost."""
        try:
            return self._together(nets, data, shape)
        except Exception as error:
            if len(nets) == 1:
                return [_failure(error, self.batch.device)]
        alone = []
        for r, seed in enumerate(self.batch.seeds):
            one = replace(self, batch=replace(self.batch, seeds=(seed,)))
            part = data[torch.tensor([r], device=data.x_train.device)]
            alone += one.endings([nets[r]], part, shape)
        return alone

    def _together(
        self, nets: Sequence[Checkpoint | None], data: Data, shape: Shape
    ) -> list[Ending]:
        batch = self.batch
        lower, upper = (torch.from_numpy(end).to(data.x_train) for end in batch.source.bounds)
        units = Units.of(batch.source, data.y_train)
        problem = Problem(data.x_train, units.scaled(data.y_train), (lower, upper), batch.seeds)
        recorder = Recorder(data, shape.size, units, self.listener, trace=batch.trace)
        net, memory = _begin(self.solver, shape, problem, [units.trained(net) for net in nets])
        outcome = self.solver.solve(net, problem, memory, recorder.observe)
        outcome = replace(outcome, net=units.restored(outcome.net))
        starts = [_start_size(batch.extended, shape, net) for net in nets]
        return _measured(outcome, data, recorder, starts, batch.kind)


def _begin(
    solver: Solver[Any, Any], shape: Shape, problem: Problem, nets: Sequence[Checkpoint | None]
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
    remembered = [net.memory for net in nets if net is not None]
    memory = None
    if remembered:
        nothing = torch.full_like(remembered[0], torch.nan)
        memory = torch.cat([nothing if net is None else net.memory for net in nets])
    return type(begun[0]).concatenated([begun[r] for r in range(len(nets))]), memory


def _measured(
    outcome: Outcome[Any], data: Data, recorder: Recorder, starts: Sequence[int | None], kind: Kind
) -> list[Ending]:
    """The errors of every replica and its network, with the size at which its chain began."""
    numbers = _numbers(outcome, data, recorder.units)
    numbers |= _of_derivatives(outcome.net, data, recorder.units, kind)
    errors = zip(numbers["train_rmse"], numbers["test_rmse"], strict=True)
    finite = [bool(np.isfinite(both).all()) for both in errors]
    return [
        Ending(
            status=Status.OK if finite[r] else Status.DIVERGED,
            stop_reason=outcome.stop_reason[r],
            device=str(data.x_train.device),
            n_params=outcome.net[r : r + 1].n_params,
            steps=outcome.steps[r],
            net=Checkpoint(outcome.net[r : r + 1], outcome.memory[r : r + 1], start),
            trace=recorder.trace(r),
            **{name: values[r] for name, values in numbers.items()},
        )
        for r, start in enumerate(starts)
    ]


def _numbers(outcome: Outcome[Any], data: Data, units: Units) -> dict[str, list[Any]]:
    """Columns of results by name, a number a replica, or where several outputs have one each a list
    of such."""
    net = outcome.net
    train = units.errors(net, data.x_train, data.y_train)
    test = units.errors(net, data.x_test, data.y_test)
    columns = {
        "train_rmse": rms(train),
        "test_rmse": rms(test),
        "test_median_error": median_size(test),
        "grad_norm": outcome.grad_norm,
    }
    if len(units.unit) > 1:
        columns["train_rmse_each"] = train.square().mean(1).sqrt() * units.unit
        columns["test_rmse_each"] = test.square().mean(1).sqrt() * units.unit
    if (reg := net.regularity(data.x_train)) is not None:
        columns["reg"] = reg
    return {name: value.tolist() for name, value in columns.items()}


def _of_derivatives(net: Network, data: Data, units: Units, kind: Kind) -> dict[str, list[Any]]:
    """The same of the errors of derivatives, where both sides have them."""
    truth = data.derivatives
    if truth is None or kind.derivatives is None:
        return {}
    gradient, hessian = kinds.load(kind.derivatives)(net, truth.x)
    columns = {"gradient_rmse": _rms_norm(gradient - truth.gradient, units)}
    if hessian is not None:
        columns["hessian_rmse"] = _rms_norm(hessian - truth.hessian, units)
    return {name: value.tolist() for name, value in columns.items()}


def _rms_norm(errors: Tensor, units: Units) -> Tensor:
    """Root mean square, over points and outputs, of the norm of (R, n, M, ...): (R,)."""
    return (errors.flatten(3) / units.unit[:, None]).square().sum(3).mean((1, 2)).sqrt()


def _failure(error: Exception, device: str) -> Ending:
    return Ending(
        status=Status.FAILED,
        stop_reason=StopReason.OUT_OF_MEMORY if _is_out_of_memory(error) else StopReason.EXCEPTION,
        device=device,
        error=f"{type(error).__name__}: {error}",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """torch says so with a class of its own on a GPU and in words on a CPU."""
    by_class = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
    return by_class or "can't allocate memory" in str(error)
