"""The contract in compiled loops, on a CPU and in float64: no Jacobian is ever stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kansweep.networks.compiled import settling
from kansweep.networks.compiled.last import last_equations
from kansweep.networks.compiled.layout import (
    Floats,
    Ints,
    Net,
    last_of,
    one_output,
    packed,
    unpacked,
)
from kansweep.networks.gauge import margins
from kansweep.networks.kan import KAN
from kansweep.networks.points.contract import Settled
from kansweep.networks.points.equations import CompiledData, Known, observations

NO_COUNTS = np.zeros((0, 0))


@dataclass(frozen=True)
class CompiledSettled:
    """A normalised KAN: its numbers, what reaches its layers, and its residual."""

    like: KAN  # all but its numbers counts
    net: Net
    x: Floats  # (R, I, n)
    hidden: Floats  # (R, H, n)
    ends: Ints  # (R, H, 2), points of the largest and the least value
    errors: Floats  # (R, M, n)
    squares: Floats  # (R,)
    counts: Floats  # (R, n), or (0, 0)
    known: Known | None = None  # of its equations

    @cached_property
    def kan(self) -> KAN:
        return replace(self.like, layers=unpacked(self.net, self.like.layers))

    @property
    def theta(self) -> Tensor:
        return torch.from_numpy(self.net.theta)

    @property
    def residual(self) -> Tensor:
        return torch.from_numpy(self.errors).mT

    @property
    def mse(self) -> Tensor:
        return torch.from_numpy(self.squares)

    @property
    def n_points(self) -> float:
        return observations(self.x, self.counts)

    @cached_property
    def _data(self) -> CompiledData:
        given = self.x, self.hidden, self.errors, self.counts
        return CompiledData(self.net, *given, self.ends, self.known)

    def data(self) -> CompiledData:
        return self._data

    def __getitem__(self, replicas: Tensor) -> CompiledSettled:
        at = replicas.numpy()
        known = self._data.known()
        return CompiledSettled(
            self.like[replicas],
            self.net.of(at),
            self.x[at],
            self.hidden[at],
            self.ends[at],
            self.errors[at],
            self.squares[at],
            _of(self.counts, at),
            known and known.some(at),
        )

    def where(self, mask: Tensor, other: CompiledSettled) -> CompiledSettled:
        at = mask.numpy()
        known = other._data.known()
        net = self.net._replace(
            theta=_where(at, self.net.theta, other.net.theta),
            grid=_where(at, self.net.grid, other.net.grid),
        )
        return CompiledSettled(
            self.like,
            net,
            self.x,
            _where(at, self.hidden, other.hidden),
            _where(at, self.ends, other.ends),
            _where(at, self.errors, other.errors),
            _where(at, self.squares, other.squares),
            self.counts,
            known and known._replace(of=known.of & ~at),
        )


@dataclass(frozen=True)
class CompiledHidden:
    """Hidden values on their grids."""

    like: KAN
    net: Net
    x: Floats
    y: Floats  # (R, M, n)
    hidden: Floats
    ends: Ints
    counts: Floats  # (R, n), or (0, 0)

    @cached_property
    def last(self) -> Tensor:
        return torch.from_numpy(last_of(self.net))

    @cached_property
    def _reaching(self) -> Floats:
        """What reaches the last layer, (R, I, n)."""
        if not self.hidden.shape[1]:
            return self.x
        return np.ascontiguousarray(self.hidden[:, -int(self.net.width[-2]) :])

    @property
    def n_points(self) -> float:
        return observations(self.x, self.counts)

    @cached_property
    def _one(self) -> Net:
        return one_output(self.net)

    def data(self, output: int, last: Tensor) -> CompiledData:
        net, x = self._one._replace(theta=last.contiguous().numpy()), self._reaching
        y = np.ascontiguousarray(self.y[:, output : output + 1])
        none = np.empty((len(x), 0, x.shape[2])), np.empty((len(x), 0, 2), np.int64)
        errors = _residuals(net, x, y, self.counts)[0]
        return CompiledData(net, x, none[0], errors, self.counts, none[1])

    def normal(self, last: Tensor) -> tuple[Tensor, Tensor]:
        replicas, outputs, size = last.shape
        gram = np.zeros((replicas, size * size + 8))
        pull = np.zeros((replicas, outputs, size + 8))
        given = self.net, self._reaching, self.y, self.counts
        last_equations(*given, last.contiguous().numpy(), gram, pull)
        square = torch.from_numpy(gram[:, : size * size]).view(replicas, size, size)
        return square, torch.from_numpy(pull[..., :size])

    def settled(self, last: Tensor) -> CompiledSettled:
        net = self.net._replace(theta=np.empty_like(self.net.theta))
        settling.with_last(self.net, last.contiguous().numpy(), net.theta)
        errors = _residuals(net, self._reaching, self.y, self.counts)
        return CompiledSettled(self.like, net, self.x, self.hidden, self.ends, *errors, self.counts)


@dataclass(frozen=True)
class CompiledPoints:
    """x (R, I, n) and y (R, M, n), contiguous, and counts (R, n) or, of all once, (0, 0)."""

    x: Floats
    y: Floats
    counts: Floats

    @classmethod
    def of(cls, x: Tensor, y: Tensor, counts: Tensor | None = None) -> CompiledPoints:
        """x (R, n, I), y (R, n, M) and counts (R, n)."""
        across, along = (part.mT.double().contiguous().numpy() for part in (x, y))
        own = NO_COUNTS if counts is None else counts.double().contiguous().numpy()
        return cls(across, along, own)

    def margins(self, kan: KAN) -> tuple[list[Tensor], Tensor]:
        net = packed(kan.layers, kan.k)
        reached = self._reached(net)
        mse = _residuals(net, reached[-1], self.y, self.counts)[1]
        pairs = zip(kan.layers, reached[1:], strict=False)
        found = [margins(layer, torch.from_numpy(s).mT, kan.k) for layer, s in pairs]
        return found, torch.from_numpy(mse) / self.y.shape[1]

    def extremes(self, kan: KAN) -> list[Tensor]:
        reached = self._reached(packed(kan.layers, kan.k))[1:]
        return [torch.from_numpy(np.stack([s.min(2), s.max(2)], 2)) for s in reached]

    def settled(self, kan: KAN) -> CompiledSettled:
        net = packed(kan.layers, kan.k)
        reached = self._reached(net)
        hidden = np.concatenate([self.x[:, :0], *reached[1:]], 1)
        ends = np.stack([hidden.argmax(2), hidden.argmin(2)], 2)
        errors = _residuals(net, reached[-1], self.y, self.counts)
        return CompiledSettled(kan, net, self.x, hidden, ends, *errors, self.counts)

    def _reached(self, net: Net) -> list[Floats]:
        """What reaches each layer, (R, I, n)."""
        reached = [self.x]
        for layer, nodes in enumerate(net.width[1:-1].tolist()):
            out = np.empty((len(self.x), nodes, self.x.shape[2]))
            settling.values(net, layer, reached[-1], out)
            reached.append(out)
        return reached

    def hidden(self, kan: KAN, margin: Sequence[Tensor]) -> CompiledHidden:
        return self._normalised(kan, packed(kan.layers, kan.k), margin)

    def moved(self, settled: Settled, step: Tensor, margin: Sequence[Tensor]) -> CompiledHidden:
        assert isinstance(settled, CompiledSettled)
        net = settled.net
        moved = net._replace(theta=net.theta + step.numpy(), grid=net.grid.copy())
        return self._normalised(settled.like, moved, margin)

    def _normalised(self, like: KAN, net: Net, margin: Sequence[Tensor]) -> CompiledHidden:
        replicas, _, n = self.x.shape
        nodes = sum(like.width[1:-1])
        hidden, ends = np.empty((replicas, nodes, n)), np.empty((replicas, nodes, 2), np.int64)
        if nodes:
            beyond = torch.cat(tuple(margin), 1).numpy()
            settling.normalise(net, self.x, beyond, hidden, ends)
        return CompiledHidden(like, net, self.x, self.y, hidden, ends, self.counts)

    def __getitem__(self, replicas: Tensor) -> CompiledPoints:
        at = replicas.numpy()
        return replace(self, x=self.x[at], y=self.y[at], counts=_of(self.counts, at))


def _residuals(net: Net, x: Floats, y: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """f - y (R, M, n) behind what reaches the last layer, x (R, I, n), and its mean square (R,)."""
    errors, squares = np.empty_like(y), np.empty(len(y))
    settling.residuals(net, len(net.width) - 2, x, y, counts, errors, squares)
    return errors, squares


def _of(counts: Floats, replicas: NDArray[Any]) -> Floats:
    return counts[replicas] if counts.size else counts


def _where(mask: NDArray[np.bool_], a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b)
