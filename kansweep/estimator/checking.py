"""Arrays as users give them, checked: finite numbers of the right shape, or one sentence."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEAST, MOST = 1e-150, 1e150  # of which squares neither vanish nor overflow


def inputs(given: Any) -> Array:
    """(n, I) of finite numbers."""
    x = _numbers(given, "X")
    if x.ndim != 2:
        raise ValueError(
            f"`X` must be (n_samples, n_features); got {x.ndim} dimensions. Reshape your data:"
            " X.reshape(-1, 1) is one feature, X.reshape(1, -1) one sample."
        )
    if x.shape[1] == 0:
        raise ValueError(
            f"`X` has 0 feature(s) (shape={x.shape}) while a minimum of 1 is required."
        )
    if len(x) == 0:
        raise ValueError(f"`X` has 0 sample(s) (shape={x.shape}) while a minimum of 1 is required.")
    return x


def outputs(given: Any, n_samples: int) -> Array:
    """(n,) or (n, M) of finite numbers, one row a sample."""
    if given is None:
        raise ValueError("`fit` requires y to be passed, but the target y is None.")
    y = _numbers(given, "y")
    if y.ndim not in (1, 2) or 0 in y.shape[1:]:
        raise ValueError(f"`y` must be (n_samples,) or (n_samples, n_outputs); got {y.shape}.")
    if len(y) != n_samples:
        raise ValueError(f"`y` must have a row for each of {n_samples} samples; got {len(y)}.")
    return y


def weights(given: Any, n_samples: int) -> Array | None:
    """(n,) of numbers, 0 or more, not all of them 0; None where all count once."""
    if given is None:
        return None
    weight = _numbers(given, "sample_weight")
    if weight.shape != (n_samples,):
        raise ValueError(
            f"`sample_weight` must be ({n_samples},), a number a sample; got {weight.shape}."
        )
    if (weight < 0).any():
        raise ValueError("`sample_weight` must be 0 or more everywhere; got a negative weight.")
    if not (weight > 0).any():
        raise ValueError("`sample_weight` must have one non-zero number at least; all are zero.")
    return weight


def _numbers(given: Any, name: str) -> Array:
    if hasattr(given, "toarray"):
        raise TypeError(f"`{name}` must be dense; got a sparse {type(given).__name__}.")
    try:
        values = np.asarray(given)
        if values.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        if values.dtype.kind in "mM":
            raise TypeError(f"it has {values.dtype}")
        numbers: Array = values.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # the latter of torch
        kind = TypeError if isinstance(error, TypeError) else ValueError
        why = str(error).splitlines()[0].rstrip(".")
        raise kind(f"`{name}` must be an array of real numbers: {why}.") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"`{name}` must be finite; it has NaN or inf (infinity).")
    largest = float(np.abs(numbers).max(initial=0.0))
    if largest and not LEAST <= largest <= MOST:
        raise ValueError(
            f"`{name}` must be within {LEAST:g} and {MOST:g} in size, or 0; its largest is"
            f" {largest:g}."
        )
    return numbers


def feature_names(given: Any) -> NDArray[np.object_] | None:
    """The names of a table's columns, where they are texts; None of what has none."""
    columns = getattr(given, "columns", None)
    if columns is None:
        return None
    names = np.asarray(columns, dtype=object)
    texts = [isinstance(name, str) for name in names]
    if any(texts) and not all(texts):
        raise TypeError("Feature names must be texts, all of them or none; these are mixed.")
    return names if all(texts) else None


def same_features(estimator: Any, given: Any, x: Array) -> None:
    """Refuse inputs of other features than those of ``fit``."""
    title, names = type(estimator).__name__, feature_names(given)
    known = getattr(estimator, "feature_names_in_", None)
    if known is not None and names is None:
        warnings.warn(
            f"X does not have valid feature names, but {title} was fitted with feature names",
            UserWarning,
            stacklevel=3,
        )
    elif known is None and names is not None:
        warnings.warn(
            f"X has feature names, but {title} was fitted without feature names",
            UserWarning,
            stacklevel=3,
        )
    elif known is not None and names is not None and not np.array_equal(known, names):
        raise ValueError(_other_names(known, names))
    if x.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {x.shape[1]} features, but {title} is expecting"
            f" {estimator.n_features_in_} features as input."
        )


def _other_names(known: ArrayLike, names: ArrayLike) -> str:
    before, now = ([str(name) for name in np.asarray(part)] for part in (known, names))
    text = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    for title, some in (
        ("unseen at fit time", unseen),
        ("seen at fit time, yet now missing", missing),
    ):
        if some:
            listed = "".join(f"- {name}\n" for name in some[:5])
            text += f"Feature names {title}:\n{listed}" + ("- ...\n" if some[5:] else "")
    if not unseen and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text
