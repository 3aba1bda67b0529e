"""One task after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from kansweep.engines import Engine

P = ParamSpec("P")
T = TypeVar("T")


class SerialEngine(Engine):
    """Performs a task when it is submitted; an interrupt reaches the caller."""

    inline = True

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
