"""scikit-learn's base classes where it is installed, and what stands in for them where it is not.

Nothing of kansweep needs scikit-learn: it is only followed. Its own classes bring metadata routing,
tags and the display in notebooks.
"""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING or find_spec("sklearn") is None:

    class NotFittedError(ValueError, AttributeError):
        """Asked before ``fit`` what only data tell."""

    class BaseEstimator:
        """Parameters are the arguments of ``__init__``, kept under their names."""

        @classmethod
        def _names(cls) -> list[str]:
            return [name for name in inspect.signature(cls).parameters if name != "self"]

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {name: getattr(self, name) for name in self._names()}

        def set_params(self, **params: Any) -> Self:
            for name, value in params.items():
                if name not in self._names():
                    known = ", ".join(self._names())
                    raise ValueError(f"There is no parameter `{name}`; there is {known}.")
                setattr(self, name, value)
            return self

        def __repr__(self) -> str:
            usual = inspect.signature(type(self)).parameters
            changed = [
                f"{name}={value!r}"
                for name, value in self.get_params().items()
                if value is not usual[name].default
            ]
            return f"{type(self).__name__}({', '.join(changed)})"

    class RegressorMixin:
        def score(
            self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float:
            """The coefficient of determination, 1 - residual over total sum of squares, the mean
            over outputs."""
            predicted, truth = self.predict(X), np.asarray(y, float)  # type: ignore[attr-defined]
            truth = truth.reshape(len(truth), -1)
            weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight)
            left = weight @ (truth - predicted.reshape(truth.shape)) ** 2
            total = weight @ (truth - weight @ truth / weight.sum()) ** 2
            exact = np.where(left == 0, 1.0, 0.0)
            share = np.divide(left, total, out=1.0 - exact, where=total > 0)
            return float(np.mean(1.0 - share))

else:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.exceptions import NotFittedError

__all__ = ["BaseEstimator", "NotFittedError", "RegressorMixin"]
