"""The outputs of what is learned, M of them: their names and the units that each is taken in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outputs:
    """Names and units of M outputs; ``y`` is trained as (y - offset) / scale."""

    names: tuple[str, ...]
    offset: Array  # (M,)
    scale: Array  # (M,), of several outputs the standard deviation of each

    @property
    def unit(self) -> Array:
        """What errors are told in where those of all outputs are taken together, (M,): several
        outputs need not have a unit in common, and each counts by its own spread."""
        return self.scale if len(self.names) > 1 else np.ones(1)

    def together(self, errors: Array) -> float:
        """The root mean square over outputs of errors (M,), each in its unit; that of a single
        output as it is."""
        if len(self.names) == 1:
            return float(errors[0])  # the square's root may be another number
        return float(np.sqrt(np.mean(np.square(errors / self.unit))))


def numbered(count: int) -> tuple[str, ...]:
    """Names of outputs that were given none."""
    return ("y",) if count == 1 else tuple(f"y{i + 1}" for i in range(count))
