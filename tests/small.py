"""A sweep that is trained in half a second."""

SMALL = ("data.sizes=[40,60]", "grid.sizes=[3,6,12]", "seeds=2", "data.n_test=100")
CELLS = 12
