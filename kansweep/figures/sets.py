"""All figures of one sweep, and of several together."""

from __future__ import annotations

from collections.abc import Sequence

from kansweep.figures import comparison, frontier, measured_orders, panels, scaling
from kansweep.figures.drawn import Drawn
from kansweep.figures.heat_map import heat_map
from kansweep.figures.local_orders import local_orders
from kansweep.laws.cells import SPLITS
from kansweep.laws.findings import Study


def of_one(study: Study, splits: Sequence[str] = SPLITS) -> list[Drawn]:
    """All figures of one sweep. The map and, of kinds on a grid, the local orders are those of the
    last split: the test's unless only the other was asked for. The best sizes are the test's."""
    drawn = [*scaling.draw(study, splits), heat_map(study, splits[-1])]
    drawn += [local_orders(study, splits[-1])] if study.kind.on_grid else []
    drawn += [] if study.outputs is None else scaling.draw_outputs(study, study.outputs, splits)
    drawn += [frontier.frontier(study)] if "test" in splits and frontier.wanted(study) else []
    return drawn


def of_several(study: Study, splits: Sequence[str] = SPLITS) -> list[Drawn]:
    """The figures of several sweeps: a panel a target where several kinds of networks have several,
    all in one otherwise; those of one target beside each other, by the last split."""
    draw = panels.draw if panels.wanted(study) else scaling.draw_together
    drawn = draw(study, splits)
    drawn += [comparison.comparison(study, splits[-1])] if comparison.wanted(study) else []
    drawn += [measured_orders.measured_orders(study)] if measured_orders.wanted(study) else []
    return drawn


def of_derivatives(study: Study) -> list[Drawn]:
    """The errors of each derivative against the study's axis, of one sweep or of several."""
    draw = scaling.draw_together if "target" in study.results else scaling.draw
    return [each for split, part in study.derivatives.items() for each in draw(part, [split])]
