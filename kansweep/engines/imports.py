"""Modules that are imported when they are needed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from kansweep.config.rules import ConfigError


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


def require(choice: str, packages: Sequence[str], extra: str) -> None:
    """Raise ConfigError where a choice such as ``engine=dask`` lacks one of its packages, each
    ``name`` or ``name==version``, and say which extra brings them."""
    for package in packages:
        name, _, needed = package.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = ""
        if found and found == (needed or found):
            continue
        lacks = f"of which {found} is installed" if found else "which is not installed"
        raise ConfigError(
            f"{choice} needs the package {package}, {lacks};"
            f" pip install 'kansweep[{extra}]' brings it."
        )
