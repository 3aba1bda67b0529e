"""Where chains are trained, behind the ``submit`` of ``concurrent.futures``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class SerialEngine(Executor):
    """Runs a task when it is submitted, in this process; an interrupt reaches the caller."""

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


ENGINES: dict[str, Callable[[], Executor]] = {"serial": SerialEngine}
