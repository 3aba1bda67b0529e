"""Networks of a user's own: R replicas of a torch module, as a factory makes them.

The letters of shapes are those of ``kan``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from kansweep.kinds import Unusable
from kansweep.networks import autograd
from kansweep.networks.factories import Factory, Settings, Skeleton, cast, default_dtype
from kansweep.networks.global_draws import LARGEST, global_draws
from kansweep.networks.protocol import Linearisation

# What stored weights are called by others (``Checkpoint``, ``Store``, ``np.savez``).
_TAKEN = {"memory", "start_grid", "key", "file", "allow_pickle"}
_ENDS = ("shift", "scale", "mean", "spread")


@dataclass(frozen=True)
class Shape:
    """Modules of one factory and size."""

    factory: Factory
    size: int

    @property
    def width(self) -> tuple[int, ...]:
        return (self.factory.n_inputs, self.factory.n_outputs)

    def random(self, generators: Sequence[np.random.Generator], like: Tensor) -> ModuleNetwork:
        """The modules as their factory makes them, one replica a generator."""
        seeds = [int(generator.integers(LARGEST)) for generator in generators]
        skeleton = self.factory.skeleton(self.size, like)
        modules = [self.factory.module(self.size, seed, like.dtype) for seed in seeds]
        zeros = [like.new_zeros(len(seeds), width) for width in self.width]
        seed = torch.tensor(seeds, device=like.device)
        ends = (zeros[0], zeros[0] + 1, zeros[1], zeros[1] + 1)
        return ModuleNetwork(skeleton, skeleton.stacked(modules), seed, *ends)


@dataclass(frozen=True, eq=False)
class ModuleNetwork:
    """R replicas; the outputs are mean + spread * module((x - shift) / scale)."""

    skeleton: Skeleton
    state: Mapping[str, Tensor]  # (R, ...) each, parameters and buffers under the module's names
    seed: Tensor  # (R,), what its initial values were drawn from, and a refinement draws from
    shift: Tensor  # (R, I)
    scale: Tensor  # (R, I)
    mean: Tensor  # (R, M)
    spread: Tensor  # (R, M)

    @classmethod
    def shape_of(cls, settings: Settings, width: tuple[int, ...], size: int) -> Shape:
        return Shape(Factory.of(settings, width), size)

    @property
    def shape(self) -> Shape:
        return Shape(self.skeleton.factory, self.skeleton.size)

    @property
    def width(self) -> tuple[int, ...]:
        return self.shape.width

    @property
    def n_replicas(self) -> int:
        return len(self.shift)

    @property
    def n_params(self) -> int:
        """Trainable numbers of one replica, those of the module."""
        return sum(part[0].numel() for part in self._parts())

    def __call__(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        x = (x - self.shift[:, None]) / self.scale[:, None]
        return self.mean[:, None] + self.spread[:, None] * self.skeleton(self.state, x)

    def of_inputs(self, shift: Tensor | float, scale: Tensor | float) -> ModuleNetwork:
        return replace(self, shift=shift + scale * self.shift, scale=scale * self.scale)

    def with_outputs(self, mean: Tensor, spread: Tensor) -> ModuleNetwork:
        return replace(self, mean=mean + spread * self.mean, spread=spread * self.spread)

    def theta(self) -> Tensor:
        """All trainable numbers, (R, P), in the order of the module's own parameters."""
        return torch.cat([part.flatten(1) for part in self._parts()], dim=1)

    def with_theta(self, theta: Tensor) -> ModuleNetwork:
        own = self._parts()
        parts = theta.split([part[0].numel() for part in own], dim=1)
        named = zip(self.skeleton.trainable, parts, own, strict=True)
        changed = {name: part.reshape(-1, *like.shape[1:]) for name, part, like in named}
        return replace(self, state={**self.state, **changed})

    def linearised(self, x: Tensor) -> Linearisation:
        return autograd.linearised(self, x)

    def regularity(self, x: Tensor) -> None:
        """None is defined."""

    def refined(self, size: int) -> ModuleNetwork:
        """What the modules' own ``refined(size)`` makes of them."""
        skeleton = self.skeleton.factory.skeleton(size, self.shift)
        state = skeleton.stacked(self.refined_modules(size))
        return replace(self, skeleton=skeleton, state=state)

    def refined_modules(self, size: int) -> list[nn.Module]:
        modules = []
        for module, seed in zip(self.modules(), self.seed.tolist(), strict=True):
            draws = global_draws((seed + size) % LARGEST)
            with torch.no_grad(), draws, default_dtype(self.shift.dtype):
                larger: nn.Module = module.refined(size)  # type: ignore[operator]
                modules.append(cast(larger, self.shift.dtype).to(self.shift.device).eval())
        return modules

    def modules(self) -> list[nn.Module]:
        """A module with the numbers of each replica, without the maps at its ends."""
        made = []
        for state in self.states():
            module = copy.deepcopy(self.skeleton.module)
            every = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            for name, tensor in every.items():
                tensor.data = state[name].clone()
                tensor.requires_grad_(name in self.skeleton.trainable)
            made.append(module)
        return made

    def __getitem__(self, replicas: Tensor | slice) -> ModuleNetwork:
        state = {name: tensor[replicas] for name, tensor in self.state.items()}
        seed, *ends = (getattr(self, name)[replicas] for name in ("seed", *_ENDS))
        return ModuleNetwork(self.skeleton, state, seed, *ends)

    @classmethod
    def concatenated(cls, nets: Sequence[ModuleNetwork]) -> ModuleNetwork:
        skeleton = nets[0].skeleton
        state = {name: torch.cat([net.state[name] for net in nets]) for name in skeleton.state}
        seed, *ends = (torch.cat([getattr(n, name) for n in nets]) for name in ("seed", *_ENDS))
        return cls(skeleton, state, seed, *ends)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Every parameter and buffer under its own name, replicas first; what is not the module's
        has a name that begins with a dot, as no module's has."""
        ends = {f".{name}": getattr(self, name) for name in ("seed", *_ENDS)}
        named = {_stored(name): tensor for name, tensor in self.state.items()}
        arrays = {name: tensor.cpu().numpy() for name, tensor in {**named, **ends}.items()}
        factory = self.skeleton.factory
        return arrays | {
            ".target": np.array(factory.target),
            ".parameters": np.array(factory.parameters),
            ".sha256": np.array(factory.sha256 or ""),
            ".size": np.array(self.skeleton.size),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> ModuleNetwork:
        """Raises KeyError where an array is missing, and ``kinds.Unusable`` where the factory makes
        no such module any more."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.array(arrays[name])).to(device)

        seed, *ends = (tensor(f".{name}") for name in ("seed", *_ENDS))
        widths = ends[0].shape[1], ends[2].shape[1]
        target, parameters, sha256 = (
            str(arrays[f".{name}"]) for name in ("target", "parameters", "sha256")
        )
        factory = Factory(target, parameters, *widths, sha256 or None)
        skeleton = factory.skeleton(int(arrays[".size"]), ends[0])
        state = {name: tensor(_stored(name)) for name in skeleton.state}
        for name, made in skeleton.state.items():
            if state[name].shape[1:] != made.shape:
                raise Unusable(
                    f"must make modules whose `{name}` is of {tuple(state[name].shape[1:])}, as"
                    f" stored; {target} makes it of {tuple(made.shape)}"
                )
        return cls(skeleton, state, seed, *ends)

    def states(self) -> list[dict[str, Tensor]]:
        """The numbers of each replica by itself."""
        return [{name: t[r] for name, t in self.state.items()} for r in range(self.n_replicas)]

    def _parts(self) -> list[Tensor]:
        return [self.state[name] for name in self.skeleton.trainable]


def _stored(name: str) -> str:
    return f".{name}" if name in _TAKEN else name
