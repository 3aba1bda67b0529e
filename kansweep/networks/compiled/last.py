"""The last layer's normal equations behind given hidden values, in one pass over the points."""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.basis import act, set4, silu
from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiled.rows import add_gram, add_products, add_pull, block_size, counted
from kansweep.networks.compiled.slopes import base_runs
from kansweep.networks.compiling import inner, loop


@loop
def last_equations(
    net: Net, x: Floats, y: Floats, counts: Floats, last: Floats, gram: Floats, pull: Floats
) -> None:
    """Add to gram (R, Q Q + 8) what all outputs share and to pull (R, M, Q + 8) what each one's
    residual says, with the numbers last (R, M, Q), what reaches the layer, x (R, I, n), and
    y (R, M, n). Points count as often as ``counts`` (R, n) says, or once where it is empty."""
    outputs, size, w, n = y.shape[1], last.shape[2], net.w, x.shape[2]
    n_in = x.shape[1]
    runs = n_in + (base_runs(net, n_in) if net.base else 0)
    lengths, at_once = np.full(runs, net.k + 1), block_size(runs, w)
    for run in range(runs - n_in):
        lengths[n_in + run] = min(w, n_in - run * w)
    for r in range(x.shape[0]):
        theta = np.zeros((outputs, size + 8))
        theta[:, :size] = last[r]
        for begin in range(0, n, at_once):
            points = min(at_once, n - begin)
            values, columns = np.zeros((points, runs * w)), np.empty((points, runs), np.int32)
            _rows(net, r, x[r], begin, values, columns)
            residual = np.empty((outputs, points))
            for m in range(outputs):
                for p in range(points):
                    residual[m, p] = -y[r, m, begin + p]
                add_products(residual[m], theta[m], values, columns, w)
            if counts.size:
                counted(counts[r, begin : begin + points], values, residual)
            add_gram(gram[r], size, values, columns, lengths, w)
            add_pull(pull[r], values, columns, residual, w)


@inner
def _rows(net: Net, r: int, x: Floats, begin: int, values: Floats, columns: Ints) -> None:
    """The rows of an output at a block of points, as ``rows`` has them; x is (I, n)."""
    n_in, points, node = x.shape[0], columns.shape[0], net.start[net.width.size - 2, 1]
    interval, none = np.empty(points, np.int32), np.empty(0)
    b, value, slope = np.empty(points * net.w), np.empty(points), np.empty(points)
    for i in range(n_in):
        own, first = x[i, begin : begin + points], i * (net.grid_size + net.k)
        act(net, r, node + i, own, interval, b, none)
        for p in range(points):
            columns[p, i] = first + interval[p]
            for four in range(0, net.w, 4):
                set4(values[p], i * net.w + four, 1.0, b, p * net.w + four)
        if net.base:
            silu(net, r, node + i, own, value, slope)
            for p in range(points):
                values[p, n_in * net.w + i] = value[p]
    for run in range(n_in, columns.shape[1]):
        columns[:, run] = n_in * (net.grid_size + net.k) + (run - n_in) * net.w
