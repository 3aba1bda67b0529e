"""What trained networks of every kind share: points in, values and the chain rule out; NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from kansweep import kinds
from kansweep.data.targets import Array


class TrainedNetwork:
    """A network that was trained, as a function of points."""

    has_edges: ClassVar[bool] = False  # functions on every edge that can be looked at one by one
    data: str | None  # the name of what it learned, where that is known
    arrays: Mapping[str, Any] | None = None  # the weights that it was read from
    outputs: tuple[str, ...] | None = None  # names of several, where they are known

    @property
    def width(self) -> tuple[int, ...]:
        """Numbers of nodes, inputs and outputs included."""
        raise NotImplementedError

    def __call__(self, x: ArrayLike) -> Array:
        """(n, n_inputs) -> (n, n_outputs); one point (n_inputs,) -> (n_outputs,)."""
        points, one = self._points(x)
        values = self.nodes(points)[-1]
        return values[0] if one else values

    def gradient(self, x: ArrayLike) -> Array:
        """Derivatives of the outputs by the inputs, exact: (n, n_inputs) -> (n, n_outputs,
        n_inputs); one point -> (n_outputs, n_inputs)."""
        points, one = self._points(x)
        chain: Array | None = None
        for slopes in self._slopes(points):
            chain = slopes if chain is None else slopes @ chain
        if chain is None:
            raise ValueError("a network has a layer, at least.")
        return chain[0] if one else chain

    def to_torch(self, dtype: str = "float64") -> Any:
        """The same function as a ``torch.nn.Module``, all that was trained in one parameter; see
        ``kansweep.networks.as_torch.TorchNetwork``.

        ``dtype`` is float64 or float32. Raises ValueError where there are no weights to make it of.
        """
        if dtype not in ("float64", "float32"):
            raise ValueError(f"`dtype` must be float64 or float32; got {dtype!r}.")
        if self.arrays is None or (kind := kinds.of_arrays(self.arrays)) is None:
            raise ValueError(f"{self!r} was not read from weights.")
        from kansweep.networks.as_torch import TorchNetwork

        module = TorchNetwork(kinds.load(kind.network), self.arrays)
        return module.double() if dtype == "float64" else module.float()

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first, (n, width[l]) each."""
        raise NotImplementedError

    def _slopes(self, x: Array) -> Iterator[Array]:
        """Jacobian of each layer at its inputs, (n, O, I)."""
        raise NotImplementedError

    def _points(self, x: ArrayLike) -> tuple[Array, bool]:
        """Points as (n, n_inputs), and whether it was one alone."""
        points = np.asarray(x, dtype=np.float64)
        n_inputs = self.width[0]
        if points.ndim not in (1, 2) or points.shape[-1] != n_inputs:
            raise ValueError(
                f"`x` must be (n, {n_inputs}), or ({n_inputs},) for one point; got {points.shape}."
            )
        return np.atleast_2d(points), points.ndim == 1
