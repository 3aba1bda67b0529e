"""The section `engine`: where chains are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kansweep.config import rules
from kansweep.config.rules import ConfigError, one_of
from kansweep.config.schema import MISSING, Role, Variant, choice, key

_WORKERS = (
    rules.optional(rules.COUNT),
    "not serial: chains at once; null: as many as cores, all on slurm",
)


@dataclass
class EngineConfig(Variant):
    """What ``engine=...`` chooses, a place where chains are trained."""

    prefix: ClassVar[str] = "engine."
    implementation: ClassVar[str]  # module:class, an ``engines.Engine``
    packages: ClassVar[
        tuple[str, ...]
    ] = ()  # that it needs, if any, and the extra that brings them
    extra: ClassVar[str] = ""
    role: ClassVar[Role] = Role.CONDUCT
    name: str = MISSING


@dataclass
class SerialConfig(EngineConfig):
    implementation: ClassVar[str] = "kansweep.engines.serial:SerialEngine"
    name: str = choice("serial", "where chains are trained")


@dataclass
class ProcessConfig(EngineConfig):
    implementation: ClassVar[str] = "kansweep.engines.process:ProcessEngine"
    name: str = choice("process", "where chains are trained")
    workers: int | None = key(None, *_WORKERS)


@dataclass
class DaskConfig(EngineConfig):
    implementation: ClassVar[str] = "kansweep.engines.dask:DaskEngine"
    packages: ClassVar[tuple[str, ...]] = ("distributed",)
    extra: ClassVar[str] = "dask"
    name: str = choice("dask", "where chains are trained")
    workers: int | None = key(None, *_WORKERS)
    address: str | None = key(
        None, rules.optional(rules.ADDRESS), "dask: a running scheduler; null: starts its own"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.address is not None and self.workers is not None:
            raise ConfigError(
                "`engine.workers` is for a cluster that kansweep starts itself; the scheduler at"
                " `engine.address` has its own."
            )


@dataclass
class SubmititConfig(EngineConfig):
    implementation: ClassVar[str] = "kansweep.engines.submitit:SubmititEngine"
    packages: ClassVar[tuple[str, ...]] = ("submitit",)
    extra: ClassVar[str] = "slurm"
    name: str = choice("submitit", "where chains are trained")
    workers: int | None = key(None, *_WORKERS)
    cluster: str = key(
        "slurm", one_of("slurm", "local"), "submitit: slurm, or local for this machine"
    )
    timeout_min: int = key(60, rules.COUNT, "submitit: minutes a job may take before a requeue")
    parameters: Any = key(
        None, rules.optional(rules.SETTINGS), "submitit: its own, as {slurm_partition: long}"
    )
