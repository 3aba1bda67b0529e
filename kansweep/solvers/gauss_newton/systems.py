"""Gauss-Newton systems in two forms, and the choice between them.

``Direct`` forms the matrix and factors it, P^3 / 3 operations; ``Iterative`` never forms it.
Preconditioned by each edge's own band matrix, conjugate gradients see only how much edges overlap.
That does not grow with G, so some tens of products with the sparse Jacobian do, n times its
nonzeros each, and the memory is that of the Jacobian.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from kansweep.config.solvers import is_direct
from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import banded, penalty
from kansweep.solvers.gauss_newton.linalg import (
    Cholesky,
    cholesky,
    conjugate_gradients,
    ridge,
)
from kansweep.solvers.gauss_newton.linearised import Linearised, without_removed

# A step to 1% is as good as an exact one, since the next linearisation corrects it; the trace is
# estimated to about as much, and the weight that it serves is trusted to 30%.
CG_TOLERANCE, CG_ITERATIONS = 1e-2, 300
PROBES, PROBE_TOLERANCE = 4, 1e-2
# Beyond so many parameters the inverse that traces are read from takes several times as long as so
# many columns for each layer and kind of rows, by which f degrees of freedom, the rank less the
# trace, are told to a share of sqrt(2 / (32 f)): one to a quarter, a weight being trusted to 30%.
LARGE, COLUMNS = 1000, 32
CACHED = 100_000  # numbers that a matrix and its factor may have to stay in a core's own cache
# Gauge directions have no curvature of either kind; a ridge keeps them out of a trace.
TRACE_RIDGE = 1e-10
ROUNDING = 8.0  # last digits of the diagonal by which what was computed may be wrong
# Damping is for what is not linear, so of an entry of the diagonal no more counts than the data's
# own largest entry. A stiff penalty's diagonal lies so far above what the penalty leaves free that
# a thousandth of all of it would hold every parameter where it is.


class Factored(Protocol):
    """A with its diagonal raised by ``linalg.ridge``, ready to be solved with."""

    diagonal: Tensor  # (R, P), of A itself

    def solve(self, rhs: Tensor) -> tuple[Tensor, Tensor]:
        """(R, P) -> (R, P), and which replicas failed (R,), whose result is 0."""
        ...

    def fall(self, gradient: Tensor, step: Tensor) -> Tensor:
        """-(2 g + A d) d, (R,), by how much a step d that solves for -g lowers the model."""
        ...


class System(Protocol):
    """A Gauss-Newton system A at any weights (R, L, 3) and damping (R,)."""

    def factored(self, w: Tensor, damping: Tensor) -> Factored: ...

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        """tr(A^-1 B^T B) by layer and kind of rows, of some replicas: an ascending index (r,) ->
        (r, L, 3). NaN where A could not be factored.
        """
        ...


def system(lin: Linearised) -> System:
    """The form that is less work."""
    edges = sum(layer.n_outputs * layer.n_inputs for layer in lin.like.layers)
    return Direct(lin) if is_direct(lin.like.n_theta, lin.n_points, edges) else Iterative(lin)


class Direct:
    """n A formed and factored, in float64, a few replicas at a time; of symmetric matrices only
    the lower half is valid. ``data`` is J^T J (R, P, P) and ``most`` its largest entry (R,).
    """

    def __init__(self, lin: Linearised) -> None:
        self.n, self.strain, self.removed = lin.n_points, lin.strain, lin.like.removed
        self.data = lin.data.gram()
        self.every = torch.arange(self.data.shape[0], device=self.data.device)
        self.most = without_removed(lin.like, lin.data.diagonal()).double().amax(1)
        self.rounding = ROUNDING * torch.finfo(lin.strain.rows.dtype).eps

    def factored(self, w: Tensor, damping: Tensor) -> Factored:
        parts = [
            cholesky(matrix, damping[part], self.most[part], self.rounding)
            for part, matrix in self._matrices(w, self.every)
        ]
        return _Solved(parts, self.n)

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        """With what changes nothing held: in the inverse it would be huge, and what it adds to a
        trace the difference of huge numbers."""
        traces = []
        for part, matrix in self._matrices(w, replicas):
            which = replicas[part]
            factors = self._held(matrix, which)
            if matrix.shape[1] > LARGE:
                trace = self._estimated(factors, which)
            else:
                trace = self.strain.trace(self._root(factors, which), which)
            trace = (self.n * trace).masked_fill_(factors.failed[:, None, None], torch.nan)
            traces.append(trace)
        return _joined(traces)

    def _estimated(self, factors: Cholesky, replicas: Tensor) -> Tensor:
        """``strain.trace`` of M with A^-1 = M^T M, the mean of |M B^T z|^2 over vectors z of signs
        (Hutchinson 1990), each with the rows of one layer and kind; always the same ones."""
        kan, many = self.strain.kan, self.every.shape[0]
        one = self.strain.rows.new_ones(many, len(kan.layers), penalty.KINDS)
        generator, sums, first = torch.Generator().manual_seed(0), [], 0
        for rank in penalty.ranks(kan):
            drawn = torch.randint(0, 2, (COLUMNS, rank), generator=generator)
            z = torch.zeros_like(self.strain.rows).expand(COLUMNS, -1, -1).clone()
            z[:, :, first : first + rank] = (2.0 * drawn - 1.0).to(z)[:, None]
            pulled = [without_removed(kan, self.strain.pull(one, each))[replicas] for each in z]
            sums.append(factors.half_solved(torch.stack(pulled, 2)).square().sum((1, 2)) / COLUMNS)
            first += rank
        return torch.stack(sums, 1).view(replicas.shape[0], -1, penalty.KINDS)

    def covariance(self, w: Tensor) -> tuple[Tensor, float, Tensor]:
        """A root of (n A)^-1 of one replica, (1, P, P), where what changes nothing is held, the
        effective degrees of freedom, tr (n A)^-1 J^T J, and ``trace``, exact of any size."""
        ((_, matrix),) = self._matrices(w, self.every)
        factors = self._held(matrix, self.every)
        m = self._root(factors, self.every)
        trace = self.n * self.strain.trace(m, self.every)
        trace = trace.masked_fill_(factors.failed[:, None, None], torch.nan)
        root, data = m.mT, self.data.tril() + self.data.tril(-1).mT
        return root, float((root * (data @ root)).sum()), trace

    def _held(self, matrix: Tensor, replicas: Tensor) -> Cholesky:
        most = self.most[replicas]
        self.strain.hold(matrix, most, replicas)
        self._clear(matrix, replicas)
        return cholesky(matrix, TRACE_RIDGE, most, self.rounding)

    def _root(self, factors: Cholesky, replicas: Tensor) -> Tensor:
        """Of the inverse, without edges that were pruned: they stay where they are."""
        root = factors.root()
        if self.removed is not None:
            root.masked_fill_(self.removed[replicas, None], 0.0)
        return root

    def _matrices(self, w: Tensor, replicas: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """n A of some replicas, as many at a time as a processor's cache can hold; of a GPU all."""
        many, scale = replicas.shape[0], self.n * w.double()
        every = many == self.every.shape[0]  # then all are in order, and need not be looked up
        at_once = many if w.is_cuda else max(1, CACHED // self.data[0].numel())
        for first in range(0, many, at_once):
            part = slice(first, first + at_once)
            which = replicas[part]
            matrix = self.data[part].clone() if every else self.data[which]
            self.strain.add_to(matrix, scale[part] if every else scale[which], which)
            self._clear(matrix, which)
            yield part, matrix

    def _clear(self, matrix: Tensor, replicas: Tensor) -> None:
        """Nothing in the rows and columns of edges that were pruned: they stay where they are."""
        if self.removed is not None:
            gone = self.removed[replicas]
            matrix.masked_fill_(gone[:, None] | gone[..., None], 0.0)


class _Solved:
    def __init__(self, parts: list[Cholesky], n: float) -> None:
        self.n, self.parts = n, parts
        self.diagonal = _joined([part.diagonal for part in parts]) / n

    def solve(self, rhs: Tensor) -> tuple[Tensor, Tensor]:
        rhs = self.n * rhs[..., None]
        if len(self.parts) == 1:
            x, failed = self.parts[0].solve(rhs)
            return x[..., 0], failed
        sizes = [part.failed.shape[0] for part in self.parts]
        pairs = zip(self.parts, rhs.split(sizes), strict=True)
        solved = [part.solve(own) for part, own in pairs]
        return _joined([x for x, _ in solved])[..., 0], _joined([failed for _, failed in solved])

    def fall(self, gradient: Tensor, step: Tensor) -> Tensor:
        # A d = -g - ridge d
        ridge = _joined([part.ridge for part in self.parts]) / self.n
        return ((ridge * step - gradient) * step).sum(1)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Iterative:
    """A as a product, solved by conjugate gradients in the dtype that comes in.

    ``data_diagonal`` (R, P) is that of J^T J / n, ``data_band`` (R, E, K, k + 1) the lower band of
    J^T J / n that belongs to each edge's spline.
    """

    def __init__(self, lin: Linearised) -> None:
        self.lin = lin
        self.data_diagonal = lin.data.diagonal() / lin.n_points
        self.data_band = lin.data.bands() / lin.n_points

    def factored(self, w: Tensor, damping: Tensor) -> Factored:
        return _Preconditioned(self, w, damping, CG_TOLERANCE)

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        """Hutchinson's estimate from a few vectors of signs, always the same ones."""
        lin, strain = self.lin, self.lin.strain
        total = torch.zeros_like(w)
        nearly = _Preconditioned(self, w, torch.full_like(w[:, 0, 0], TRACE_RIDGE), PROBE_TOLERANCE)
        generator = torch.Generator().manual_seed(0)
        for _ in range(PROBES):
            signs = torch.randint(0, 2, (strain.rows.shape[1],), generator=generator)
            probe = (2.0 * signs - 1.0).to(strain.rows).expand_as(strain.rows)
            x, _ = nearly.solve(without_removed(lin.like, strain.pull(torch.ones_like(w), probe)))
            parts = (probe * strain.change(x)).split(penalty.ranks(lin.like), dim=1)
            total = total + torch.stack([part.sum(1) for part in parts], dim=1).view(w.shape)
        return total[replicas] / PROBES


class _Preconditioned:
    """Solved by conjugate gradients, preconditioned edge by edge: a spline's own band, a base
    weight's own number."""

    def __init__(self, parts: Iterative, w: Tensor, damping: Tensor, tolerance: float) -> None:
        self.lin, self.w, self.tolerance = parts.lin, w, tolerance
        kan = self.lin.like
        self.diagonal = parts.data_diagonal + parts.lin.strain.diagonal(w)
        rounding = ROUNDING * torch.finfo(w.dtype).eps
        self.ridge = ridge(self.diagonal, damping, parts.data_diagonal.amax(1), rounding)
        self.n_coef = kan.grid_size + kan.k
        band = torch.nn.functional.pad(parts.data_band, (0, kan.beyond))
        edges = torch.tensor([a.n_outputs * a.n_inputs for a in kan.layers], device=w.device)
        rough = w[:, :, penalty.ROUGH].repeat_interleave(edges, dim=1)
        band = band + rough[:, :, None, None] * penalty.bands(kan).to(w)
        raised, self.base = _split(kan, self.ridge + self.diagonal)
        # Range terms may lower a diagonal entry of A below that of the band, not the band's own.
        band[..., 0] = torch.maximum(raised, band[..., 0])
        self.factors = banded.factor(band.flatten(0, 1))

    def solve(self, rhs: Tensor) -> tuple[Tensor, Tensor]:
        x = conjugate_gradients(self._apply, self._precondition, rhs, self.tolerance, CG_ITERATIONS)
        stuck = (x == 0).all(1) & (rhs != 0).any(1)
        broken = self.factors.failed.view(len(x), -1).any(1)
        failed = ~torch.isfinite(x).all(1) | stuck | broken
        return torch.where(failed[:, None], 0.0, x), failed

    def fall(self, gradient: Tensor, step: Tensor) -> Tensor:
        return -((2 * gradient + self.lin.product(self.w, step)) * step).sum(1)

    def _apply(self, d: Tensor) -> Tensor:
        return self.lin.product(self.w, d) + self.ridge * d

    def _precondition(self, v: Tensor) -> Tensor:
        coef, base = _split(self.lin.like, v)
        solved = self.factors.solve(coef.reshape(-1, self.n_coef, 1)).reshape(coef.shape)
        return _join(self.lin.like, solved, base / self.base)


def _split(kan: KAN, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Spline coefficients (R, E, K) and base weights (R, E or 0) of all layers."""
    layers = kan.with_theta(theta).layers
    coef = torch.cat([layer.coef.flatten(1, 2) for layer in layers], dim=1)
    base = [layer.base.flatten(1) for layer in layers if layer.base is not None]
    return coef, torch.cat([theta[:, :0], *base], dim=1)


def _join(kan: KAN, coef: Tensor, base: Tensor) -> Tensor:
    """The inverse of ``_split``."""
    parts, edge, weight = [], 0, 0
    for layer in kan.layers:
        edges = layer.n_outputs * layer.n_inputs
        parts.append(coef[:, edge : edge + edges].flatten(1))
        edge += edges
        if layer.base is not None:
            parts.append(base[:, weight : weight + edges])
            weight += edges
    return torch.cat(parts, dim=1)
