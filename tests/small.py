"""A sweep that is trained in a quarter of a second: no race of random starts, which takes half of
the time of so few cells."""

SMALL = (
    *("data.sizes=[40,60]", "grid.sizes=[3,6,12]", "seeds=2", "data.n_test=100"),
    "solver.restarts=0",
)
CELLS = 12
