"""pykan through kansweep is pykan by its own script, and leaves everything as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kan import KAN
from nets import example, points
from runs import run
from torch import Tensor

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, PykanConfig
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.data import floor
from kansweep.data.sources import source
from kansweep.data.targets import TARGETS
from kansweep.networks.pykan import PykanKAN, Shape
from kansweep.solvers import pykan
from kansweep.solvers.contract import Iteration, Problem
from kansweep.solvers.pykan import Pykan
from kansweep.solvers.reasons import StopReason
from kansweep.sweep import chain
from kansweep.sweep.columns import Status
from kansweep.sweep.samples import Data, sample
from kansweep.sweep.store import read_results

SHAPE = Shape((2, 1, 1), 3, 3, "quantile")
PRODUCT = Shape((2, 2, 1), 3, 3, "quantile")


def config(steps: int = 2, grids: tuple[int, ...] = (3, 5), **given: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "seeds": [0, 1],
        "data": DataConfig(sizes=(50,), n_test=80),
        "grid": GridConfig(grids, "quantile"),
        "model": PykanConfig(),
        "solver": LBFGSConfig(steps=steps),
    }
    return RunConfig(**{**settings, **given})


@pytest.fixture
def repeatable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a script does: double precision, and least squares that give the same twice."""
    monkeypatch.setattr(torch.linalg, "lstsq", partial(torch.linalg.lstsq, driver="gelsd"))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def by_script(
    data: Data, replica: int, width: list[int], grids: tuple[int, ...], steps: int, **options: Any
) -> list[float]:
    """Test RMSE of each grid, by pykan alone; the seed is the replica's index."""
    x, y = data.x_train[replica], data.y_train[replica]
    dataset = {"train_input": x, "train_label": y, "test_input": x, "test_label": y}
    errors, model = [], None
    for grid in grids:
        new = KAN(width=list(width), grid=grid, seed=replica, auto_save=False, **options)
        model = new if model is None else new.initialize_from_another_model(model, x)
        model.fit(dataset, opt="LBFGS", steps=steps, stop_grid_update_step=30)
        with torch.no_grad():
            outputs = model(data.x_test[replica])
        errors.append(float((outputs - data.y_test[replica]).square().mean().sqrt()))
    return errors


@pytest.mark.parametrize(
    ("target", "width", "k", "spacing", "options"),
    [
        ("exp_sin", [2, 1, 1], 3, "quantile", {"k": 3}),
        ("product", [2, 2, 1], 2, "quantile", {"k": 2}),
        ("bessel", [1, 1], 3, "uniform", {"k": 3, "grid_eps": 1.0}),
    ],
)
def test_every_seed_has_the_errors_of_pykans_own_script(
    repeatable: None, target: str, width: list[int], k: int, spacing: str, options: dict[str, Any]
) -> None:
    steps, grids, seeds = 4, (3, 6), (0, 1)
    of_target = source(DataConfig(name=target))
    batch = chain.Batch(
        of_target,
        n_train=60,
        n_test=200,
        seeds=seeds,
        kind=config().kind,
        shapes=tuple(Shape(tuple(width), size, k, spacing) for size in grids),
        device="cpu",
        dtype="float64",
    )
    trained = list(chain.train(batch, Pykan(LBFGSConfig(steps=steps)), [None] * 2, lambda _: None))
    data = sample(of_target, 60, 200, seeds)
    for r in seeds:
        own = [results[r].test_rmse for results in trained]
        assert own == pytest.approx(by_script(data, r, width, grids, steps, **options), abs=1e-6)


def test_the_script_is_not_repeatable_only_for_its_least_squares(repeatable: None) -> None:
    """More coefficients than points, where the order of pivots is everything."""
    x = points(1, 40, 1)[0].sort(0).values
    knots = torch.linspace(-2.0, 2.0, 60)[None]
    basis = import_module("kan.spline").B_batch(x, knots, 3)
    fitted = pykan._coefficients(x, x[..., None].sin(), knots, 3)
    np.testing.assert_allclose(
        torch.einsum("nij,ioj->nio", basis, fitted), x[..., None].sin(), atol=1e-10
    )


def state() -> list[Any]:
    """What is everyone's and pykan uses."""
    names = [("kan.MultKAN", "tqdm"), ("kan.MultKAN", "curve2coef"), ("kan.KANLayer", "curve2coef")]
    numpys = import_module("numpy.random").get_state()
    return [
        torch.random.get_rng_state().tolist(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in numpys],
        random.getstate(),
        torch.get_default_dtype(),
        [getattr(sys.modules[module], name) for module, name in names],
    ]


def test_generators_dtype_output_and_folder_are_left_as_they_were(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    problem, _ = example(30, (0,)), torch.rand(1)
    before, solver = state(), Pykan(LBFGSConfig(steps=1))
    net = solver.start(SHAPE, problem)
    solver.solve(net, problem)
    assert state() == before

    def interrupt(now: Iteration) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solver.solve(net, problem, observe=interrupt)
    assert state() == before
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_seed_is_what_it_is_alone() -> None:
    problem, solver = example(30, (0, 4)), Pykan(LBFGSConfig(steps=1))
    both = solver.solve(solver.start(SHAPE, problem), problem).net
    alone = problem[torch.tensor([1])]
    one = solver.solve(solver.start(SHAPE, alone), alone).net
    assert torch.equal(both(problem.x)[1:], one(alone.x))
    assert not torch.equal(both(problem.x)[0], one(problem.x[:1])[0])


def test_every_step_is_reported_with_the_error_that_it_leaves() -> None:
    problem = example(30, (0,))
    for trace in (False, True):
        seen: list[Iteration] = []
        solver = Pykan(LBFGSConfig(steps=3, trace=trace))
        outcome = solver.solve(solver.start(SHAPE, problem), problem, observe=seen.append)
        assert [now.step for now in seen] == [1, 2, 3]
        last = (outcome.net(problem.x) - problem.y).square().mean().sqrt()
        assert float(seen[-1].rmse) == pytest.approx(float(last), rel=1e-12)
        assert bool(torch.isfinite(seen[-1].grad_norm).all()) is trace
    assert float(seen[-1].grad_norm) == pytest.approx(float(outcome.grad_norm))
    assert outcome.stop_reason == (StopReason.STEP_LIMIT,)


@pytest.mark.parametrize("shape", [SHAPE, PRODUCT, Shape((2, 3, 2), 2, 2, "quantile")])
def test_the_gradients_norm_is_the_largest_cosine_with_a_column_of_the_jacobian(
    shape: Shape,
) -> None:
    """Columns by differences of every stored number that is trained."""
    x, step = points(1, 15, 2), 1e-6
    outputs = torch.stack([x.sum(2), x.prod(2)], dim=2)[..., : shape.width[-1]]
    problem = Problem(x, outputs, (-1.0, 1.0), (0,))
    net = Pykan(LBFGSConfig()).start(shape, problem)
    arrays, columns = net.to_arrays(), []
    for name in arrays:
        if name.endswith((".coef", ".scale_base", ".scale_sp")):
            for index in np.ndindex(arrays[name].shape):
                moved = []
                for by in (step, -step):
                    changed = arrays[name].copy()
                    changed[index] += by
                    moved.append(PykanKAN.from_arrays({**arrays, name: changed})(x))
                columns.append(((moved[0] - moved[1]) / (2 * step)).flatten())
    jacobian = torch.stack(columns, dim=1)
    assert jacobian.shape[1] == net.n_params
    residual = (net(x) - outputs).flatten()
    norms = (jacobian.norm(dim=0) * residual.norm()).clamp(min=1e-30)
    cosines = (jacobian.mT @ residual).abs() / norms
    assert float(pykan.grad_norm(net, problem)) == pytest.approx(float(cosines.max()), rel=1e-6)


def test_what_a_model_holds_is_all_that_its_outputs_take() -> None:
    """Also beyond the grid, and after another scale of the outputs."""
    problem = example(40, (0,))
    net = (
        Pykan(LBFGSConfig(steps=2)).solve(Pykan(LBFGSConfig()).start(PRODUCT, problem), problem).net
    )
    net = net.with_outputs(torch.tensor([0.5]), torch.tensor([2.0]))
    x = 1.5 * points(1, 200, 2)
    with pykan._alone(torch.float64), torch.no_grad():
        model = pykan._model(net, problem.x[0], 0)
        expected: Tensor = model(x[0])
    np.testing.assert_allclose(net(x)[0], expected, rtol=0, atol=1e-14)
    trained = sum(p.numel() for name, p in model.named_parameters() if p.requires_grad)
    symbolic = sum(4 * n_in * n_out for n_in, n_out in pairwise(net.width))
    assert net.n_params == trained - symbolic
    again = PykanKAN.from_arrays(net.to_arrays())
    assert torch.equal(again(x), net(x))
    with pytest.raises(KeyError):
        PykanKAN.from_arrays({"spacing": np.array("quantile")})


def test_uniform_spacing_keeps_steps_equal_and_quantiles_do_not() -> None:
    problem, solver = example(50, (0,)), Pykan(LBFGSConfig(steps=1))
    for spacing, equal in (("uniform", True), ("quantile", False)):
        net = solver.solve(solver.start(replace(SHAPE, size=5, spacing=spacing), problem), problem)
        steps = net.net.layers[0].grid.diff(dim=2)
        assert torch.allclose(steps, steps[..., :1].expand_as(steps)) is equal


def test_a_chain_that_lost_its_end_comes_to_the_same(tmp_path: Path) -> None:
    small = config()
    run(tmp_path, small)
    before = read_results(tmp_path)
    for key in before.loc[before["grid_size"] == 5, "key"]:
        (tmp_path / "cells" / f"{key}.json").unlink(missing_ok=True)
        for cell in (tmp_path / "cells").glob(f"{key}*"):
            cell.unlink()
    assert run(tmp_path, small).done == 2
    after = read_results(tmp_path)
    errors = ["train_rmse", "test_rmse"]
    np.testing.assert_allclose(after[errors], before[errors], rtol=0, atol=1e-6)
    assert set(after["start_grid"]) == {3}
    assert set(after["spacing"]) == {"quantile"}
    assert set(after["model"]) == {"pykan"}
    row = after.iloc[0]
    known = floor.floor(TARGETS["exp_sin"], (1,), 3, int(row["grid_size"]), "quantile")
    assert row["floor_rmse"] == pytest.approx(known)
    assert row["n_params"] == 3 * (row["grid_size"] + 5)


def test_what_cannot_be_computed_is_a_row_with_a_status() -> None:
    class Huge:
        def __init__(self) -> None:
            self.source = source(DataConfig())

        def __getattr__(self, name: str) -> Any:
            return getattr(self.source, name)

        def train(self, n: int, seed: int) -> tuple[Any, Any]:
            x, y = self.source.train(n, seed)
            return x, 1e300 * y

    batch = chain.Batch(Huge(), 20, 20, (0,), config().kind, (SHAPE,), "cpu", "float64")  # type: ignore[arg-type]
    (((result,),)) = list(chain.train(batch, Pykan(LBFGSConfig(steps=1)), [None], lambda _: None))
    assert result.status in (Status.DIVERGED, Status.FAILED)
