"""A batch of chains: its results, its failures, and what it owes to the batch."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nets import normal, random_kan
from scripted import Scripted

from kansweep.config.models import MLPConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data.sampling import Sampled, Tabled
from kansweep.data.tables import Table
from kansweep.data.targets import TARGETS
from kansweep.kinds import KINDS
from kansweep.networks import mlp
from kansweep.networks.kan import KAN, Shape, edges
from kansweep.solvers.contract import Checkpoint
from kansweep.solvers.gauss_newton import race
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.published import PublishedRecipe
from kansweep.sweep import chain, recorder
from kansweep.sweep.chain import Batch
from kansweep.sweep.columns import Status
from kansweep.trained import weights

BATCH = Batch(
    source=Sampled(TARGETS["exp_sin"]),
    n_train=60,
    n_test=80,
    seeds=(0, 1, 2),
    kind=KINDS["kan"],
    shapes=tuple(Shape((2, 1, 1), 3, grid_size, base=False) for grid_size in (3, 5, 9)),
    device="cpu",
    dtype="float64",
)
SOLVERS = [LM(LMConfig(restarts=1)), PublishedRecipe(LBFGSConfig(steps=2))]


@pytest.fixture(autouse=True)
def one_thread():
    """As the runner has it; several fight over a busy core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def of(function):
    return Sampled(replace(TARGETS["exp_sin"], function=function))


def train(batch=BATCH, solver=None, nets=None):
    nets = nets or [None] * len(batch.seeds)
    return list(chain.train(batch, solver or LM(LMConfig(restarts=1)), nets, lambda _: None))


def test_every_grid_size_gives_a_result_a_seed_in_order():
    grids = train()
    assert [[r.size for r in results] for results in grids] == [[3] * 3, [5] * 3, [9] * 3]
    assert all([r.seed for r in results] == [0, 1, 2] for results in grids)
    assert all(r.status == Status.OK for results in grids for r in results)
    errors = np.array([[r.test_rmse for r in results] for results in grids])
    assert (np.diff(np.log(errors), axis=0) < 0).all()


def test_a_results_numbers_are_those_of_its_network():
    result = train()[1][2]
    data = chain._sample(BATCH)
    f = result.net.net(data.x_test[2:])[0, :, 0].numpy()
    y = data.y_test[2, :, 0].numpy()
    assert result.test_rmse == pytest.approx(np.sqrt(np.mean((f - y) ** 2)), rel=1e-12)
    median = torch.tensor(np.abs(f - y)).median().item()
    assert result.test_median_error == pytest.approx(median, rel=1e-12)
    assert result.n_params == 3 * (5 + 3)


def test_a_batchs_time_is_shared_equally_and_none_of_it_is_lost(monkeypatch):
    ticks = iter(range(0, 1000, 6))
    monkeypatch.setattr(chain.time, "perf_counter", lambda: float(next(ticks)))
    grids = list(chain.train(BATCH, Scripted({}), [None] * 3, lambda _: None))
    seconds = [[r.seconds for r in results] for results in grids]
    assert all(len(set(row)) == 1 for row in seconds)
    # Every reading is six seconds after the last, and between first and last there is no gap.
    spent = next(ticks) - 6
    assert sum(map(sum, seconds)) == pytest.approx(spent)


def test_a_seed_in_a_batch_is_what_it_is_alone():
    """With as many points as the last grid's parameters; fewer leave weights to rounding."""
    batch = replace(BATCH, n_train=60)
    together = train(batch)
    race.remembered.cache_clear()
    for r, seed in enumerate(batch.seeds):
        for (alone,), results in zip(train(replace(batch, seeds=(seed,))), together, strict=True):
            assert alone.test_rmse == pytest.approx(results[r].test_rmse, rel=1e-7)


@pytest.mark.parametrize(
    "solver", [LM(LMConfig(restarts=1)), PublishedRecipe(LBFGSConfig(steps=2))]
)
def test_a_chain_goes_on_from_kept_weights_to_the_same_bits(solver):
    whole = train(solver=solver)
    kept = [Checkpoint.from_arrays(result.net.to_arrays(), KAN) for result in whole[0]]
    resumed = train(replace(BATCH, shapes=BATCH.shapes[1:]), solver, kept)
    for before, after in zip(whole[1:], resumed, strict=True):
        for one, other in zip(before, after, strict=True):
            assert torch.equal(one.net.net.theta(), other.net.net.theta())
            assert numbers(one) == numbers(other)


def numbers(result: chain.Result) -> dict[str, object]:
    """What is known of a cell but its weights and when it was trained."""
    return vars(result) | dict.fromkeys(["net", "seconds", "started_at"])


def test_a_seed_that_raises_fails_alone_and_its_next_grid_starts_cold():
    solver = Scripted({(5, 1): "raise"})
    grids = train(solver=solver)
    assert [r.status for r in grids[1]] == [Status.OK, Status.FAILED, Status.OK]
    assert grids[1][1].error == "RuntimeError: no luck with seed 1"
    assert grids[1][1].net is None
    assert [r.status for r in grids[2]] == [Status.OK] * 3
    assert solver.cold == [(3, 0), (3, 1), (3, 2), (9, 1)]
    for seed, result in enumerate(grids[2]):
        theta = result.net.net.theta()
        assert torch.allclose(theta, torch.full_like(theta, seed))


def test_what_a_solver_remembers_comes_back_to_each_replica_and_none_where_it_starts_cold():
    solver = Scripted({(3, 1): "nan"})
    train(solver=solver)
    first, second, third = solver.memories
    assert first is None
    assert torch.equal(second.nan_to_num(-1), torch.tensor([[0.0], [-1.0], [2.0]]).double())
    assert torch.equal(third, torch.tensor([[0.0], [1.0], [2.0]]).double())


@pytest.mark.parametrize(
    "solver", [LM(LMConfig(restarts=1)), PublishedRecipe(LBFGSConfig(steps=2))]
)
def test_a_trace_has_every_iteration_of_every_replica(solver):
    assert not train(solver=solver)[0][0].trace
    for results in train(replace(BATCH, trace=True), solver):
        for result in results:
            steps = [row["step"] for row in result.trace]
            assert steps == list(range(1, result.steps + 1))
            last = result.trace[-1]
            assert last["rmse"] == pytest.approx(result.train_rmse, rel=1e-6)
            assert last["grad_norm"] == pytest.approx(result.grad_norm, rel=1e-6)
            assert set(last) == {"step", "rmse", "grad_norm", "accepted", "damping", "penalty"}


def test_a_seed_that_raises_leaves_the_others_as_they_are_without_it():
    class Unlucky(LM):
        def solve(self, net, problem, memory=None, observe=None):
            if net.grid_size == 5 and 1 in problem.seeds:
                raise RuntimeError
            return super().solve(net, problem, memory, observe)

    undisturbed, disturbed = train(), train(solver=Unlucky(LMConfig(restarts=1)))
    for r in (0, 2):
        for one, other in zip(undisturbed, disturbed, strict=True):
            assert other[r].status == Status.OK
            assert other[r].test_rmse == pytest.approx(one[r].test_rmse, rel=1e-7)
    assert [results[1].status for results in disturbed] == [Status.OK, Status.FAILED, Status.OK]


def test_data_that_cannot_be_had_fail_every_cell_of_the_batch():
    def function(x):
        raise ValueError("outside its domain")

    grids = train(replace(BATCH, source=of(function)))
    results = [result for results in grids for result in results]
    assert [(r.size, r.seed) for r in results] == [(g, s) for g in (3, 5, 9) for s in range(3)]
    assert {(r.status, r.error) for r in results} == {
        (Status.FAILED, "ValueError: outside its domain")
    }


def test_values_that_are_infinite_are_a_divergence():
    far = of(lambda x: np.where(x[:, :1] > 0, np.inf, 1.0))
    grids = train(replace(BATCH, source=far), Scripted({}))
    assert {result.status for results in grids for result in results} == {Status.DIVERGED}


def test_an_interrupt_is_no_failure():
    class Interrupted(Scripted):
        def solve(self, kan, problem, memory=None, observe=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(solver=Interrupted({}))


def test_numbers_that_are_not_finite_are_a_divergence_and_the_next_grid_starts_cold():
    solver = Scripted({(3, 0): "nan"})
    grids = train(solver=solver)
    assert [r.status for r in grids[0]] == [Status.DIVERGED, Status.OK, Status.OK]
    assert solver.cold == [(3, 0), (3, 1), (3, 2), (5, 0)]


def test_reports_take_a_small_part_of_the_time(monkeypatch):
    """Each takes a second here, as the evaluation of a large test set does."""
    now, reports = 0.0, []

    def report(event):
        nonlocal now
        now += 1.0
        reports.append(event)

    monkeypatch.setattr(recorder, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(recorder.Recorder, "_progress", lambda self, iteration: iteration)
    following = recorder.Recorder(None, 3, None, report, trace=False)
    while now < 500.0:
        now += 0.1
        following.observe(now)
    assert len(reports) == 10
    assert reports[0] == pytest.approx(0.2)


def test_progress_is_reported_with_the_replicas_own_data(monkeypatch):
    monkeypatch.setattr(recorder, "REPORT_EVERY", 0.0)
    reports = []
    list(chain.train(BATCH, LM(), [None] * 3, reports.append))
    assert {(p.n_train, p.size) for p in reports} == {(60, 3), (60, 5), (60, 9)}
    assert all(0 < p.train_rmse < 1 and 1 <= p.replicas <= 3 for p in reports)


@pytest.mark.parametrize("n", [1, 40, 41])
def test_the_median_is_the_lower_one_and_shows_what_is_no_number(n):
    errors = normal(3, n, 2)
    errors[1, 0, 1] = torch.nan
    expected = errors.abs().flatten(1).median(1).values
    torch.testing.assert_close(
        recorder.median_size(errors), expected, rtol=0, atol=0, equal_nan=True
    )


def test_reg_is_the_examples_figure():
    """Written out for one replica as pykan's training loop has it, without its 1e-4 of width."""
    net = random_kan((2, 3, 1), base=True, replicas=1)
    x = chain._sample(replace(BATCH, seeds=(0,))).x_train
    total, values = 0.0, x
    for layer in net.layers:
        one = edges(layer, values, 3)[0].numpy()  # (n, I, O)
        width = (layer.upper - layer.lower)[0].numpy()
        scale = np.abs(one).mean(0) / width[:, None]
        p = scale / scale.sum()
        total += scale.sum() + 2 * -(p * np.log2(p + 1e-4)).sum()
        values = torch.from_numpy(one.sum(1))[None]
    assert net.regularity(x).item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("solver", "kind", "shapes"),
    [
        (LM(), "kan", BATCH.shapes),
        (LBFGS(LBFGSConfig(steps=3)), "mlp", (mlp.Shape((2, 4, 1), "tanh"),)),
    ],
)
def test_a_tables_units_change_nothing_but_the_units(solver, kind, shapes):
    """Outputs a thousand times as large and far from zero: so are the errors, and what is kept
    gives the table's own values; a chain that goes on from it does as if it had not stopped."""
    x, y = Sampled(TARGETS["exp_sin"]).train(150, 0)

    def trained(scale, offset, nets=(None,), shapes=shapes):
        table = Table(10 * x, scale * y + offset, ("a", "b"), "y", "")
        source, of_kind = Tabled(table, 80), KINDS[kind]
        batch = replace(BATCH, source=source, seeds=(0,), kind=of_kind, shapes=shapes)
        batch = replace(batch, chained=of_kind.extended)
        return [result for (result,) in chain.train(batch, solver, nets, lambda _: None)]

    own, other = trained(1.0, 0.0), trained(1e3, 5e4)
    assert len(own) == len(other) == len(shapes)
    for a, b in zip(own, other, strict=True):
        assert b.status == Status.OK
        assert b.test_rmse == pytest.approx(1e3 * a.test_rmse, rel=1e-3)
        assert b.train_rmse == pytest.approx(1e3 * a.train_rmse, rel=1e-3)
    source = Tabled(Table(10 * x, 1e3 * y + 5e4, ("a", "b"), "y", ""), 80)
    x_test, y_test = (torch.from_numpy(part)[None] for part in source.test(80, 0))
    errors = other[-1].net.net(x_test) - y_test
    assert float(errors.square().mean().sqrt()) == pytest.approx(other[-1].test_rmse, rel=1e-9)
    if len(shapes) > 1:
        rest = trained(1e3, 5e4, (other[0].net,), shapes[1:])
        for a, b in zip(rest, other[1:], strict=True):
            assert a.test_rmse == pytest.approx(b.test_rmse, rel=1e-6)


def test_an_mlp_is_a_cell_like_another_but_for_what_only_kans_have():
    shapes = (mlp.Shape((2, 4, 1), "silu"), mlp.Shape((2, 6, 1), "silu"))
    batch = replace(BATCH, shapes=shapes, seeds=(0, 1), kind=KINDS["mlp"])
    grids = list(
        chain.train(
            batch, LBFGS(LBFGSConfig(steps=2), MLPConfig(restarts=2)), [None] * 2, lambda _: None
        )
    )
    assert [[r.size for r in results] for results in grids] == [[4, 4], [6, 6]]
    for results in grids:
        assert {(r.status, r.reg, r.start_grid) for r in results} == {(Status.OK, None, None)}
    assert grids[0][0].n_params == 4 * 2 + 4 + 4 + 1
    kept = Checkpoint.from_arrays(grids[1][1].net.to_arrays(), mlp.MLP)
    data = chain._sample(batch)
    assert torch.equal(kept.net(data.x_test[1:]), grids[1][1].net.net(data.x_test[1:]))


def test_the_errors_of_derivatives_are_those_of_the_network_that_is_stored():
    for results in train():
        for seed, result in enumerate(results):
            model = weights.from_arrays(result.net.to_arrays())
            x, _ = BATCH.source.test(BATCH.n_test, seed)
            gradient, hessian = BATCH.source.derivatives(x)
            errors = model.gradient(x) - gradient
            assert result.gradient_rmse == pytest.approx(np.sqrt((errors**2).sum(2).mean()))
            step = 1e-6 * np.eye(2)
            rows = [model.gradient(x + s) - model.gradient(x - s) for s in step]
            errors = np.stack(rows, axis=-1) / 2e-6 - hessian
            rms = np.sqrt((errors**2).sum((2, 3)).mean())
            assert result.hessian_rmse == pytest.approx(rms, rel=1e-4)


def test_kinds_and_targets_without_derivatives_have_no_errors_of_them():
    shapes = (mlp.Shape((2, 3, 1), "tanh"),)
    of_mlp = replace(BATCH, kind=KINDS["mlp"], shapes=shapes)
    quick = LBFGS(LBFGSConfig(steps=2), MLPConfig(restarts=1))
    unknown = replace(BATCH, source=Sampled(replace(TARGETS["exp_sin"], expression=None)))
    first_order = replace(BATCH, shapes=(Shape((2, 1, 1), 1, 5, base=False),))
    for results in (train(of_mlp, quick)[0], train(unknown)[0]):
        assert {(r.status, r.gradient_rmse, r.hessian_rmse) for r in results} == {
            (Status.OK, None, None)
        }
    (results,) = train(first_order)
    assert all(r.gradient_rmse > 0 and r.hessian_rmse is None for r in results)
