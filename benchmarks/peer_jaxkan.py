"""jaxKAN on given data: chains of grids, as its own tutorials train them; a worker of peers.py.

Runs in the peers' environment. Each .npz is one chain: a KAN [2, 1, 1] of jaxKAN's base layers,
``update_grids`` on the training points before every grid (the first one too), then 1000 iterations
of optax's L-BFGS (with its line search, which jaxKAN's own ``get_lbfgs`` leaves out), in float64.
jaxKAN draws its weights in float32 whatever JAX is told, so they are widened first. The iterations
are one compiled loop, which spares jaxKAN the 1000 calls from Python of its tutorials.

One line of JSON a cell: ``seconds`` are those of the extension, the fit and the evaluation on all
test points, with all that JAX compiles on the way, which it does anew for every grid size;
``compile_seconds`` is the share of compiling, as JAX itself reports it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxkan.models.KAN import KAN

ITERATIONS = 1000
# Tracing is left out: JAX reports it for inner functions and again for those that call them.
COMPILE_EVENTS = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
COMPILING: list[float] = []  # seconds, since the cell began


def chain(path: Path, grids: list[int], seed: int) -> Iterator[dict[str, float]]:
    data = {name: jnp.asarray(array) for name, array in np.load(path).items()}
    model = None
    for grid in grids:
        COMPILING.clear()
        began = time.perf_counter()
        if model is None:
            model = KAN([2, 1, 1], "base", {"k": 3, "G": grid}, seed=seed)
            widen(model)
        model.update_grids(data["x_train"], grid)
        fit(model, data["x_train"], data["y_train"])
        errors = {split: rmse(model, data, split) for split in ("train", "test")}
        yield {
            "n_train": len(data["x_train"]),
            "grid_size": grid,
            "train_rmse": errors["train"],
            "test_rmse": errors["test"],
            "seconds": time.perf_counter() - began,
            "compile_seconds": sum(COMPILING),
        }


def widen(model: KAN) -> None:
    """Make the weights and the grids float64, which jaxKAN makes float32."""
    state = nnx.state(model, nnx.Param)
    nnx.update(model, jax.tree.map(lambda weight: weight.astype(jnp.float64), state))
    for layer in model.layers:
        layer.grid.item = layer.grid.item.astype(jnp.float64)


def fit(model: KAN, x: jax.Array, y: jax.Array) -> None:
    """Train the model in place."""
    graph, weights, rest = nnx.split(model, nnx.Param, ...)
    optimizer = optax.lbfgs()

    def loss(weights: Any) -> jax.Array:
        return jnp.mean((nnx.merge(graph, weights, rest)(x) - y) ** 2)

    def iterate(_: int, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        weights, state = carry
        value, gradient = optax.value_and_grad_from_state(loss)(weights, state=state)
        step, state = optimizer.update(
            gradient, state, weights, value=value, grad=gradient, value_fn=loss
        )
        return optax.apply_updates(weights, step), state

    def train(weights: Any) -> Any:
        return jax.lax.fori_loop(0, ITERATIONS, iterate, (weights, optimizer.init(weights)))[0]

    nnx.update(model, jax.block_until_ready(jax.jit(train)(weights)))


def rmse(model: KAN, data: dict[str, jax.Array], split: str) -> float:
    graph, state = nnx.split(model)

    @jax.jit
    def error(state: Any) -> jax.Array:
        residual = nnx.merge(graph, state)(data[f"x_{split}"]) - data[f"y_{split}"]
        return jnp.sqrt(jnp.mean(residual**2))

    return float(error(state))


def note_compiling(event: str, seconds: float, **_: object) -> None:
    if event in COMPILE_EVENTS:
        COMPILING.append(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--grids", type=int, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # One thread: JAX starts as many as there are cores that it may run on, with its first array.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    jax.config.update("jax_enable_x64", True)
    jax.monitoring.register_event_duration_secs_listener(note_compiling)
    for path in options.data:
        for cell in chain(path, options.grids, options.seed):
            print(json.dumps(cell), flush=True)


if __name__ == "__main__":
    main()
