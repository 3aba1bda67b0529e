"""``kansweep apply``: what one trained network predicts for the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kansweep.cli.analysing import stored
from kansweep.cli.output import OK, say
from kansweep.config.commands import ApplyConfig
from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from kansweep.data.targets import Array
    from kansweep.estimator.known import Known

LEVEL = 0.95


def apply(job: ApplyConfig) -> int:
    store, plan = stored(job)

    with importing():
        from kansweep.data import tables
        from kansweep.estimator.stored import known
        from kansweep.sweep import files
        from kansweep.sweep.refusals import naming_the_file
        from kansweep.trained import weights

    path, output = Path(str(job.data.path)), Path(str(job.output))
    if path.resolve() == output.resolve():
        raise ConfigError(f"`output` must be another file than `data.path`; got {str(output)!r}.")
    results = store.results(cell.key for cell in plan.cells)
    which = {name: getattr(job, name) for name in ("n_train", "seed", "size")}
    try:
        cell = weights.chosen(results, store.folder, **which)
        network = weights.of_cell(store.folder, cell)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    config = from_record(plan.config_record)
    names = config.data.inputs or tuple(f"x{i + 1}" for i in range(network.width[0]))
    x = tables.columns(str(path), names)
    certainty = known(config, cell, network)
    columns = _columns(network(x), x, certainty, network.outputs)
    content = tables.written(columns, output.suffix)
    with naming_the_file(output):
        files.write(output, lambda file: file.write(content))
    unknown = isinstance(certainty, str)
    how = f"without intervals: {certainty}" if unknown else f"with {LEVEL:.0%} intervals"
    say(
        f"{store.folder}, n_train={cell['n_train']} seed={cell['seed']} size={cell['size']}:"
        f" {len(x)} predictions {how}",
        str(output),
    )
    return OK


def _columns(
    mean: Array, x: Array, certainty: Known | str, outputs: Sequence[str] | None
) -> dict[str, Any]:
    """Columns (n,) of a file; where there are several outputs, (n, M), with their names, or
    numbered where those are not known."""
    parts = {"prediction": mean}
    if not isinstance(certainty, str):
        ends = certainty.interval(mean, certainty.deviations(x), LEVEL, new=True)
        parts |= dict(zip(("low", "high"), ends, strict=True))
    of = [f"_{output}" for output in outputs or ()]
    of = of or ([""] if mean.shape[1] == 1 else [str(m + 1) for m in range(mean.shape[1])])
    return {
        f"{name}{output}": values[:, m]
        for m, output in enumerate(of)
        for name, values in parts.items()
    }
