"""Why the training of a cell stopped."""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """As the column ``stop_reason`` has it: the first four are a solver's, the others are what
    befell it."""

    CONVERGED = "converged"
    STALLED = "stalled"  # no step that was tried lowers the objective
    STEP_LIMIT = "step limit"
    NON_FINITE = "non-finite"
    EXCEPTION = "exception"
    OUT_OF_MEMORY = "out of memory"
    WORKER_DIED = "worker died"
