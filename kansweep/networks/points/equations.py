"""The contract's ``Data`` in compiled loops: no Jacobian is ever stored.

One pass over the points is for all but products. Of replicas whose last step was refused the last
pass has said all, and only the others are gone through again.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kansweep.networks.compiled import normal, ranges
from kansweep.networks.compiled.layout import Floats, Ints, Net

NO_GRAM, NO_BAND = np.zeros((0, 0)), np.zeros((0, 0, 0))


class Equations(NamedTuple):
    """What one pass over the points gives; gram or band is empty."""

    gram: Floats  # (R, P P + 8)
    band: Floats  # (R, P, k + 1)
    pull: Floats  # (R, P)
    diagonal: Floats  # (R, P)


class Known(NamedTuple):
    """The equations of some of R replicas; what stands in the others' places is not theirs."""

    of: NDArray[np.bool_]  # (R,)
    inner: Floats  # (R, 2H, P), derivatives of the ends of hidden grids
    equations: Equations

    def some(self, replicas: NDArray[Any]) -> Known:
        parts = Equations(*(part[replicas] if part.size else part for part in self.equations))
        return Known(self.of[replicas], self.inner[replicas], parts)


class CompiledData:
    """Of a residual (R, M, n) at x (R, I, n) and hidden values (R, H, n), which are largest and
    least at the points ``ends`` (R, H, 2). Points count as often as ``counts`` (R, n) says, or once
    where it is empty."""

    def __init__(
        self,
        net: Net,
        x: Floats,
        hidden: Floats,
        residual: Floats,
        counts: Floats,
        ends: Ints,
        known: Known | None = None,
    ) -> None:
        self.net, self.x, self.hidden = net, x, hidden
        self.residual, self.counts, self.ends = residual, counts, ends
        self.n_points = observations(x, counts)
        self.theta: Tensor = torch.from_numpy(net.theta)
        self._known = known
        self._last: Equations | None = None

    def known(self) -> Known | None:
        """What is known without another pass."""
        if self._last is None:
            return self._known
        return Known(np.ones(len(self.x), np.bool_), self._inner, self._last)

    def pull(self) -> Tensor:
        return torch.from_numpy(self._equations().pull)

    @property
    def inner(self) -> Tensor:
        return torch.from_numpy(self._inner).mT

    @cached_property
    def half(self) -> Tensor:
        return torch.from_numpy(ranges.half_widths(self.net.width, self._inner))

    def gram(self) -> Tensor:
        replicas, size = self.net.theta.shape
        found = self._equations(gram=True).gram[:, : size * size]
        return torch.from_numpy(found).view(replicas, size, size)

    def diagonal(self) -> Tensor:
        return torch.from_numpy(self._equations().diagonal)

    def bands(self) -> Tensor:
        band, net = torch.from_numpy(self._equations(band=True).band), self.net
        n_coef, parts, first = net.grid_size + net.k, [], 0
        for edges in (net.width[:-1] * net.width[1:]).tolist():
            parts.append(band[:, first : first + edges * n_coef].unflatten(1, (edges, n_coef)))
            first += edges * (n_coef + net.base)
        return torch.cat(parts, dim=1)

    def product(self, d: Tensor) -> Tensor:
        out = np.empty_like(self.net.theta)
        given = self.net, self.x, self.hidden, self.counts, self._inner
        normal.product(*given, d.contiguous().numpy(), out)
        return torch.from_numpy(out)

    @cached_property
    def _inner(self) -> Floats:
        """Derivatives of the ends of hidden grids, (R, 2H, P)."""
        replicas, nodes, _ = self.hidden.shape
        if self._known is not None:
            inner = self._known.inner.copy()
            inner[self._new] = self._others._inner
            return inner
        inner = np.empty((replicas, 2 * nodes, self.net.theta.shape[1]))
        if nodes:
            ranges.range_terms(self.net, self.x, self.hidden, self.ends, inner)
        return inner

    def _equations(self, *, gram: bool = False, band: bool = False) -> Equations:
        """Of the last pass, where that is enough."""
        last = self._last
        if last is None or (gram and not last.gram.size) or (band and not last.band.size):
            last = self._last = self._pass(gram)
        return last

    def _pass(self, gram: bool) -> Equations:
        if self._known is not None and bool(self._known.equations.gram.size) == gram:
            found = Equations(*map(np.copy, self._known.equations))
            for part, own in zip(found, self._others._pass(gram), strict=True):
                if part.size:
                    part[self._new] = own
            return found
        replicas, size = self.net.theta.shape
        found = Equations(
            np.zeros((replicas, size * size + 8)) if gram else NO_GRAM,
            NO_BAND if gram else np.zeros((replicas, size, self.net.k + 1)),
            np.zeros((replicas, size)),
            np.zeros((replicas, size)),
        )
        given = self.net, self.x, self.hidden, self.residual, self.counts, self._inner
        normal.normal_equations(*given, *found)
        return found

    @cached_property
    def _new(self) -> NDArray[np.bool_]:
        """The replicas of which nothing is known yet, (R,)."""
        none = np.zeros(len(self.x), np.bool_)
        return ~(none if self._known is None else self._known.of)

    @cached_property
    def _others(self) -> CompiledData:
        """Those alone."""
        new, counts = self._new, self.counts
        given = self.x[new], self.hidden[new], self.residual[new]
        return CompiledData(
            self.net.of(new), *given, counts[new] if counts.size else counts, self.ends[new]
        )


def observations(x: Floats, counts: Floats) -> float:
    """The sum of counts."""
    return float(counts[0].sum()) if counts.size else x.shape[2]
