"""Why the training of a cell stopped."""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """As the column ``stop_reason`` has it: the first five are a solver's, the others are what
    befell it."""

    CONVERGED = "converged"
    POOR_FIT = "poor fit"  # converged, with something left to fit that no start and no grid fits
    STALLED = "stalled"  # no step that was tried lowers the objective
    STEP_LIMIT = "step limit"
    NON_FINITE = "non-finite"
    EXCEPTION = "exception"
    OUT_OF_MEMORY = "out of memory"
    WORKER_DIED = "worker died"
