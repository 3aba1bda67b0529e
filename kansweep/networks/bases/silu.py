"""silu(x) = x / (1 + exp(-x)), the base that some families have beside their local functions."""

from __future__ import annotations

from typing import Any

from kansweep.networks.bases import ArrayT


def silu(x: ArrayT, xp: Any) -> tuple[ArrayT, ArrayT]:
    """Its values and slopes, without overflow."""
    gate = (1 + xp.tanh(x / 2)) / 2
    return x * gate, gate * (1 + x * (1 - gate))
