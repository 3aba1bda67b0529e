"""``KANRegressor``: a KAN that is fitted to arrays, by scikit-learn's conventions.

model = kansweep.KANRegressor(hidden=[2]).fit(X, y)
mean, deviation = model.predict(X, return_std=True)
low, high = model.predict_interval(X)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike

from kansweep.config import rules
from kansweep.config.rules import ConfigError, Rule, plain
from kansweep.engines import cores
from kansweep.estimator import checking, shapes, stored, training
from kansweep.estimator.base import BaseEstimator, NotFittedError, RegressorMixin
from kansweep.estimator.beyond import Beyond
from kansweep.estimator.checking import Array
from kansweep.estimator.known import Known
from kansweep.estimator.observations import Observations
from kansweep.estimator.refits import Refits
from kansweep.networks.compiling import in_threads
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.posterior import posterior
from kansweep.sweep.worker import one_thread
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.weights import from_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HIDDEN = rules.optional(rules.COUNTS_OR_AUTO)
_GRIDS = Rule(
    f"a positive integer, or {rules.ASCENDING.must}",
    lambda value: rules.COUNT.holds(value) or rules.ASCENDING.holds(value),
)
_LEVEL = Rule("a number between 0 and 1", lambda value: type(value) is float and 0 < value < 1)
_JOBS = Rule(
    "a positive integer, -1 or None",
    lambda value: value in (None, -1) or rules.COUNT.holds(value),
)
AT_ONCE = 10_000  # points that a thread computes
_OF = rules.one_of("observation", "function")


class KANRegressor(RegressorMixin, BaseEstimator):
    """A Kolmogorov-Arnold network of B-splines, trained by second-order steps.

    How smooth it is follows from the data alone, by restricted maximum likelihood (REML); no part
    of them is kept back for that. Where they give no reason for hidden nodes it is an additive
    model, and where they give none for curves a linear regression. Beyond the inputs that it was
    fitted to every edge goes on as a straight line: with noise by the slope that is usual among
    the outermost tenth of the samples, as single ones far out tell none; without by that of its
    end, as ``network_`` does.

    Parameters
    ----------
    hidden : list of int or "auto", default None
        Nodes of each hidden layer; an empty list is an additive model. None: one hidden layer with
        a node for each output. "auto": those found by trying, on samples held out, as
        ``model.hidden=auto`` of a sweep finds them; of fewer than 20 different ones an additive
        model.
    k : int, default 3
        Order of the splines, from 1 to 10; 3 is cubic.
    grid_size : int or list of int, default (5, 10, 20)
        Intervals of every spline; of several each extends the one before. With "auto" and at most
        1000 samples they end where finer ones are no better on those held out.
    random_state : int, generator or None
        What cold starts draw from; None: something else each time.
    n_jobs : int or None
        Threads that passes over many points are shared out among, with numbers that differ by
        rounding; None: one, -1: as many as there are cores.
    warm_start : bool, default False
        Whether ``fit`` goes on from the network there is, of the same shape and on its grids or
        finer ones.

    Attributes
    ----------
    n_features_in_, n_outputs_ : int
    feature_names_in_ : array of str, where a table with such columns was given
    hidden_ : tuple of int, the hidden widths that were asked for or found
    network_ : TrainedKAN, the function with its edges and derivatives, in the data's units
    noise_ : array (n_outputs_,), the estimated standard deviation of the noise, NaN where there are
        no more observations than parameters to tell it by
    edf_ : float, effective degrees of freedom, of all outputs together
    n_samples_ : float, the observations that count, the sum of weights
    stop_reason_ : str, how training ended, ``converged`` as a rule
    """

    def __init__(
        self,
        hidden: Sequence[int] | str | None = None,
        *,
        k: int = 3,
        grid_size: int | Sequence[int] = (5, 10, 20),
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
    ) -> None:
        self.hidden = hidden
        self.k = k
        self.grid_size = grid_size
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on inputs (n, I) and outputs (n,) or (n, M).

        A weight (n,) says how often a row counts: 3 is the same as three equal rows, 0 as none.
        Weights that are precisions are to be scaled to a mean of 1.

        Raises ValueError that names what cannot be used.
        """
        grids = self._checked()
        x = checking.inputs(X)
        target = checking.outputs(y, len(x))
        weight = checking.weights(sample_weight, len(x))
        if np.count_nonzero(np.ones(len(x)) if weight is None else weight) < 2:
            raise ValueError(f"`X` must have 2 samples that count; got n_samples = {len(x)}.")
        self.n_features_in_ = x.shape[1]
        self._flat = target.ndim == 1
        names = checking.feature_names(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        seed = _seed(self.random_state)
        data = Observations.of(x, target.reshape(len(x), -1), weight, seed)
        with in_threads(self._threads()), one_thread():
            self._train(data, grids, seed)
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Outputs (n,) or (n, M) at inputs (n, I), and where they are asked for the standard
        deviations of new observations there: of what is not known of the function, and noise."""
        if not rules.FLAG.holds(plain(return_std)):
            raise rules.FLAG.refusal("return_std", return_std)
        x = self._inputs(X)
        mean = self._shaped(self._values(x))
        if not return_std:
            return mean
        return mean, self._shaped(np.hypot(self._deviations(x), self._certain().noise))

    def predict_interval(
        self, X: ArrayLike, level: float = 0.95, of: str = "observation"
    ) -> tuple[Array, Array]:
        """Lower and upper ends, (n,) or (n, M) each, of intervals that hold a new ``observation``
        at inputs (n, I) with this probability, or the ``function`` itself, on average over the
        inputs (``kansweep.solvers.gauss_newton.posterior``)."""
        for name, rule, value in (("level", _LEVEL, level), ("of", _OF, of)):
            if not rule.holds(plain(value)):
                raise rule.refusal(name, value)
        x = self._inputs(X)
        mean, deviation = self._values(x), self._deviations(x)
        low, high = self._certain().interval(mean, deviation, level, new=of == "observation")
        return self._shaped(low), self._shaped(high)

    @classmethod
    def from_cell(
        cls,
        path: str | Path,
        *,
        n_train: int | None = None,
        seed: int | None = None,
        size: int | None = None,
        **parameters: Any,
    ) -> Self:
        """The KAN of a sweep's cell, chosen as by ``load_model``, or of a file of weights: it
        predicts, and ``fit`` goes on from it. Its intervals are known where ``solver=lm`` trained
        it on points that are still to be had.

        ``parameters`` are this class's own. Raises ValueError where it is no KAN of B-splines.
        """
        network, known = stored.cell(Path(path), n_train=n_train, seed=seed, size=size)
        if not isinstance(network.arrays, Mapping) or "continuation" not in network.arrays:
            raise ValueError(f"`path` must lead to a KAN of B-splines; got {network!r}.")
        net = KAN.from_arrays(network.arrays)
        given = {"hidden": list(net.width[1:-1]), "k": net.k, "grid_size": net.grid_size}
        model = cls(**{**given, "warm_start": True, **parameters})
        model.n_features_in_, model.n_outputs_ = net.width[0], net.width[-1]
        model.hidden_ = net.width[1:-1]
        model.network_, model._net, model._flat = cast(TrainedKAN, network), net, net.width[-1] == 1
        model._known, model._beyond = known, None  # it goes on as the cell does
        if isinstance(known, Known):
            model.noise_, model.edf_ = known.noise, known.posterior.edf
            model.n_samples_ = known.total
        return model

    def plot_edges(self) -> Figure:
        """Every function that was learned, on an axis of its own."""
        from kansweep.figures import edges

        self._check_fitted()
        return edges.draw(self.network_, None)

    # ------------------------------------------------------------------------------ its parts

    def _checked(self) -> tuple[int, ...]:
        """The grids, where all parameters are what they may be."""
        given = {"hidden": _HIDDEN, "k": rules.ORDER, "grid_size": _GRIDS}
        given["warm_start"] = rules.FLAG
        values = {name: plain(getattr(self, name)) for name in given}
        for name, rule in given.items():
            if not rule.holds(values[name]):
                raise rule.refusal(name, values[name])
        grids = values["grid_size"]
        return (grids,) if isinstance(grids, int) else grids

    def _threads(self) -> int:
        jobs = plain(self.n_jobs)
        if not _JOBS.holds(jobs):
            raise _JOBS.refusal("n_jobs", jobs)
        return cores() if jobs == -1 else jobs or 1

    def _train(self, data: Observations, grids: Sequence[int], seed: int) -> None:
        offset, scale = data.units
        n_outputs = data.y.shape[1]
        problem = training.problem_of(data, (data.y - offset) / scale, seed)
        hidden, grids = self._asked(problem, grids, seed)
        width = (data.x.shape[1], *hidden, n_outputs)
        shape, begun = Shape(width, int(self.k), grids[0], base=False), None
        if self.warm_start and hasattr(self, "_net"):
            units = -offset / scale, 1 / scale
            begun = self._continued(shape).with_outputs(*map(torch.from_numpy, units))
        outcome = training.trained(shape, grids, problem, begun)
        net = outcome.net.with_outputs(torch.from_numpy(offset), torch.from_numpy(scale))
        errors = training.values(net, data.x) - data.y
        if not np.isfinite(errors).all():
            raise FloatingPointError("Training ended in numbers that are not finite.")
        known = Known.of(
            posterior(outcome.net, problem, outcome.memory),
            errors,
            data.counts,
            Refits.of(shape, grids, problem, outcome, torch.from_numpy(scale)),
        )
        self._known: Known | str = known
        self.noise_ = known.noise
        self.hidden_, self.n_outputs_ = hidden, n_outputs
        self.edf_, self.n_samples_ = known.posterior.edf, known.total
        self.stop_reason_ = str(outcome.stop_reason[0])
        self.network_, self._net = cast(TrainedKAN, from_arrays(net.to_arrays())), net
        self._beyond: Beyond | None = Beyond.of(net, training.problem_of(data, data.y, seed))

    def _asked(
        self, problem: Problem, grids: Sequence[int], seed: int
    ) -> tuple[tuple[int, ...], Sequence[int]]:
        """Hidden widths and grids; where a warm start leaves them to be found, those that there
        are."""
        hidden: Any = plain(self.hidden)
        if hidden is None:
            return (problem.y.shape[2],), grids
        if hidden != rules.AUTO:
            return tuple(hidden), grids
        if self.warm_start and hasattr(self, "_net"):
            return self._net.width[1:-1], grids if len(grids) == 1 else (self._net.grid_size,)
        return shapes.found(problem, int(self.k), grids, seed)

    def _continued(self, asked: Shape) -> KAN:
        """The network so far, refused where it is of another shape."""
        there = (self._net.width, self._net.k)
        if there != (asked.width, asked.k):
            raise ValueError(
                f"`warm_start` goes on with a KAN {'-'.join(map(str, there[0]))} of order"
                f" {there[1]}; the parameters and data ask for {'-'.join(map(str, asked.width))} of"
                f" order {asked.k}."
            )
        return self._net

    def _inputs(self, given: Any) -> Array:
        self._check_fitted()
        x = checking.inputs(given)
        checking.same_features(self, given, x)
        return x

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call `fit` first."
            )

    def _values(self, x: Array) -> Array:
        goes_on = self._beyond or self._net
        return self._shared(lambda part: training.values(goes_on, part), x)

    def _deviations(self, x: Array) -> Array:
        """Of the function, (n, M)."""
        known = self._certain()
        return known.factor * self._shared(known.deviations, x)

    def _certain(self) -> Known:
        if isinstance(self._known, str):
            raise NotFittedError(f"No intervals: {self._known}; `fit` gives some.")
        return self._known

    def _shared(self, compute: Callable[[Array], Array], x: Array) -> Array:
        """What is computed of inputs (n, I), (n, M), shared out among threads."""
        parts = [x[first : first + AT_ONCE] for first in range(0, len(x), AT_ONCE)]
        threads = min(self._threads(), len(parts))
        if threads == 1:
            return np.concatenate([compute(part) for part in parts])
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(compute, parts)))

    def _shaped(self, values: Array) -> Array:
        """(n, M) as the outputs came."""
        return values[:, 0] if self._flat else values

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, which alone asks, is told."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.multi_output = True
        return tags


def _seed(random_state: Any) -> int:
    """A seed out of what scikit-learn takes for one."""
    if random_state is None:
        return int(np.random.default_rng().integers(rules.MOST))
    if hasattr(random_state, "integers"):
        return int(random_state.integers(rules.MOST))
    if hasattr(random_state, "randint"):
        return int(random_state.randint(rules.MOST))
    if not rules.COUNT_OR_ZERO.holds(plain(random_state)):
        raise ConfigError(
            f"`random_state` must be an integer, 0 or more, a generator of NumPy, or None;"
            f" got {random_state!r}."
        )
    return int(random_state)
