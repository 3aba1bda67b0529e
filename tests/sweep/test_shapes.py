"""Hidden widths found by trying: what is tried, by which points it is judged, what is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, KANConfig, ModelConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LMConfig
from kansweep.data import sources, structure
from kansweep.data.folds import Folds
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.sweep import search, shapes, tried
from kansweep.sweep.begin import begun
from kansweep.sweep.plan import planned
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.resolution import check, enough
from kansweep.sweep.search import Ground, larger, while_they_help
from kansweep.sweep.search import searched as walked
from kansweep.sweep.store import Store
from kansweep.sweep.tried import Search, Trial, n_edges

CONFIG = RunConfig(
    data=DataConfig(sizes=(250,), n_test=50),
    grid=GridConfig(sizes=(5, 10, 20)),
    model=KANConfig(hidden="auto"),
    seeds=[0],
)


class Heard(list[str]):
    def __call__(self, width: str) -> None:
        self.append(width)


def find(folder, config=CONFIG, heard=None):
    return shapes.found(config, Store(folder), Heard() if heard is None else heard)


def plain(search: Search) -> Search:
    """Without what differs from one search to the next."""
    return replace(search, trials=tuple(replace(trial, seconds=0.0) for trial in search.trials))


# ------------------------------------------------------------------------------- the whole search


def test_a_search_is_kept_and_not_done_again_by_what_extends_the_sweep(tmp_path):
    heard = Heard()
    found, search = find(tmp_path / "s", heard=heard)
    assert found.model.hidden == (1,) == TARGETS["exp_sin"].hidden
    assert search.chosen == (2, 1, 1)
    assert heard == [tried.named(width) for width in search.shapes] == ["2-1", "2-1-1"]
    longer = replace(CONFIG, data=DataConfig(sizes=(250, 400), n_test=50), seeds=(0, 1))
    for config in (CONFIG, longer, replace(CONFIG, grid=GridConfig(sizes=(5, 10, 20, 40)))):
        heard = Heard()
        config, kept = find(tmp_path / "s", config, heard)
        assert heard == []
        assert (config.model.hidden, kept) == (found.model.hidden, search)


def test_a_search_that_was_cut_off_goes_on_to_the_same_end(tmp_path):
    class Cut(Heard):
        def __call__(self, width: str) -> None:
            super().__call__(width)
            if len(self) == 2:
                raise KeyboardInterrupt

    whole = find(tmp_path / "whole")[1]
    other = find(tmp_path / "other", replace(CONFIG, seeds=(1,)))[1]
    assert plain(other) != plain(whole)
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path / "cut", heard=Cut())
    assert len(tried.read(Store(tmp_path / "cut"), *shapes._names(CONFIG)).shapes) == 1
    heard = Heard()
    rest = find(tmp_path / "cut", heard=heard)[1]
    assert plain(rest) == plain(whole)
    assert heard == [tried.named(width) for width in whole.shapes[1:]]


@pytest.mark.parametrize(
    "other",
    [
        replace(CONFIG, seeds=(3,)),
        replace(CONFIG, data=DataConfig(sizes=(80,), n_test=50)),
        replace(CONFIG, grid=GridConfig(sizes=(4, 8))),
    ],
)
def test_the_rest_of_a_search_begins_anew_on_other_points_or_sizes(tmp_path, other):
    one = Trial((2, 1), 3, 12, 0.5, 0.1, 1.0)
    tried.write(Store(tmp_path / "s"), *shapes._names(CONFIG), Search((one,)))
    assert tried.read(Store(tmp_path / "s"), *shapes._names(CONFIG)).trials == (one,)
    assert tried.read(Store(tmp_path / "s"), *shapes._names(other)) == Search()


def test_other_data_under_a_used_name_are_refused_before_anything_is_tried(tmp_path):
    found = replace(CONFIG, model=KANConfig(hidden=(1,)))
    with Store(tmp_path / "s").open(planned(found)):
        pass
    heard = Heard()
    with pytest.raises(StoreError, match=r"differs is `data.noise` \(None → 0.1\)\. Give"):
        find(tmp_path / "s", replace(CONFIG, data=replace(CONFIG.data, noise=0.1)), heard)
    assert heard == []


@pytest.mark.parametrize("text", ["", "search,width\n", "\x00", "search,width,size\na,b,c\n"])
def test_a_table_that_cannot_be_read_is_as_none(tmp_path, text):
    store = Store(tmp_path)
    store.layout.shapes.write_text(text)
    assert tried.read(store, *shapes._names(CONFIG)) == Search()


def test_few_points_are_refused():
    few = replace(CONFIG, data=DataConfig(sizes=(10,)))
    with pytest.raises(ConfigError, match=r"`data\.sizes` must hold 20 or more .* got at most 10"):
        shapes._folds(few)


# ------------------------------------------------------------------------------ points held out


class Watched:
    """A source whose test points nobody may ask for."""

    noise = 0.0

    def __init__(self) -> None:
        self.source = Sampled(TARGETS["exp_sin"])
        self.bounds, self.outputs = self.source.bounds, self.source.outputs

    def train(self, n, seed):
        return self.source.train(n, seed)

    def test(self, n, seed):
        raise AssertionError("the test set was asked for")

    def derivatives(self, x):
        raise AssertionError("derivatives at test points were asked for")


def test_a_search_never_sees_the_test_set(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "source", lambda data: Watched())
    assert find(tmp_path / "s")[1].chosen == (2, 1, 1)


def test_folds_hold_out_every_training_point_once_and_share_none_with_what_is_fitted():
    source = Sampled(TARGETS["exp_sin"])
    folds = Folds(source, 50, 7)
    known = {tuple(x) for x in source.train(50, 7)[0]}
    held = []
    for fold in range(5):
        fitted, x = folds.train(folds.n_fitted, fold)[0], folds.test(folds.n_held, fold)[0]
        assert (len(fitted), len(x)) == (40, 10)
        assert {tuple(point) for point in fitted} | {tuple(point) for point in x} == known
        held += [tuple(point) for point in x]
    assert set(held) == known
    assert folds.spread == pytest.approx(np.std(source.train(50, 7)[1]))


# -------------------------------------------------------------------------------- the candidates


def test_a_formula_gives_the_widths_that_are_read_off_it():
    def widths(formula):
        return sources.structures(DataConfig(formula=formula))

    assert widths("exp(sin(x1) + x2^2)") == [(1,)]
    assert (3,) in widths("x1*x2 + x3^2")
    assert widths("atan2(x1, x2)") == []  # no composition of sums
    assert structure.widths(TARGETS["nested"])[0] == TARGETS["nested"].hidden


def test_shapes_grow_by_a_node_or_a_layer():
    assert larger((2, 1)) == [(2, 1, 1)]
    assert larger((2, 2, 1)) == [(2, 3, 1), (2, 2, 1, 1), (2, 2, 2, 1)]
    assert larger((2, 2, 1, 1)) == [(2, 3, 1, 1), (2, 2, 2, 1), (2, 2, 2, 1, 1)]


def test_shapes_that_the_solver_does_not_take_are_not_tried():
    folds = shapes._folds(CONFIG)
    additive = replace(CONFIG, solver=LMConfig(start="additive"))
    assert shapes._fits(additive, (2, 1, 1), folds)
    assert not shapes._fits(additive, (2, 2, 1), folds)
    assert not shapes._fits(CONFIG, (2, 9, 9, 1), folds)  # more parameters than points


# ------------------------------------------------------------------- an error that is asked for


def asking(enough, errors, widths):
    """The search for a fictitious target: errors of shapes at sizes 5 and 10, those that are not
    there 1."""

    def tried(width):
        each = errors.get(width, (1.0, 1.0))
        trials = [
            Trial(width, size, n_edges(width) * size, rmse, 0.1 * rmse, 0.0)
            for size, rmse in zip((5, 10), each, strict=True)
        ]
        return list(while_they_help(trials, (5, 10), 10_000, enough))

    ground = Ground(widths, -4.0, 0.0, lambda _: True, tried)
    *_, search = walked(ground, Search(enough=enough))
    return search


def test_the_fewest_parameters_that_come_to_an_error_are_found():
    wide, deep = (2, 2, 1), (2, 2, 1, 1)
    errors = {wide: (0.3, 1e-2), deep: (1e-2, 1e-5), (2, 3, 1): (1e-9, 1e-9)}
    first = [(2, 1, 1), wide, deep]
    found = asking(2e-2, errors, first)
    assert found.chosen == deep  # 35 parameters at its first size, 60 and 45 those of others
    assert [trial.size for trial in found.of(deep)] == [5]  # it is enough
    assert (2, 4, 1) not in found.shapes  # it has more at its first size
    assert asking(1.05e-2, errors, first).chosen == (2, 3, 1)  # 1e-2 is uncertain
    assert asking(0.9, errors, first).chosen == wide
    assert asking(1e-12, errors, first).chosen == (2, 3, 1)  # none: the best


def test_where_the_best_has_no_neighbours_left_the_next_best_has():
    errors = {(2, 1, 1): (0.4, 0.3), (2, 2, 1): (0.6, 0.5)}  # 2-1-1 has 2-2-1 alone
    errors[2, 2, 1, 1] = (2e-3, 1e-4)
    assert asking(1e-2, errors, [(2, 1, 1), (2, 2, 1)]).chosen == (2, 2, 1, 1)


def test_an_error_is_asked_for_by_its_number_or_as_published(tmp_path):
    def of(asked, name="I.12.11"):
        model = KANConfig(hidden="auto", enough=asked)
        return enough(replace(CONFIG, data=replace(CONFIG.data, name=name), model=model))

    assert (of(1e-3), of("pruned"), of("smallest", "jv(x,y)")) == (1e-3, 1.39e-3, 4.93e-3)
    assert enough(CONFIG) is None
    with pytest.raises(ConfigError, match=r"one of human, pruned, .* data=I\.12\.11\); got 'best'"):
        of("best")
    with pytest.raises(ConfigError, match=r"number \(no error was .*=exp_sin\); got 'pruned'"):
        of("pruned", "exp_sin")
    for value in (0, -1.0, True, (1,)):
        with pytest.raises(ConfigError, match=r"`model\.enough` must be a positive number or"):
            KANConfig(hidden="auto", enough=value)
    given = replace(CONFIG, model=KANConfig(hidden=(2,), enough=0.1))
    for refused in (begun, check):
        with pytest.raises(ConfigError, match=r"`model\.enough` is for model\.hidden=auto; the"):
            refused(given)


def test_another_error_is_another_search_and_refused_where_a_sweep_is(tmp_path):
    asked = replace(CONFIG, model=KANConfig(hidden="auto", enough=0.05))
    found, search = find(tmp_path / "s", asked)
    assert found.model == KANConfig(hidden=(1,))
    assert [trial.size for trial in search.of((2, 1, 1))] == [5]
    assert find(tmp_path / "s", asked)[1] == search  # as it is kept
    assert find(tmp_path / "s")[1].enough is None  # no sweep has been trained by it
    find(tmp_path / "s", asked)
    with Store(tmp_path / "s").open(planned(found)):
        pass
    table = (tmp_path / "s/shapes.csv").read_text()
    with pytest.raises(
        StoreError, match=r"`model\.enough` \(0\.05 → null\)\. Give this one a name"
    ):
        find(tmp_path / "s")
    assert (tmp_path / "s/shapes.csv").read_text() == table


def test_an_error_is_asked_of_a_size_that_the_sweep_has(tmp_path, monkeypatch):
    """A finer grid would come to it, and be trained by nobody."""
    monkeypatch.setattr(search, "MOST_SHAPES", 0)  # none but the first
    coarse = replace(CONFIG, grid=GridConfig(sizes=(5,)))
    assert find(tmp_path / "any", coarse)[1].best((2, 1, 1)).size > 5
    asked = replace(coarse, model=KANConfig(hidden="auto", enough=1e-3))
    assert {trial.size for trial in find(tmp_path / "s", asked)[1].trials} == {5}


def test_a_table_of_before_there_were_errors_to_ask_for_is_read(tmp_path):
    store, names = Store(tmp_path), shapes._names(CONFIG)
    tried.write(store, *names, Search((Trial((2, 1), 5, 10, 0.5, 0.1, 1.0),)))
    lines = store.layout.shapes.read_text().splitlines()
    store.layout.shapes.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    assert tried.read(store, *names).trials[0].width == (2, 1)


def test_an_error_that_is_asked_for_bounds_other_kinds_of_networks_too(tmp_path):
    model = ModelConfig.variants["chebyshev"](hidden="auto", sizes=(3, 6), enough=0.9)
    data = DataConfig(formula="sin(3*x1) + x2", sizes=(100,), n_test=50)
    search = find(tmp_path / "s", replace(CONFIG, data=data, model=model))[1]
    assert search.shapes == [(2, 1)]  # which comes to it with the least parameters that there are


def test_an_error_of_nothing_is_none_that_is_asked_for():
    assert Search((Trial((2, 1), 5, 10, 0.0, 0.0, 1.0),)).cheapest is None


# --------------------------------------------------------------------------------- the choice


def searched(*errors):
    """A search of shapes of 1, 2, ... nodes by their errors at sizes 5, 10, 20."""
    trials = [
        Trial((2, nodes, 1), size, 3 * nodes * size, rmse, 0.01 * rmse, 0.0)
        for nodes, each in enumerate(errors, 1)
        for size, rmse in zip((5, 10, 20), each, strict=False)
    ]
    return Search(tuple(trials))


@pytest.mark.parametrize(
    ("errors", "nodes"),
    [
        (((1.0,), (0.9,)), 1),  # as good
        (((1.0,), (0.5,)), 2),
        (((1.0, 0.3), (0.5, 0.4)), 1),  # each at its best size
        (((3e-14,), (1e-15,)), 1),  # rounding
        (((np.inf,), (1.0,)), 2),
    ],
)
def test_the_simplest_of_the_good_is_chosen(errors, nodes):
    assert searched(*errors).simplest(1e-12) == (2, nodes, 1)


def test_within_a_standard_error_shapes_are_as_good():
    noisy = [Trial((2, n, 1), 5, 30 * n, 1.0 / n, 0.6, 0.0) for n in (1, 2)]
    assert Search(tuple(noisy)).simplest(0.0) == (2, 1, 1)


def test_nothing_larger_is_tried_than_what_falls_by_the_theory():
    falling, stuck = searched((1.0, 2**-4, 2**-8)), searched((1.0, 2**-4, 2**-5))
    assert falling.falls((2, 1, 1), -4.0, 0.0)
    assert not falling.falls((2, 1, 1), float("nan"), 0.0)  # without a theory
    assert not stuck.falls((2, 1, 1), -4.0, 0.0)
    assert not searched((1.0, 2**-4)).falls((2, 1, 1), -4.0, 0.0)
    assert searched((1e-14,)).falls((2, 1, 1), -4.0, 1e-12)


def test_the_front_is_what_none_with_as_few_parameters_is_better_than():
    front = searched((1.0, 0.9, 0.8), (0.7, 0.95, 0.1)).front
    assert [(t.n_params, t.rmse) for t in front] == [(15, 1.0), (30, 0.7), (120, 0.1)]
