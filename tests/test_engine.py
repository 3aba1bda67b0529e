"""Engines behind the ``submit`` of ``concurrent.futures``."""

from __future__ import annotations

from concurrent.futures import as_completed

import pytest
from kansweep.engine import ENGINES, SerialEngine


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_gives_what_its_tasks_return(name):
    with ENGINES[name]() as engine:
        futures = [engine.submit(pow, 2, exponent, mod=5) for exponent in range(4)]
        assert {future.result() for future in as_completed(futures)} == {1, 2, 3, 4}


@pytest.mark.parametrize("name", ENGINES)
def test_a_task_that_raises_takes_no_other_with_it(name):
    with ENGINES[name]() as engine:
        broken, sound = engine.submit(divmod, 1, 0), engine.submit(divmod, 1, 1)
        with pytest.raises(ZeroDivisionError):
            broken.result()
        assert sound.result() == (1, 0)


def test_the_serial_engine_runs_in_order_each_task_before_the_next_is_submitted():
    done: list[int] = []
    with SerialEngine() as engine:
        for number in range(3):
            assert engine.submit(done.append, number).done()
            assert done == list(range(number + 1))


def test_an_interrupt_of_the_serial_engine_reaches_the_caller_at_once():
    with pytest.raises(KeyboardInterrupt), SerialEngine() as engine:
        engine.submit(interrupt)
