"""A user's factory tried before anything is planned: refused in a sentence, or known by a hash."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kansweep.kinds import Unusable
from kansweep.networks import factories
from kansweep.networks.factories import Factory, State, state_of, summary
from kansweep.networks.module import ModuleNetwork, Shape

PROBES = 100  # points on [-1, 1] at which modules are tried, and by whose values they are known
PROBED = 4  # the size at which they are: one for all sweeps, whose sizes may become more
DIGITS = {torch.float64: 9, torch.float32: 4}  # of those values: the last differ between machines
# An input's change by so little changes float64's outputs, unless they were computed in float32.
UNSEEN_IN_FLOAT32, SEEN = 1e-10, 1e-2


class Settings(factories.Settings, Protocol):
    """A configuration's section ``model``."""

    @property
    def sizes(self) -> tuple[int, ...]: ...

    @property
    def extended(self) -> bool | None: ...


def inspected(settings: Settings, width: tuple[int, ...], dtype: str) -> dict[str, Any]:
    """What the section ``model`` says of modules when they have been tried at all its sizes:
    ``sha256``, and whether they are ``extended``. Raises Unusable."""
    factory = Factory.of(settings, width)
    facts = _tried(factory, settings.sizes, settings.extended, dtype, os.getcwd())
    return dict(zip(("sha256", "extended"), facts, strict=True))


@lru_cache(maxsize=64)
def _tried(
    factory: Factory, sizes: tuple[int, ...], extended: bool | None, dtype: str, folder: str
) -> tuple[str, bool]:
    like = torch.empty((), dtype=getattr(torch, dtype))
    for size in sizes:
        _check(factory, size, like)
    able = all(
        callable(getattr(factory.skeleton(size, like).module, "refined", None)) for size in sizes
    )
    if extended and not able:
        raise Unusable(f"must make modules with a method refined(size); {factory.target} does not")
    if able and extended is not False:
        for size, larger in pairwise(sizes):
            _check_refined(factory, size, larger, like)
    return fingerprint(factory, like), able and extended is not False


def _check(factory: Factory, size: int, like: Tensor) -> None:
    """Refuse modules of one size that cannot be trained."""
    made = f"{factory.target} at size {size}"
    skeleton = factory.skeleton(size, like)
    trainable = [skeleton.state[name] for name in skeleton.trainable]
    if sum(parameter.numel() for parameter in trainable) == 0:
        raise Unusable(f"must make modules with parameters to train; {made} has none")
    if odd := {str(p.dtype) for p in trainable if p.dtype != like.dtype}:
        raise Unusable(f"must make modules of real parameters; {made} has some of {min(odd)}")
    net, again = (Shape(factory, size).random([np.random.default_rng(0)], like) for _ in "ab")
    x = _points(factory, like)
    outputs = _outputs(net, x, made)
    if not (_same(outputs, _outputs(net, x, made)) and _same(net.theta(), again.theta())):
        raise Unusable(
            "must make modules that give the same outputs each time, drawn from torch's generator"
            f" if from any; {made} does not"
        )
    if not _near(outputs[:, :1], _outputs(net, x[:, :1], made)):
        raise Unusable(
            f"must make modules that map each point by itself; those of {made} ask what else is in"
            " the batch"
        )
    at_net = net.linearised(x)
    if not at_net.pull(torch.ones_like(outputs)).count_nonzero():
        raise Unusable(
            f"must make modules whose outputs follow from their parameters; those of {made} have"
            " no derivatives"
        )
    if like.dtype == torch.float64 and not _is_exact(net, x, outputs):
        raise Unusable(f"must make modules that compute in float64; {made} rounds to float32")


def _outputs(net: ModuleNetwork, x: Tensor, made: str) -> Tensor:
    """(1, n, M) at points (1, n, I), of the right shape and dtype."""
    expected = (x.shape[1], net.width[-1])
    must = f"must make modules that map points {tuple(x.shape[1:])} to {expected} in {x.dtype}"
    must = must.replace("torch.", "")
    try:
        (own,) = net.states()
        outputs: object = net.skeleton.one(own, x[0].clone())
    except Exception as error:  # whatever a user's code raises
        raise Unusable(f"{must}; {made} raised {summary(error)}") from error
    if not isinstance(outputs, Tensor):
        raise Unusable(f"{must}; {made} gave {type(outputs).__name__}")
    if tuple(outputs.shape) != expected or outputs.dtype != x.dtype:
        dtype = str(outputs.dtype).removeprefix("torch.")
        raise Unusable(f"{must}; {made} gave {tuple(outputs.shape)} in {dtype}")
    return outputs[None]


def _is_exact(net: ModuleNetwork, x: Tensor, outputs: Tensor) -> bool:
    """Whether a change that float32 mostly rounds away is seen where a larger one is."""
    near, far = (
        (net.skeleton.in_turn(net.state, x + step) != outputs).any(2)
        for step in (UNSEEN_IN_FLOAT32, SEEN)
    )
    return int((near & far).sum()) >= int(far.sum()) / 2


def _check_refined(factory: Factory, size: int, larger: int, like: Tensor) -> None:
    """Refuse ``refined`` where what it makes is no module that the factory makes of that size: one
    is loaded into the other when a sweep is resumed."""
    net = Shape(factory, size).random([np.random.default_rng(0)], like)
    must = f"must make modules whose refined({larger}) gives one such as the factory's of that size"
    made = f"{factory.target} at size {size}"
    skeleton = factory.skeleton(larger, like)
    try:
        (module,) = net.refined_modules(larger)
        state = state_of(module)
    except Exception as error:  # whatever a user's code raises
        raise Unusable(f"{must}; {made} raised {summary(error)}") from error
    expected = _shapes(skeleton.state)
    given = _shapes(state)
    for name in sorted({**expected, **given}):
        if expected.get(name) != given.get(name):
            raise Unusable(
                f"{must}; {made} gives `{name}` {_shape(given.get(name))} and not"
                f" {_shape(expected.get(name))}"
            )
    x = _points(factory, like)
    own, lent = module(x[0].clone()).detach(), skeleton.one(state, x[0].clone())
    if not _near(own, lent):
        raise Unusable(
            f"{must}; {made} gives one that is more than its parameters and buffers, which are all"
            " that is stored"
        )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of {shape}"


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True)


def _same(one: Tensor, other: Tensor) -> bool:
    alike = one.shape == other.shape
    return alike and torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def _points(factory: Factory, like: Tensor) -> Tensor:
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (1, PROBES, factory.n_inputs))
    return torch.from_numpy(points).to(like)


# --------------------------------------------------------------------------------- identity


def fingerprint(factory: Factory, like: Tensor) -> str:
    """What tells modules from others that a factory of the same name makes.

    The source of the factory and of the classes of its modules says what they do at every size, in
    ``refined`` and where they are initialised, and leaves alone what else is in their files. Values
    say what the source does not, such as a function that it calls or another version of a package:
    the names and shapes of all numbers and the outputs, at one size and seed. Where there is no
    such size, the whole file of the factory stands for them.
    """
    function = factory.function()
    try:
        net = Shape(factory, PROBED).random([np.random.default_rng(0)], like)
        outputs = net.skeleton.in_turn(net.state, _points(factory, like)).flatten().tolist()
    except Exception:  # a size that nobody asked for need not exist
        parts = [_source(inspect.getmodule(function))]
    else:
        parts = [_source(part) for part in (function, *_classes(net.skeleton.module))]
        parts += [repr(_shapes(net.skeleton.state))]
        parts += [f"{value:.{DIGITS[like.dtype]}e}" for value in outputs]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _classes(module: nn.Module) -> Iterator[type]:
    """Those that a module and its parts are of, but torch's own, each once."""
    every = dict.fromkeys(of for part in module.modules() for of in type(part).__mro__)
    return (of for of in every if of.__module__.partition(".")[0] not in ("torch", "builtins"))


def _source(of: Any) -> str:
    """The text that defines a function, a class or a module; the name of what has none."""
    try:
        return inspect.getsource(of)
    except (OSError, TypeError):  # compiled, or written nowhere
        return str(getattr(of, "__qualname__", of))
