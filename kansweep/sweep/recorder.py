"""What is kept and told of the iterations of a batch while they go on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kansweep.solvers.contract import Iteration
from kansweep.sweep.events import Listener, Progressed
from kansweep.sweep.samples import Data
from kansweep.sweep.units import Units

# Seconds between progress reports, at least, and the part of the time that they may take: each
# evaluates the test set.
REPORT_EVERY, REPORT_SHARE = 0.2, 0.02

TraceRow = dict[str, float | int | bool | None]
"""One iteration of one replica, by the names of ``columns.TRACE``."""


class Recorder:
    """Follows the iterations of a batch at one size: reports now and then, and keeps all of them
    where there is to be a trace."""

    def __init__(
        self, data: Data, size: int, units: Units, listener: Listener, *, trace: bool
    ) -> None:
        self.data, self.size, self.units, self.listener = data, size, units, listener
        self._trace = trace
        self._rows: dict[int, list[TraceRow]] = defaultdict(list)
        self._reported, self._pause = time.perf_counter(), REPORT_EVERY

    def observe(self, now: Iteration) -> None:
        if self._trace:
            for r, row in zip(now.replicas.tolist(), _trace_rows(now), strict=True):
                # Counted through: a replica's rivals begin at one again.
                self._rows[r].append({**row, "step": len(self._rows[r]) + 1})
        began = time.perf_counter()
        if began - self._reported >= self._pause:
            self.listener(self._progress(now))
            self._reported = time.perf_counter()
            self._pause = max(REPORT_EVERY, (self._reported - began) / REPORT_SHARE)

    def trace(self, replica: int) -> tuple[TraceRow, ...]:
        return tuple(self._rows[replica])

    def _progress(self, now: Iteration) -> Progressed:
        net, part = self.units.restored(now.net()), self.data[now.replicas]
        reg = net.regularity(part.x_train)
        return Progressed(
            n_train=self.data.x_train.shape[1],
            size=self.size,
            replicas=len(now.replicas),
            step=now.step,
            train_rmse=float((now.rmse * (self.units.scale / self.units.unit).mean()).median()),
            test_rmse=float(rms(self.units.errors(net, part.x_test, part.y_test)).median()),
            reg=None if reg is None else float(reg.median()),
        )


def _trace_rows(now: Iteration) -> Sequence[TraceRow]:
    columns: dict[str, list[Any]] = {
        name: [None] * len(now.replicas) if value is None else value.tolist()
        for name, value in vars(now).items()
        if value is None or (isinstance(value, Tensor) and name != "replicas")
    }
    rows = zip(*columns.values(), strict=True)
    return [{"step": now.step, **dict(zip(columns, row, strict=True))} for row in rows]


def rms(errors: Tensor) -> Tensor:
    """Root mean square of each replica's errors, over points and outputs: (R, n, M) -> (R,)."""
    return errors.square().mean((1, 2)).sqrt()


def median_size(errors: Tensor) -> Tensor:
    """The median of each replica's absolute errors, the lower one of two, NaN where an error is:
    (R, n, M) -> (R,). NumPy's partition takes a seventh of torch's time."""
    sizes = errors.abs().flatten(1).cpu().numpy()
    middle = (sizes.shape[1] - 1) // 2
    median = np.partition(sizes, middle, axis=1)[:, middle]
    return torch.from_numpy(np.where(np.isnan(sizes.max(1)), np.nan, median))
