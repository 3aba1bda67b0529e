"""SciPy's special functions, which are imported when the first of them is called: few targets have
one, and they are slow to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def special(name: str, which: int | None = None) -> Callable[..., Any]:
    """``scipy.special.<name>``, of one that gives several values the one of an index."""

    def function(*arguments: Any) -> Any:
        from scipy import special

        values = getattr(special, name)(*arguments)
        return values if which is None else values[which]

    return function
