"""What the kinds of model are called, and what the size of each is that a sweep varies."""

from dataclasses import dataclass

from pandas import DataFrame


@dataclass(frozen=True)
class Kind:
    """The words for one kind of model; a theory of its exponent is known of KANs alone."""

    name: str
    networks: str
    symbol: str  # of its size
    size: str
    smaller: str
    finer: str  # what is said of networks of a larger size
    finest: str


KAN, MLP = "kan", "mlp"  # as the column `model` has them
KINDS = {
    KAN: Kind(
        name="KAN",
        networks="Kolmogorov\N{EN DASH}Arnold networks",
        symbol="G",
        size="grid size",
        smaller="coarser",
        finer="larger grids",
        finest="largest grid",
    ),
    MLP: Kind(
        name="MLP",
        networks="multilayer perceptrons",
        symbol="w",
        size="width",
        smaller="narrower",
        finer="wider networks",
        finest="widest network",
    ),
}


def of(frame: DataFrame) -> Kind:
    """The kind of the models in these rows, which are of one; a KAN where nothing says."""
    models = list(frame["model"].dropna()) if "model" in frame else []
    return KINDS[models[0] if models else KAN]


def any_mlp(frame: DataFrame) -> bool:
    """Whether a row is of an MLP."""
    return "model" in frame and bool((frame["model"] == MLP).any())
