"""Training methods behind one contract: a cold start and a descent, both on R replicas at once.

A method is any object with ``start`` and ``solve``. What goes wrong numerically is a value in
``Outcome.stop_reason``; only misuse raises. The methods import this module, never the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from kansweep.kan import KAN
from kansweep.mlp import MLP

CONVERGED = "converged"
STALLED = "stalled"
STEP_LIMIT = "step limit"
NON_FINITE = "non-finite"


@dataclass(frozen=True)
class Problem:
    """Training points of R replicas and what a cold start needs to know of them."""

    x: Tensor  # (R, n, I)
    y: Tensor  # (R, n, M)
    domain: tuple[float | Tensor, float | Tensor]  # lower and upper end of the inputs, (I,) or all
    seeds: tuple[int, ...]  # one a replica; a cold start draws from nothing else

    def __getitem__(self, replicas: Tensor) -> Problem:
        seeds = tuple(self.seeds[r] for r in replicas.tolist())
        return replace(self, x=self.x[replicas], y=self.y[replicas], seeds=seeds)


@dataclass(frozen=True)
class Shape:
    """The KAN to be trained: layer widths, order, grid size, and whether edges have silu."""

    width: tuple[int, ...]
    k: int
    grid_size: int
    base: bool

    @property
    def size(self) -> int:
        """What a sweep's cells of this kind of net differ in."""
        return self.grid_size


@dataclass(frozen=True)
class MLPShape:
    """The MLP to be trained: layer widths and a name in ``mlp.ACTIVATIONS``."""

    width: tuple[int, ...]
    activation: str

    @property
    def size(self) -> int:
        return self.width[1]


Net = KAN | MLP
ShapeT = TypeVar("ShapeT", bound=Shape | MLPShape, contravariant=True)
NetT = TypeVar("NetT", bound=Net)


@dataclass(frozen=True)
class Outcome(Generic[NetT]):
    """A trained KAN or MLP and how its training ended, replica by replica."""

    kan: NetT
    steps: tuple[int, ...]
    stop_reason: tuple[str, ...]
    grad_norm: (
        Tensor  # (R,), ``relative_gradient`` of what was minimised, where the last step began
    )
    memory: Tensor  # (R, m), what a method wants to know when it trains the next grid; m may be 0


@dataclass(frozen=True)
class Trained:
    """One replica to go on from: its KAN or MLP, what its method remembers of the last grid,
    and the grid size at which its chain began from nothing (None: not known)."""

    kan: Net
    memory: Tensor  # (1, m)
    start_grid: int | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The net's plain arrays, ``memory`` and, where it is known, ``start_grid``."""
        arrays = {**self.kan.to_arrays(), "memory": self.memory.cpu().numpy()}
        return (
            arrays
            if self.start_grid is None
            else arrays | {"start_grid": np.array(self.start_grid)}
        )

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> Trained:
        kind = MLP if "activation" in arrays else KAN
        kan = kind.from_arrays(arrays, device=device)
        memory = torch.from_numpy(np.array(arrays["memory"])).to(device)
        return cls(kan, memory, int(arrays["start_grid"]) if "start_grid" in arrays else None)


@dataclass(frozen=True)
class Iteration:
    """One step of the replicas still in training, as it ended; one number a replica (R,)."""

    step: int
    replicas: Tensor  # which they are
    kan: Callable[[], Net]
    rmse: Tensor
    grad_norm: Tensor
    accepted: Tensor
    damping: Tensor | None = None
    penalty: Tensor | None = None  # the last layer's weight


Observe = Callable[[Iteration], None]


class Solver(Protocol[ShapeT, NetT]):
    """What the chain asks of a training method."""

    def start(self, shape: ShapeT, problem: Problem) -> NetT:
        """A KAN or MLP of this shape, one replica a row of the problem, from nothing."""
        ...

    def solve(
        self,
        kan: NetT,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[NetT]:
        """Train from ``kan``; grid size, order and shape stay.

        ``memory`` is the last grid's, with NaN in the rows of replicas that have none.
        """
        ...


def relative_gradient(gradient: Tensor, diagonal: Tensor, objective: Tensor) -> Tensor:
    """Largest cosine between the residual and a column of its Jacobian, (R,); 0 at a minimum.

    Half the gradient (R, P) of a sum of squares (R,) and the diagonal (R, P) of its Gauss-Newton
    matrix. It has no units: MINPACK stops by the same measure (More 1978, gtol).
    """
    tiny = torch.finfo(gradient.dtype).tiny
    return (gradient.abs() / (diagonal * objective[:, None]).clamp(min=tiny).sqrt()).amax(1)
