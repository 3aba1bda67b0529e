"""Writes pykan_forward.npz: weights and outputs of pykan's own forward pass, in float64.

Run once with pykan 0.2.8 (not a dependency): python tests/data/pykan_forward.py
"""

from pathlib import Path

import numpy as np
import torch
from kan import KAN  # pykan

N_INPUTS, GRID, K = 3, 5, 3

torch.set_default_dtype(torch.float64)
model = KAN(
    width=[N_INPUTS, 4, 2], grid=GRID, k=K, seed=1, auto_save=False, noise_scale=0.5, grid_eps=1.0
)
x = torch.rand(64, N_INPUTS, generator=torch.Generator().manual_seed(2)) * 2 - 1
model.update_grid_from_samples(x)  # hidden grids onto the range of what reaches them
arrays = {"x": x.numpy(), "y": model(x).detach().numpy(), "k": np.array(K)}
for index, layer in enumerate(model.act_fun):
    arrays[f"{index}.grid"] = layer.grid.detach().numpy()  # (I, G + 2k + 1)
    arrays[f"{index}.coef"] = layer.coef.detach().numpy()  # (I, O, G + k)
    arrays[f"{index}.scale_base"] = layer.scale_base.detach().numpy()  # (I, O)
    arrays[f"{index}.scale_sp"] = layer.scale_sp.detach().numpy()  # (I, O)
np.savez(Path(__file__).with_suffix(".npz"), **arrays)
