"""What a second-order solver asks of a KAN at its points: a contract with two implementations.

``tensor`` is torch's, on any device; ``compiled`` are loops over the points on a CPU. Letters of
shapes are those of ``kan``; H are the hidden nodes, Q the parameters behind one output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from kansweep.networks.kan import KAN


class Data(Protocol):
    """The residual r + J d near a normalised KAN; J knows that hidden ranges move with theta."""

    @property
    def n_points(self) -> float:
        """The sum of counts, by which every sum over points is weighed."""
        ...

    @property
    def theta(self) -> Tensor:
        """Where that is, (R, P)."""
        ...

    @property
    def half(self) -> Tensor:
        """Derivatives of the hidden grids' half-widths, (R, P, H)."""
        ...

    @property
    def inner(self) -> Tensor:
        """Derivatives of the ends of hidden grids, high ones before low ones of each layer,
        (R, P, 2H)."""
        ...

    def pull(self) -> Tensor:
        """J^T N r, (R, P), N the points' counts."""
        ...

    def gram(self) -> Tensor:
        """J^T N J in float64, (R, P, P), of which the lower triangle is valid."""
        ...

    def diagonal(self) -> Tensor:
        """The diagonal of J^T N J, (R, P)."""
        ...

    def bands(self) -> Tensor:
        """Diagonal blocks of J^T N J that belong to one edge's spline, ranges held fixed, as lower
        bands (R, E, K, k+1): entry [j, d] stands at row j + d, column j."""
        ...

    def product(self, d: Tensor) -> Tensor:
        """J^T N J d, (R, P) -> (R, P)."""
        ...


SettledT = TypeVar("SettledT", bound="Settled")


class Settled(Protocol):
    """A normalised KAN with its outputs at the points."""

    @property
    def kan(self) -> KAN: ...

    @property
    def like(self) -> KAN:
        """A KAN of its shape and knots, whose numbers do not count."""
        ...

    @property
    def theta(self) -> Tensor:
        """Its numbers, (R, P)."""
        ...

    @property
    def residual(self) -> Tensor:
        """(R, n, M)."""
        ...

    @property
    def mse(self) -> Tensor:
        """Mean over all that counts, summed over outputs, (R,)."""
        ...

    @property
    def n_points(self) -> float: ...

    def data(self) -> Data: ...

    def __getitem__(self: SettledT, replicas: Tensor) -> SettledT: ...

    def where(self: SettledT, mask: Tensor, other: SettledT) -> SettledT:
        """Replica by replica, these where the mask (R,) is true and the others elsewhere."""
        ...


class Hidden(Protocol):
    """A KAN whose hidden values are on their grids; its last layer is still to be chosen.

    Numbers of the last layer are (R, M, Q): of each output the coefficients, then the base.
    """

    @property
    def like(self) -> KAN:
        """A KAN of its shape and knots, whose numbers do not count."""
        ...

    @property
    def last(self) -> Tensor:
        """What the last layer's numbers were."""
        ...

    @property
    def n_points(self) -> float: ...

    def normal(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer's normal equations at such numbers: J^T N J in float64, (R, Q, Q), of
        which the lower triangle is valid and which all outputs share, and J^T N r, (R, M, Q)."""
        ...

    def data(self, output: int, last: Tensor) -> Data:
        """Of one output with such numbers (R, Q); all outputs share one gram."""
        ...

    def settled(self, last: Tensor) -> Settled:
        """With such numbers, every output's constant shared equally by its edges
        (``gauge.balanced``)."""
        ...


class Points(Protocol):
    """The points of R replicas, x (R, n, I), y (R, n, M) and their counts (R, n)."""

    def margins(self, kan: KAN) -> tuple[Sequence[Tensor], Tensor]:
        """``gauge.margins`` of every hidden layer, and the mean squared error (R,)."""
        ...

    def extremes(self, kan: KAN) -> Sequence[Tensor]:
        """The least and the largest value of the nodes of every hidden layer, (R, O, 2) each."""
        ...

    def settled(self, kan: KAN) -> Settled:
        """Of a KAN that is already normalised."""
        ...

    def hidden(self, kan: KAN, margin: Sequence[Tensor]) -> Hidden:
        """Hidden values onto their grids, with margins (R, O, 2) of each hidden layer."""
        ...

    def moved(self, settled: Settled, step: Tensor, margin: Sequence[Tensor]) -> Hidden:
        """The same of what was settled here, after a step (R, P)."""
        ...

    def __getitem__(self, replicas: Tensor) -> Points: ...
