"""What the rest of the program asks of a network, whatever its kind.

A network stands for R replicas of one shape, computed at once; the letters of shapes are those of
``kan``. It is immutable: what changes it gives another. Its kind (``kinds``) says which class it is
of, whether it can be refined, and which solvers may train it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor


class Shape(Protocol):
    """What tells a network to be trained from another: its widths, its size and whatever else."""

    @property
    def width(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int:
        """What the cells of a chain differ in."""
        ...


class Network(Protocol):
    """R networks of one shape."""

    @classmethod
    def shape_of(cls, settings: Any, width: tuple[int, ...], size: int) -> Shape:
        """The shape that a configuration's section ``model`` describes at one size.

        Where the kind is ``spaced`` it is told ``spacing`` too, as `grid.spacing` has it.
        """
        ...

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> Self:
        """The inverse of ``to_arrays``; raises KeyError where an array is missing."""
        ...

    @classmethod
    def concatenated(cls, nets: Sequence[Self]) -> Self:
        """The replicas of several networks of one shape in one."""
        ...

    @property
    def width(self) -> tuple[int, ...]: ...

    @property
    def n_replicas(self) -> int: ...

    @property
    def n_params(self) -> int:
        """Trainable numbers of one replica."""
        ...

    def __getitem__(self, replicas: Tensor | slice) -> Self:
        """The replicas that an index, a mask (R,) or a slice selects."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        ...

    def with_outputs(self, mean: Tensor, spread: Tensor) -> Self:
        """The network of ``mean + spread * outputs``, (R, M) each or (M,) for all."""
        ...

    def regularity(self, x: Tensor) -> Tensor | None:
        """The figure that rows record as ``reg`` on points (R, n, I), (R,); None: it has none."""
        ...

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, replicas first, among them the kind's ``mark``."""
        ...


class Refinable(Network, Protocol):
    """A network that can be extended to a larger size; its kind says ``extended``."""

    def refined(self, size: int) -> Self:
        """The same function at a larger size, exactly or as nearly as that size allows."""
        ...


@dataclass(frozen=True)
class Products:
    """Outputs at some points, and products with their Jacobian J by all parameters."""

    outputs: Tensor  # (R, n, M)
    pull: Callable[[Tensor], Tensor]  # J^T v, (R, n, M) -> (R, P)
    squared_norms: Callable[[], Tensor]  # the diagonal of J^T J, (R, P)


@dataclass(frozen=True)
class Linearisation(Products):
    """The rows of J too, for a few points at a time, since the whole of it may be large."""

    rows: Callable[[slice], Tensor]  # of m consecutive points, (R, m * M, P), outputs fastest


class GradientShape(Shape, Protocol):
    """A shape whose networks can be drawn at random."""

    def random(self, generators: Sequence[np.random.Generator], like: Tensor) -> Gradient:
        """A network of this shape, one replica a generator, for inputs on [-1, 1] and outputs of
        unit variance, in the dtype and on the device of ``like``."""
        ...


class Gradient(Network, Protocol):
    """A network that a general optimiser can train (``kinds.GRADIENT``)."""

    @property
    def shape(self) -> GradientShape: ...

    def theta(self) -> Tensor:
        """All trainable numbers, (R, P)."""
        ...

    def with_theta(self, theta: Tensor) -> Self:
        """The network with other trainable numbers, (R, P), as many replicas as those have."""
        ...

    def of_inputs(self, shift: Tensor | float, scale: Tensor | float) -> Self:
        """x -> self((x - shift) / scale); numbers, or tensors (R, I) or (I,)."""
        ...

    def linearised(self, x: Tensor) -> Linearisation:
        """At points (R, n, I)."""
        ...
