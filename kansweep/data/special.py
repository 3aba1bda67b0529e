"""SciPy's special functions, which are imported when the first of them is called: few targets have
one, and they are slow to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def special(name: str) -> Callable[..., Any]:
    """``scipy.special.<name>``."""

    def function(*arguments: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*arguments)

    return function
