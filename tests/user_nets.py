"""Factories of torch modules as users write them: what modules may be, and what they may not."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn


def tanh_net(n_inputs, n_outputs, size, layers=1):
    parts = [nn.Linear(n_inputs, size), nn.Tanh()]
    for _ in range(layers - 1):
        parts += [nn.Linear(size, size), nn.Tanh()]
    return nn.Sequential(*parts, nn.Linear(size, n_outputs))


def lazy(n_inputs, n_outputs, size):
    return nn.Sequential(nn.LazyLinear(size), nn.SiLU(), nn.LazyLinear(n_outputs))


def normalised(n_inputs, n_outputs, size):
    """With running statistics, one of them an integer, and dropout; both for training alone."""
    return nn.Sequential(
        nn.Linear(n_inputs, size),
        nn.BatchNorm1d(size),
        nn.Dropout(0.5),
        nn.Tanh(),
        nn.Linear(size, n_outputs),
    )


class Hats(nn.Module):
    """A sum of piecewise linear functions of each input, on a grid of ``size`` intervals."""

    def __init__(self, n_inputs, n_outputs, size):
        super().__init__()
        self.register_buffer("grid", torch.linspace(-1, 1, size + 1))
        self.key = nn.Parameter(0.1 * torch.randn(n_outputs, n_inputs, size + 1))

    def hats(self, x):
        step = self.grid[1] - self.grid[0]
        return torch.relu(1 - (x[..., None] - self.grid).abs() / step)

    def forward(self, x):
        return torch.einsum("nij,oij->no", self.hats(x), self.key)

    def refined(self, size):
        """The same function where the new grid has all points of the old one."""
        finer = type(self)(self.key.shape[1], self.key.shape[0], size)
        finer.key = nn.Parameter(self.key @ self.hats(finer.grid).T)
        return finer


class Odd(nn.Module):
    """Shared and frozen parameters, a bare one, a constant that it makes, a counter that it counts
    up, and an input that it changes."""

    def __init__(self, n_inputs, n_outputs, size):
        super().__init__()
        self.first = nn.Linear(n_inputs, size)
        self.again = nn.Linear(n_inputs, size)
        self.again.weight = self.first.weight
        self.last = nn.Linear(size, n_outputs)
        self.last.bias.requires_grad_(False)
        self.memory = nn.Parameter(torch.rand(n_outputs))
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.calls += 1
        x *= 0.5
        inner = torch.tanh(self.first(x)) + torch.sin(self.again(x)) + torch.tensor([0.1])
        return self.last(inner) + self.memory


class Branching(nn.Module):
    """What it does depends on a value, which no batch of modules can ask."""

    def __init__(self, n_inputs, n_outputs, size):
        super().__init__()
        self.inner = tanh_net(n_inputs, n_outputs, size)

    def forward(self, x):
        return self.inner(x) * (2.0 if self.inner[0].bias.sum() > 0 else 3.0)


class _Cube(torch.autograd.Function):
    """Of the older kind, which torch.func does not take."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class Cubes(Branching):
    def forward(self, x):
        return _Cube.apply(self.inner(x))


def twice(n_inputs, n_outputs, size):
    """One layer in two places."""
    layer = nn.Sequential(nn.Linear(size, size), nn.Tanh())
    return nn.Sequential(nn.Linear(n_inputs, size), layer, layer, nn.Linear(size, n_outputs))


MODULES = {
    "twice": twice,
    "tanh_net": tanh_net,
    "lazy": lazy,
    "normalised": normalised,
    "Hats": Hats,
    "Odd": Odd,
    "Branching": Branching,
    "Cubes": Cubes,
}


def reckless(n_inputs, n_outputs, size):
    """It seeds everything for everyone, as some do."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    return tanh_net(n_inputs, n_outputs, size)


def drawing(n_inputs, n_outputs, size):
    net = tanh_net(n_inputs, n_outputs, size)
    net[0].bias.data += np.random.rand() + random.random()  # noqa: NPY002
    return net


class Fading(nn.Module):
    """NaN from size 5 on."""

    def __init__(self, n_inputs, n_outputs, size):
        super().__init__()
        self.inner, self.size = tanh_net(n_inputs, n_outputs, size), size

    def forward(self, x):
        return self.inner(x) * (1.0 if self.size < 5 else torch.nan)


# ------------------------------------------------------------------------------ of no use

nothing = 3


def raising(n_inputs, n_outputs, size):
    raise FloatingPointError("not today.\nAnd more.")


def text(n_inputs, n_outputs, size):
    return "a net"


def empty(n_inputs, n_outputs, size):
    return nn.Sequential(nn.Tanh())


def frozen(n_inputs, n_outputs, size):
    return tanh_net(n_inputs, n_outputs, size).requires_grad_(False)


def wide_outputs(n_inputs, n_outputs, size):
    return tanh_net(n_inputs, n_outputs + (size > 4), size)


def other_inputs(n_inputs, n_outputs, size):
    return tanh_net(n_inputs + 1, n_outputs, size)


def on_a_gpu(n_inputs, n_outputs, size):
    return tanh_net(n_inputs, n_outputs, size).to("cuda:99")


def complex_net(n_inputs, n_outputs, size):
    net = tanh_net(n_inputs, n_outputs, size)
    net.turn = nn.Parameter(torch.zeros(1, dtype=torch.complex128))
    return net


_made = []


def forgetful(n_inputs, n_outputs, size):
    """Another module each time, whatever the generators say."""
    net = tanh_net(n_inputs, n_outputs, size)
    net[0].bias.data += len(_made)
    _made.append(None)
    return net


class Single(Branching):
    def forward(self, x):
        return self.inner(x).float()


class Rounding(Branching):
    def forward(self, x):
        return self.inner(x.float().double())


class Noisy(Branching):
    def forward(self, x):
        return self.inner(x) + torch.randn(())


class Detached(Branching):
    def forward(self, x):
        return self.inner(x).detach() + 0 * self.inner[0].bias.sum()


class Centred(Branching):
    def forward(self, x):
        return self.inner(x - x.mean(0))


class Twofold(Branching):
    def forward(self, x):
        return self.inner(x), self.inner(x)


class Unlike(Hats):
    """Its refinement has more numbers than the factory's."""

    def refined(self, size):
        return super().refined(size + 1)


class More(Hats):
    """Its refinement is more than its parameters and buffers."""

    def refined(self, size):
        finer = super().refined(size)
        finer.forward = lambda x: 1 + Hats.forward(finer, x)
        return finer
