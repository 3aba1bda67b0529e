"""pykan's KANs: the numbers that its models hold, for R replicas, and their forward pass.

A layer adds up, over its inputs i,

    scale_base_io silu(x_i)  +  scale_sp_io sum_j c_ioj B_j(x_i)

with B-splines on knots of its own for each input, which vanish beyond them; the last sums are
scaled and shifted. Names are those of pykan's ``state_dict``. What it has beside them (symbolic
functions, masks, scales of other nodes) stays as it begins, without effect.

Letters of shape comments as in ``kan``; a grid has m = G + 2k + 1 knots. Liu et al.,
arXiv:2404.19756; pykan 0.2.8.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import silu

from kansweep.networks.protocol import Products


class Settings(Protocol):
    """What a configuration says of it, beside its widths."""

    @property
    def k(self) -> int: ...


@dataclass(frozen=True)
class Shape:
    """The model to be trained: layer widths, grid intervals, order and where the knots stand."""

    width: tuple[int, ...]
    size: int
    k: int
    spacing: str  # uniform or quantile


@dataclass(frozen=True)
class Layer:
    """One layer of R replicas, by the names of pykan's ``KANLayer``."""

    grid: Tensor  # (R, I, m)
    coef: Tensor  # (R, I, O, K)
    scale_base: Tensor  # (R, I, O)
    scale_sp: Tensor  # (R, I, O)

    @property
    def k(self) -> int:
        return self.grid.shape[2] - self.coef.shape[3] - 1

    @property
    def grid_size(self) -> int:
        return self.coef.shape[3] - self.k

    def of(self, replica: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Its arrays of one replica, in their order."""
        return (
            self.grid[replica],
            self.coef[replica],
            self.scale_base[replica],
            self.scale_sp[replica],
        )

    def __getitem__(self, replicas: Tensor | slice) -> Layer:
        return Layer(*(getattr(self, each.name)[replicas] for each in fields(self)))

    @classmethod
    def concatenated(cls, layers: Sequence[Layer]) -> Layer:
        names = [each.name for each in fields(cls)]
        return cls(*(torch.cat([getattr(one, name) for one in layers]) for name in names))


@dataclass(frozen=True)
class PykanKAN:
    """R models of pykan.

    ``size`` is the number of intervals that they are to have: other than their grids', where they
    are to be extended, which takes the training points and so is done by who trains them.
    """

    layers: tuple[Layer, ...]
    node_scale: Tensor  # (R, M), of the last layer
    node_bias: Tensor  # (R, M)
    size: int
    spacing: str  # uniform or quantile

    @classmethod
    def shape_of(
        cls, settings: Settings, width: tuple[int, ...], size: int, spacing: str = "quantile"
    ) -> Shape:
        return Shape(width, size, settings.k, spacing)

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.size, self.layers[0].k, self.spacing)

    @property
    def width(self) -> tuple[int, ...]:
        first = self.layers[0].coef.shape[1]
        return (first, *(layer.coef.shape[2] for layer in self.layers))

    @property
    def grid_size(self) -> int:
        """That they have."""
        return self.layers[0].grid_size

    @property
    def n_replicas(self) -> int:
        return self.node_scale.shape[0]

    @property
    def n_params(self) -> int:
        """Trained numbers of one replica: G + k + 2 an edge."""
        edges = sum(n_in * n_out for n_in, n_out in itertools.pairwise(self.width))
        return edges * (self.size + self.layers[0].k + 2)

    def __getitem__(self, replicas: Tensor | slice) -> PykanKAN:
        return replace(
            self,
            layers=tuple(layer[replicas] for layer in self.layers),
            node_scale=self.node_scale[replicas],
            node_bias=self.node_bias[replicas],
        )

    @classmethod
    def concatenated(cls, nets: Sequence[PykanKAN]) -> PykanKAN:
        return replace(
            nets[0],
            layers=tuple(map(Layer.concatenated, zip(*(net.layers for net in nets), strict=True))),
            node_scale=torch.cat([net.node_scale for net in nets]),
            node_bias=torch.cat([net.node_bias for net in nets]),
        )

    def refined(self, size: int) -> PykanKAN:
        """The same functions, to be extended to ``size`` intervals when they are trained."""
        return replace(self, size=size)

    def with_outputs(self, mean: Tensor, spread: Tensor) -> PykanKAN:
        bias = mean + spread * self.node_bias
        return replace(self, node_scale=spread * self.node_scale, node_bias=bias)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        return torch.stack([self._one(r, points)[0] for r, points in enumerate(x)])

    def linearised(self, x: Tensor) -> Products:
        """At points (R, n, I); the parameters layer by layer: coefficients, then both scales."""
        with torch.enable_grad():
            each = [self._one(r, points, linearised=True) for r, points in enumerate(x)]

        def products(v: Tensor, power: int) -> Tensor:
            rows = [_products(outputs, at, v[r], power) for r, (outputs, at) in enumerate(each)]
            return torch.stack(rows)

        def squared_norms() -> Tensor:
            units = torch.eye(self.width[-1]).to(x)
            each_output = [products(unit.expand(*x.shape[:2], -1), 2) for unit in units]
            return torch.stack(each_output).sum(0)

        outputs = torch.stack([outputs.detach() for outputs, _ in each])
        return Products(outputs, lambda v: products(v, 1), squared_norms)

    def _one(
        self, replica: int, x: Tensor, *, linearised: bool = False
    ) -> tuple[Tensor, list[_AtLayer]]:
        """Outputs (n, M) of one replica, and what of its layers their derivatives take."""
        at: list[_AtLayer] = []
        for layer in self.layers:
            grid, coef, scale_base, scale_sp = layer.of(replica)
            basis, base = _basis(x, grid, layer.k), silu(x)  # (n, I, K), (n, I)
            splines = torch.einsum("nij,ioj->nio", basis, coef)
            x = (scale_base * base[:, :, None] + scale_sp * splines).sum(1)  # (n, O)
            if linearised and not at:
                x.requires_grad_()
            at.append(_AtLayer(basis.detach(), base.detach(), splines.detach(), scale_sp, x))
        return self.node_scale[replica] * x + self.node_bias[replica], at

    def regularity(self, x: Tensor) -> None:
        """None is defined of pykan's models."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays of pykan's ``state_dict`` that training changes, replicas first, and
        ``spacing`` as a string array."""
        last = len(self.layers) - 1
        tensors = {f"node_scale_{last}": self.node_scale, f"node_bias_{last}": self.node_bias}
        for index, layer in enumerate(self.layers):
            for each in fields(layer):
                tensors[f"act_fun.{index}.{each.name}"] = getattr(layer, each.name)
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return {**arrays, "spacing": np.array(self.spacing)}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> PykanKAN:
        """The inverse of ``to_arrays``; raises ``KeyError`` where an array is missing."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.array(arrays[name])).to(device)

        depth = sum(name.endswith(".coef") for name in arrays)
        layers = tuple(
            Layer(*(tensor(f"act_fun.{index}.{each.name}") for each in fields(Layer)))
            for index in range(max(depth, 1))
        )
        scale, bias = tensor(f"node_scale_{depth - 1}"), tensor(f"node_bias_{depth - 1}")
        return cls(layers, scale, bias, layers[0].grid_size, str(arrays["spacing"]))


@dataclass(frozen=True)
class _AtLayer:
    """A layer of one replica at some points."""

    basis: Tensor  # (n, I, K)
    base: Tensor  # (n, I)
    splines: Tensor  # (n, I, O)
    scale_sp: Tensor  # (I, O)
    sums: Tensor  # (n, O), where derivatives by the layers before pass through

    def products(self, v: Tensor, power: int) -> Tensor:
        """Weights of its sums (n, O) times the Jacobian's entries, to a power, added up: (P,)."""
        v, basis, base = v**power, self.basis**power, self.base**power
        by_coef = self.scale_sp[..., None] ** power * torch.einsum("no,nij->ioj", v, basis)
        by_base = torch.einsum("no,ni->io", v, base)
        by_splines = torch.einsum("no,nio->io", v, self.splines**power)
        return torch.cat([part.flatten() for part in (by_coef, by_base, by_splines)])


def _products(outputs: Tensor, at: list[_AtLayer], v: Tensor, power: int) -> Tensor:
    """The same of the outputs and all layers, with weights (n, M): (P,)."""
    weights = torch.autograd.grad(outputs, [one.sums for one in at], v, retain_graph=True)
    return torch.cat([one.products(w, power) for one, w in zip(at, weights, strict=True)])


def _basis(x: Tensor, grid: Tensor, k: int) -> Tensor:
    """B-splines by the recursion of Cox and de Boor, zero beyond the knots: (n, I), (I, m) ->
    (n, I, K)."""
    x, grid = x[..., None], grid[None]
    values = ((x >= grid[..., :-1]) & (x < grid[..., 1:])).to(x.dtype)
    for order in range(1, k + 1):
        rising = (x - grid[..., : -order - 1]) / (grid[..., order:-1] - grid[..., : -order - 1])
        falling = (grid[..., order + 1 :] - x) / (grid[..., order + 1 :] - grid[..., 1:-order])
        values = torch.nan_to_num(rising * values[..., :-1] + falling * values[..., 1:])
    return values
