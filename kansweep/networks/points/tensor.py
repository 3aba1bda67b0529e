"""The contract in torch: a sparse Jacobian that is stored, on any device and in any precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from kansweep.networks.gauge import (
    balanced,
    margins,
    mid_and_half,
    range_terms,
    rescale_inputs,
    rescale_outputs,
)
from kansweep.networks.jacobian import Jacobian, jacobian, layer_rows
from kansweep.networks.kan import KAN, where
from kansweep.networks.layer import Activation, activate, trainable
from kansweep.networks.points.contract import Settled


@dataclass(frozen=True)
class TensorData:
    """J = rows + outer inner^T; where points count, these and the residual are times the roots."""

    kan: KAN
    rows: Jacobian
    residual: Tensor  # (R, M, n)
    outer: Tensor  # (R, M, n, 2H)
    inner: Tensor  # (R, P, 2H)
    half: Tensor  # (R, P, H)
    counts: Tensor | None = None  # (R, n)

    @property
    def n_points(self) -> float:
        return self.residual.shape[2] if self.counts is None else float(self.counts[0].sum())

    @property
    def theta(self) -> Tensor:
        return self.kan.theta()

    def _change(self, d: Tensor) -> Tensor:
        """J d, (R, P) -> (R, M, n)."""
        moved = (d[:, None] @ self.inner)[:, 0]  # (R, 2H)
        return self.rows.product(d) + torch.einsum("rmnh,rh->rmn", self.outer, moved)

    def _pull(self, v: Tensor) -> Tensor:
        """J^T v, (R, M, n) -> (R, P)."""
        moved = torch.einsum("rmnh,rmn->rh", self.outer, v)
        return self.rows.transposed_product(v) + (self.inner @ moved[..., None])[..., 0]

    def pull(self) -> Tensor:
        return self._pull(self.residual)

    def product(self, d: Tensor) -> Tensor:
        return self._pull(self._change(d))

    def gram(self) -> Tensor:
        return self.rows.gram(self.outer, self.inner)

    def diagonal(self) -> Tensor:
        lowrank = self.inner * self.rows.cross(self.outer, self.inner)
        return self.rows.squared_norms() + 2 * lowrank.sum(2)

    def bands(self) -> Tensor:
        return torch.cat(self.rows.bands(self.kan), dim=1)


@dataclass(frozen=True)
class TensorSettled:
    """A normalised KAN with what every layer computed."""

    kan: KAN
    activations: list[Activation]
    residual: Tensor  # (R, n, M)
    counts: Tensor | None = None  # (R, n)

    @property
    def like(self) -> KAN:
        return self.kan

    @cached_property
    def theta(self) -> Tensor:
        return self.kan.theta()

    @cached_property
    def mse(self) -> Tensor:
        squares = self.residual.square()
        if self.counts is None:
            return squares.mean(1).sum(1)
        return (squares * self.counts[..., None]).sum((1, 2)) / self.n_points

    @property
    def n_points(self) -> float:
        return self.residual.shape[1] if self.counts is None else float(self.counts[0].sum())

    def data(self) -> TensorData:
        rows, residual = jacobian(self.kan, self.activations), self.residual.mT.contiguous()
        if len(self.kan.layers) == 1:
            return _linear(self.kan, rows, residual, self.counts)
        moved = range_terms(self.kan, self.activations)
        return _counted(TensorData(self.kan, rows, residual, *moved, self.counts))

    def __getitem__(self, replicas: Tensor) -> TensorSettled:
        activations = [activation[replicas] for activation in self.activations]
        counts = None if self.counts is None else self.counts[replicas]
        return TensorSettled(self.kan[replicas], activations, self.residual[replicas], counts)

    def where(self, mask: Tensor, other: TensorSettled) -> TensorSettled:
        kan = where(mask, self.kan, other.kan)
        pairs = zip(self.activations, other.activations, strict=True)
        activations = [one.where(mask, rest) for one, rest in pairs]
        residual = torch.where(mask[:, None, None], self.residual, other.residual)
        return TensorSettled(kan, activations, residual, self.counts)


def _counted(data: TensorData) -> TensorData:
    """The data with every point's rows times the root of what it counts."""
    if data.counts is None:
        return data
    root = data.counts.sqrt()[:, None]
    return replace(
        data,
        rows=replace(data.rows, values=data.rows.values * root[:, None]),
        residual=data.residual * root,
        outer=data.outer * root[..., None],
    )


def _linear(kan: KAN, rows: Jacobian, residual: Tensor, counts: Tensor | None = None) -> TensorData:
    """Of a KAN of one layer, without ranges that move; residual is (R, M, n)."""
    outer = residual.new_zeros(*residual.shape, 0)
    inner = residual.new_zeros(kan.n_replicas, kan.n_theta, 0)
    return _counted(TensorData(kan, rows, residual, outer, inner, inner, counts))


@dataclass(frozen=True)
class TensorHidden:
    """The activations of all layers but the last, and what reaches the last."""

    like: KAN
    activations: list[Activation]
    x: Tensor  # (R, n, I)
    y: Tensor  # (R, n, M)
    counts: Tensor | None = None  # (R, n)

    @cached_property
    def _rows(self) -> Jacobian:
        return layer_rows(self.like.layers[-1], self.x, self.like.k)

    @cached_property
    def last(self) -> Tensor:
        return torch.cat([part.flatten(2) for part in trainable(self.like.layers[-1])], 2)

    @property
    def n_points(self) -> float:
        return self.x.shape[1] if self.counts is None else float(self.counts[0].sum())

    def normal(self, last: Tensor) -> tuple[Tensor, Tensor]:
        parts = [self.data(m, own) for m, own in enumerate(last.unbind(1))]
        return parts[0].gram(), torch.stack([part.pull() for part in parts], 1)

    def data(self, output: int, last: Tensor) -> TensorData:
        residual = self._rows.product(last) - self.y[:, None, :, output]
        one = self.like.last_output(output).with_theta(last)
        return _linear(one, self._rows, residual, self.counts)

    def settled(self, last: Tensor) -> TensorSettled:
        layer, sizes = (
            self.like.layers[-1],
            [part[0, 0].numel() for part in trainable(self.like.layers[-1])],
        )
        coef, *base = last.split(sizes, dim=2)
        layer = replace(layer, coef=coef.reshape(layer.coef.shape), base=base[0] if base else None)
        layer = balanced(layer)
        activation, f = activate(layer, self.x, self.like.k)
        kan = replace(self.like, layers=(*self.like.layers[:-1], layer))
        return TensorSettled(kan, [*self.activations, activation], f - self.y, self.counts)


@dataclass(frozen=True)
class TensorPoints:
    """x (R, n, I), y (R, n, M) and counts (R, n)."""

    x: Tensor
    y: Tensor
    counts: Tensor | None = None

    def margins(self, kan: KAN) -> tuple[list[Tensor], Tensor]:
        found, x = [], self.x
        for layer in kan.layers:
            x = activate(layer, x, kan.k)[1]
            found.append(x)
        squares = (x - self.y).square().mean(2)
        error = squares.mean(1)
        if self.counts is not None:
            error = (squares * self.counts).sum(1) / self.counts.sum(1)
        pairs = zip(kan.layers, found[:-1], strict=False)
        return [margins(layer, s, kan.k) for layer, s in pairs], error

    def extremes(self, kan: KAN) -> list[Tensor]:
        found, x = [], self.x
        for layer in kan.layers[:-1]:
            x = activate(layer, x, kan.k)[1]
            found.append(torch.stack([x.amin(1), x.amax(1)], 2))
        return found

    def settled(self, kan: KAN) -> TensorSettled:
        activations, f = kan.activations(self.x)
        return TensorSettled(kan, activations, f - self.y, self.counts)

    def hidden(self, kan: KAN, margin: Sequence[Tensor]) -> TensorHidden:
        layers, activations, x = list(kan.layers), [], self.x
        for index in range(len(layers) - 1):
            activation, s = activate(layers[index], x, kan.k)
            mid, half = mid_and_half(s, margin[index])
            layers[index] = rescale_outputs(layers[index], mid, half)
            activations.append(_rescaled(activation, half))
            layers[index + 1] = rescale_inputs(layers[index + 1], mid, half)
            x = (s - mid[:, None]) / half[:, None]
        kan = replace(kan, layers=tuple(layers))
        return TensorHidden(kan, activations, x, self.y, self.counts)

    def moved(self, settled: Settled, step: Tensor, margin: Sequence[Tensor]) -> TensorHidden:
        return self.hidden(settled.kan.with_theta(settled.theta + step), margin)

    def __getitem__(self, replicas: Tensor) -> TensorPoints:
        counts = None if self.counts is None else self.counts[replicas]
        return TensorPoints(self.x[replicas], self.y[replicas], counts)


def _rescaled(activation: Activation, half: Tensor) -> Activation:
    """The activation of a layer whose outputs were divided by their half-ranges (R, O)."""
    per = half[:, None, None]
    return replace(
        activation, slope=activation.slope / per, spline_slope=activation.spline_slope / per
    )
