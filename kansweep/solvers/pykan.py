"""pykan's models, built, extended and trained by pykan itself, as its Example 8 does.

``KAN(...)``, for every further grid a new one with ``initialize_from_another_model``, and ``fit``
by L-BFGS: steps of at most 20 iterations, every third of the first 30 begun by moving all grids to
the samples. Mean squared error, no penalty. Where ``fit`` asks for test points it is given the
training points: what is tested is not shown to it.

pykan seeds and draws from everyone's generators, creates tensors of the default dtype, draws a bar
and prints. All of that is put back, and one model is trained at a time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from importlib import import_module
from typing import Any

import torch
from kan import KAN
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.networks.pykan import Layer, PykanKAN, Shape
from kansweep.solvers.contract import Iteration, Observe, Outcome, Problem, relative_gradient
from kansweep.solvers.reasons import StopReason

GRID_UPDATES_END = 30  # of Example 8, `stop_grid_update_step`
GRID_EPS = {"quantile": 0.02, "uniform": 1.0}  # pykan's default; and equal steps

_lock = threading.Lock()  # around what pykan shares with everyone


@dataclass(frozen=True)
class Pykan:
    """Settings: ``solver.steps`` a grid."""

    settings: LBFGSConfig = field(default_factory=LBFGSConfig)
    model: ModelConfig | None = None

    def start(self, shape: Shape, problem: Problem) -> PykanKAN:
        """pykan's own start of each seed."""
        with _alone(problem.x.dtype):
            models = [_new(shape, shape.size, seed) for seed in problem.seeds]
            return PykanKAN.concatenated([_read(model, shape) for model in models])

    def solve(
        self,
        net: PykanKAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[PykanKAN]:
        """Extend where ``net`` is to have another grid than it has, then train; replicas one after
        the other."""
        index = torch.arange(net.n_replicas).split(1)
        nets = [self._solve_one(net[r], problem[r], r, observe) for r in index]
        trained = PykanKAN.concatenated(nets)
        finite = torch.isfinite(trained(problem.x)).all(2).all(1).tolist()
        return Outcome(
            trained,
            (self.settings.steps,) * len(nets),
            tuple(StopReason.STEP_LIMIT if sound else StopReason.NON_FINITE for sound in finite),
            grad_norm(trained, problem),
            problem.x.new_zeros(len(nets), 0),
        )

    def _solve_one(
        self, net: PykanKAN, problem: Problem, replica: Tensor, observe: Observe | None
    ) -> PykanKAN:
        x, y, steps = problem.x[0], problem.y[0], self.settings.steps

        def after_step() -> Tensor:
            if observe is not None:
                observe(self._iteration(next(count), replica, _read(model, net.shape), problem))
            return y.new_zeros(())

        count = iter(range(1, steps + 1))
        with _alone(x.dtype):
            model = _model(net, x, problem.seeds[0])
            data = {"train_input": x, "train_label": y, "test_input": x, "test_label": y}
            model.fit(
                data,
                opt="LBFGS",
                steps=steps,
                stop_grid_update_step=GRID_UPDATES_END,
                metrics=[after_step],
            )
            return _read(model, net.shape)

    def _iteration(self, step: int, replica: Tensor, net: PykanKAN, problem: Problem) -> Iteration:
        rmse = (net(problem.x) - problem.y).square().mean((1, 2)).sqrt()
        known = self.settings.trace  # it takes as long as a few iterations
        norm = grad_norm(net, problem) if known else torch.full_like(rmse, torch.nan)
        return Iteration(step, replica, lambda: net, rmse, norm, torch.isfinite(rmse))


def grad_norm(net: PykanKAN, problem: Problem) -> Tensor:
    """``relative_gradient`` of the mean squared error, (R,)."""
    at_net = net.linearised(problem.x)
    residual = at_net.outputs - problem.y  # (R, n, M)
    objective = residual.square().sum((1, 2))
    return relative_gradient(at_net.pull(residual), at_net.squared_norms(), objective)


def _new(shape: Shape, size: int, seed: int) -> Any:
    """A model as pykan begins it; its generators are seeded from now on."""
    eps = GRID_EPS[shape.spacing]
    return KAN(list(shape.width), size, shape.k, grid_eps=eps, seed=seed, auto_save=False)


def as_model(net: PykanKAN) -> Any:
    """The ``kan.KAN`` of one replica."""
    with _alone(net.node_scale.dtype):
        return _filled(net, 0)


def _model(net: PykanKAN, x: Tensor, seed: int) -> Any:
    """The model of one replica, extended by what it does at points (n, I) where it is to be."""
    model = _filled(net, seed)
    if net.size == net.grid_size:
        return model
    return _new(net.shape, net.size, seed).initialize_from_another_model(model, x)


def _filled(net: PykanKAN, seed: int) -> Any:
    model = _new(net.shape, net.grid_size, seed)
    for theirs, ours in zip(model.act_fun, net.layers, strict=True):
        for each in fields(ours):
            getattr(theirs, each.name).data = getattr(ours, each.name)[0].clone()
    model.node_scale[-1].data, model.node_bias[-1].data = net.node_scale[0], net.node_bias[0]
    return model


def _read(model: Any, shape: Shape) -> PykanKAN:
    """The numbers of a model, as one replica."""

    def copied(parameter: Tensor) -> Tensor:
        return parameter.detach().clone()[None]

    layers = tuple(
        Layer(*(copied(getattr(theirs, each.name)) for each in fields(Layer)))
        for theirs in model.act_fun
    )
    ends = copied(model.node_scale[-1]), copied(model.node_bias[-1])
    return PykanKAN(layers, *ends, layers[0].grid_size, shape.spacing)


def _coefficients(x: Tensor, y: Tensor, grid: Tensor, k: int) -> Tensor:
    """pykan's ``curve2coef`` by singular values: (n, I), (n, I, O), (I, m) -> (I, O, K).

    torch's default on a CPU, gelsy, leaves the order of its pivots to what its memory held: the
    same script gives other numbers each time, and nonsense where there are fewer points than
    coefficients. In exact arithmetic the solution is the same.
    """
    basis = import_module("kan.spline").B_batch(x, grid, k)  # (n, I, K)
    rows = basis.permute(1, 0, 2)[:, None].expand(-1, y.shape[2], -1, -1)
    values = y.permute(1, 2, 0)[..., None]
    solution: Tensor = torch.linalg.lstsq(rows, values, driver="gelsd").solution
    return solution[..., 0]


@contextmanager
def _alone(dtype: torch.dtype) -> Iterator[None]:
    """Let pykan have what it takes for its own, and put it back."""
    numpys = import_module("numpy.random")  # its old generator is pykan's
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    default, numbers, draws = torch.get_default_dtype(), numpys.get_state(), random.getstate()
    with _lock, torch.random.fork_rng(devices), _replaced():
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            numpys.set_state(numbers)
            random.setstate(draws)


@contextmanager
def _replaced() -> Iterator[None]:
    """The bar silent, and least squares that give the same twice."""
    layers, models = import_module("kan.KANLayer"), import_module("kan.MultKAN")
    quiet: Callable[..., Any] = partial(models.tqdm, disable=True)
    own = (
        (models, "tqdm", quiet),
        *((each, "curve2coef", _coefficients) for each in (layers, models)),
    )
    before = [(module, name, getattr(module, name)) for module, name, _ in own]
    try:
        for module, name, value in own:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
