"""Modules that a user's factory makes, and how they are called with other numbers in them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kansweep.data.functions import importing_from
from kansweep.kinds import Unusable
from kansweep.networks.global_draws import global_draws

State = Mapping[str, Tensor]  # parameters and buffers under the module's own names
_log = logging.getLogger(__name__)  # a worker has no other way to stderr


class Settings(Protocol):
    """What a configuration says of modules, beside their sizes."""

    @property
    def target(self) -> str | None: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    @property
    def sha256(self) -> str | None: ...


def summary(error: Exception) -> str:
    """An error in a line, which is how long the sentence may be that says it."""
    first = (str(error).strip() or "no reason given").splitlines()[0]
    return f"{type(error).__name__}: {first.rstrip('.')}"


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let tensors that a module makes without a dtype have that of its weights: in torch's usual
    one, half of the digits of a grid or a constant would be lost."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """With its real numbers in a dtype; complex ones stay what they are."""
    return module.double() if dtype == torch.float64 else module.float()


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """All its numbers, frozen and non-persistent ones too; each once, where it is shared."""
    every = (*module.named_parameters(), *module.named_buffers())
    return {name: tensor.detach() for name, tensor in every}


@dataclass(frozen=True)
class Factory:
    """``package.module:factory`` and what it is called with: ``factory(n_inputs, n_outputs, size,
    **parameters)`` gives a ``torch.nn.Module``."""

    target: str
    parameters: str  # as JSON, so that it can be stored and hashed
    n_inputs: int
    n_outputs: int
    sha256: str | None = field(default=None, compare=False)  # of what it was when it was planned

    @classmethod
    def of(cls, settings: Settings, width: tuple[int, ...]) -> Factory:
        """Raises Unusable where the settings name none."""
        if settings.target is None:
            raise Unusable("must name what makes the modules, as package.module:factory; got null")
        parameters = json.dumps(dict(settings.parameters), sort_keys=True)
        return cls(settings.target, parameters, width[0], width[-1], settings.sha256)

    def function(self) -> Callable[..., Any]:
        """What ``target`` names; raises Unusable where it names no factory."""
        module, _, name = self.target.partition(":")
        try:
            with importing_from(os.getcwd()), global_draws(0):
                function = getattr(import_module(module), name)
        except Exception as error:  # whatever a user's module raises
            raise Unusable(
                f"must be package.module:factory; {self.target} cannot be imported:"
                f" {summary(error)}"
            ) from error
        if not callable(function):
            raise Unusable(f"must be a function or a class of modules; {self.target} is neither")
        made: Callable[..., Any] = function
        return made

    def module(self, size: int, seed: int, dtype: torch.dtype) -> nn.Module:
        """A module on the CPU, in eval mode, whose initial values are drawn from ``seed``; raises
        Unusable where there is none."""
        function = self.function()
        try:
            with global_draws(seed), default_dtype(dtype):
                module = function(
                    self.n_inputs, self.n_outputs, size, **json.loads(self.parameters)
                )
                if isinstance(module, nn.Module):
                    return self._settled(module, dtype)
        except Exception as error:  # whatever a user's code raises
            raise Unusable(
                f"must make a module of {self.n_inputs} inputs, {self.n_outputs} outputs and size"
                f" {size}; {self.target} raised {summary(error)}"
            ) from error
        kind = type(module).__name__
        raise Unusable(f"must make a torch.nn.Module; {self.target} at size {size} made {kind}")

    def _settled(self, module: nn.Module, dtype: torch.dtype) -> nn.Module:
        module = cast(module.cpu(), dtype).eval()
        if any(nn.parameter.is_lazy(parameter) for parameter in module.parameters()):
            module(torch.zeros(1, self.n_inputs, dtype=dtype))  # which is when they get a shape
        return module

    def skeleton(self, size: int, like: Tensor) -> Skeleton:
        """What calls modules of one size with numbers like these. All that is no parameter and no
        buffer is that of seed 0, for every replica."""
        module = self.module(size, 0, like.dtype)
        trainable = tuple(name for name, p in module.named_parameters() if p.requires_grad)
        module = module.requires_grad_(False).to(like.device)
        return Skeleton(self, size, module, trainable, _aliases(module))


def _aliases(module: nn.Module) -> dict[str, str]:
    """Other names of parameters and buffers that several parts share, and those of ``state_of``; a
    part that stands in several places is one."""
    named: dict[int, str] = {}
    aliases = {}
    for prefix, part in module.named_modules():
        own = (
            *part.named_parameters(prefix, recurse=False, remove_duplicate=False),
            *part.named_buffers(prefix, recurse=False, remove_duplicate=False),
        )
        for name, tensor in own:
            if (first := named.setdefault(id(tensor), name)) != name:
                aliases[name] = first
    return aliases


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A module that is lent its numbers for every call."""

    factory: Factory
    size: int
    module: nn.Module
    trainable: tuple[str, ...]  # names of parameters; what is frozen is kept like a buffer
    aliases: Mapping[str, str]

    @property
    def state(self) -> State:
        """The numbers that it has itself."""
        return state_of(self.module)

    def one(self, state: State, x: Tensor) -> Tensor:
        """Outputs (n, M) at points (n, I)."""
        # A module may change its buffers in place; those that it is lent are another's.
        lent = {n: t if n in self.trainable else t.clone() for n, t in state.items()}
        lent |= {name: lent[first] for name, first in self.aliases.items()}
        with default_dtype(x.dtype):
            # Its own search for what is shared leaves in the module what a part was lent that
            # stands in two places.
            outputs: Tensor = torch.func.functional_call(self.module, lent, (x,), tie_weights=False)
        return outputs

    def __call__(self, state: State, x: Tensor) -> Tensor:
        """Of R replicas: outputs (R, n, M) at points (R, n, I)."""
        if len(x) > 1 and _is_batched(self.factory, self.size, x.dtype, os.getcwd()):
            return self.together(state, x)
        return self.in_turn(state, x)

    def together(self, state: State, x: Tensor) -> Tensor:
        outputs: Tensor = torch.func.vmap(self.one)(state, x)
        return outputs

    def in_turn(self, state: State, x: Tensor) -> Tensor:
        each = [{name: tensor[r] for name, tensor in state.items()} for r in range(len(x))]
        # A module may change its points in place, and a part of x is not a tensor of its own.
        return torch.stack([self.one(own, part.clone()) for own, part in zip(each, x, strict=True)])

    def stacked(self, modules: Sequence[nn.Module]) -> dict[str, Tensor]:
        """The states of several modules as one, replicas first, like the skeleton's own."""
        states = [state_of(module) for module in modules]
        return {
            name: torch.stack([state[name].to(own) for state in states])
            for name, own in self.state.items()
        }


@lru_cache(maxsize=1024)
def _is_batched(factory: Factory, size: int, dtype: torch.dtype, folder: str) -> bool:
    """Whether replicas can be computed at once: ``torch.func.vmap`` takes the module, and gives
    what it gives in turn."""
    skeleton = factory.skeleton(size, torch.empty((), dtype=dtype))
    state = skeleton.stacked([factory.module(size, seed, dtype) for seed in (1, 2)])
    x = torch.linspace(-0.9, 0.8, 6 * factory.n_inputs, dtype=dtype)
    x = x.reshape(2, 3, factory.n_inputs)
    try:
        at_once = skeleton.together(state, x)
    except Exception as error:  # whatever a module does that cannot be batched
        _tell(factory.target, summary(error).partition(". ")[0])  # which may go on at length
        return False
    tolerance = 1e3 * torch.finfo(dtype).eps
    in_turn = skeleton.in_turn(state, x)
    same = torch.allclose(at_once, in_turn, tolerance, tolerance, equal_nan=True)
    if not same:
        _tell(factory.target, "it would give other values")
    return same


@lru_cache(maxsize=1024)
def _tell(target: str, why: str) -> None:
    _log.warning(
        "kansweep: %s cannot be batched by torch.func.vmap; seeds are computed in turn: %s.",
        *(target, why),
    )
