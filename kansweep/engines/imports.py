"""Modules that are imported when they are needed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while modules are imported.

    They leave none behind, and of the time that those of torch or pandas take a fifth goes into
    looking for it. What they made is there to stay and is not looked through again; where nothing
    was left to import, nothing changes.
    """
    collecting, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if len(sys.modules) > before:
                gc.freeze()
            gc.enable()
