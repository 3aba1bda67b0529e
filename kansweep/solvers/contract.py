"""Training methods behind one contract: a cold start and a descent, both on R replicas at once.

A method is any object with ``start`` and ``solve``. What goes wrong numerically is a value in
``Outcome.stop_reason``; only misuse raises. The methods import this module, never the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.protocol import Network, Shape
from kansweep.solvers.reasons import StopReason


@dataclass(frozen=True)
class Problem:
    """Training points of R replicas and what a cold start needs to know of them."""

    x: Tensor  # (R, n, I)
    y: Tensor  # (R, n, M)
    domain: tuple[float | Tensor, float | Tensor]  # lower and upper end of the inputs, (I,) or all
    seeds: tuple[int, ...]  # one a replica; a cold start draws from nothing else
    # (R, n), how often each point counts, of one sum in all replicas; None: once
    counts: Tensor | None = None

    def __getitem__(self, replicas: Tensor) -> Problem:
        seeds = tuple(self.seeds[r] for r in replicas.tolist())
        counts = None if self.counts is None else self.counts[replicas]
        return replace(self, x=self.x[replicas], y=self.y[replicas], seeds=seeds, counts=counts)

    def at(self, points: slice) -> Problem:
        """The same of some points."""
        counts = None if self.counts is None else self.counts[:, points]
        return replace(self, x=self.x[:, points], y=self.y[:, points], counts=counts)

    @property
    def n_points(self) -> float:
        """How many observations there are: the sum of counts."""
        return self.x.shape[1] if self.counts is None else float(self.counts[0].sum())

    @cached_property
    def spread(self) -> Tensor:
        """``output_spread`` of all that counts, (R, M)."""
        return output_spread(self.y, self.counts)

    def mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The mean over points of numbers (R, n), (R,), and its standard error."""
        if values.shape[1] < 2:
            return values.mean(1), torch.full_like(values[:, 0], torch.nan)
        if self.counts is None:
            return values.mean(1), values.std(1) / values.shape[1] ** 0.5
        share = self.counts / self.counts.sum(1, keepdim=True)
        mean = (share * values).sum(1)
        variance = (share * (values - mean[:, None]).square()).sum(1)
        return mean, (variance / max(self.n_points - 1.0, 1.0)).sqrt()


ShapeT = TypeVar("ShapeT", bound=Shape, contravariant=True)
NetT = TypeVar("NetT", bound=Network)


@dataclass(frozen=True)
class Outcome(Generic[NetT]):
    """A trained network and how its training ended, replica by replica."""

    net: NetT
    steps: tuple[int, ...]
    stop_reason: tuple[StopReason, ...]
    # (R,), ``relative_gradient`` of what was minimised, where the last step began
    grad_norm: Tensor
    memory: Tensor  # (R, m), what a method wants to know when it trains the next size; m may be 0


@dataclass(frozen=True)
class Checkpoint:
    """One replica to go on from: its network, what its method remembers of it (m numbers without
    units, as ``Outcome.memory`` had them), and the size at which its chain began from nothing
    (None: not known)."""

    net: Network
    memory: Tensor  # (1, m)
    start_size: int | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The network's plain arrays, ``memory`` and, where it is known, ``start_grid``."""
        arrays = {**self.net.to_arrays(), "memory": self.memory.cpu().numpy()}
        if self.start_size is not None:
            arrays["start_grid"] = np.array(self.start_size)
        return arrays

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        network: type[Network],
        *,
        device: torch.device | str = "cpu",
    ) -> Checkpoint:
        """The inverse of ``to_arrays``; raises KeyError where an array is missing."""
        net = network.from_arrays(arrays, device=device)
        memory = torch.from_numpy(np.array(arrays["memory"])).to(device)
        return cls(net, memory, int(arrays["start_grid"]) if "start_grid" in arrays else None)


@dataclass(frozen=True)
class Iteration:
    """One step of the replicas still in training, as it ended; one number a replica (R,)."""

    step: int
    replicas: Tensor  # which they are
    net: Callable[[], Network]
    rmse: Tensor
    grad_norm: Tensor
    accepted: Tensor
    damping: Tensor | None = None
    penalty: Tensor | None = None  # the last layer's weight


Observe = Callable[[Iteration], None]


class Solver(Protocol[ShapeT, NetT]):
    """What the chain asks of a training method."""

    def start(self, shape: ShapeT, problem: Problem) -> NetT:
        """A network of this shape, one replica a row of the problem, from nothing."""
        ...

    def solve(
        self,
        net: NetT,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[NetT]:
        """Train from ``net``, whose shape stays.

        ``memory`` is the last size's, with NaN in the rows of replicas that have none.
        """
        ...


def relative_gradient(gradient: Tensor, diagonal: Tensor, objective: Tensor) -> Tensor:
    """Largest cosine between the residual and a column of its Jacobian, (R,); 0 at a minimum.

    Half the gradient (R, P) of a sum of squares (R,) and the diagonal (R, P) of its Gauss-Newton
    matrix. It has no units: MINPACK stops by the same measure (More 1978, gtol).
    """
    tiny = torch.finfo(gradient.dtype).tiny
    return (gradient.abs() / (diagonal * objective[:, None]).clamp(min=tiny).sqrt()).amax(1)


def output_spread(y: Tensor, counts: Tensor | None = None) -> Tensor:
    """Standard deviation of each output, 1 where it is constant: (R, n, M) -> (R, M)."""
    if counts is None:
        spread = y.std(dim=1, correction=0)
    else:
        share = (counts / counts.sum(1, keepdim=True))[..., None]
        mean = (share * y).sum(1, keepdim=True)
        spread = (share * (y - mean).square()).sum(1).sqrt()
    rounding = 10 * torch.finfo(y.dtype).eps * y.abs().amax(1)
    return torch.where(spread > rounding, spread, 1.0)
