"""The scaled differences e + B d near a normalised KAN: a contract with two implementations.

e = C theta are the rows of ``penalty``, and B = C - e half^T node by node, because normalising
divides a node's differences by its half-range. ``tensor`` is torch's, on any device; ``compiled``
are loops on a CPU. Letters of shapes are those of ``kan``; S are the rows, H the hidden nodes.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from kansweep.networks.kan import KAN


class Strain(Protocol):
    @property
    def kan(self) -> KAN: ...

    @property
    def rows(self) -> Tensor:
        """e, (R, S)."""
        ...

    def change(self, d: Tensor) -> Tensor:
        """B d, (R, P) -> (R, S)."""
        ...

    def pull(self, w: Tensor, u: Tensor) -> Tensor:
        """B^T W u, (R, S) -> (R, P), with the weights w (R, L, 3) of layers and kinds."""
        ...

    def diagonal(self, w: Tensor) -> Tensor:
        """The diagonal of B^T W B, (R, P)."""
        ...

    def add_to(self, matrix: Tensor, w: Tensor, replicas: Tensor) -> None:
        """Add B^T W B of some replicas to the lower triangles of float64 matrices (r, P, P)."""
        ...

    def hold(self, matrix: Tensor, scale: Tensor, replicas: Tensor) -> None:
        """Add the squares of all idle directions, times a number (r,), likewise.

        They change nothing, neither values nor rows: a constant that moves from one of a node's
        edges to another, and, of a hidden node whose range follows, the constant and the scale of
        all that leads to it. silu sees the values as they were, so that with it only the first are
        idle.
        """
        ...

    def trace(self, root: Tensor, replicas: Tensor) -> Tensor:
        """tr M^T M B^T B by layer and kind, (r, L, 3), of lower triangular float64 matrices M
        (r, P, P)."""
        ...
