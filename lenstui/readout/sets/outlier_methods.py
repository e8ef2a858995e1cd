"""The methods of outlier scores: each is fitted on a reference alone, and scores any other vector.

Isolation forest and local outlier factor are those of scikit-learn, an extra that is imported when one of
them is fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from lenstui.support.errors import LensError

Numbers = npt.NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
"""Returns the scores of vectors `[cases, features]`, `[cases]`: the higher, the more of an outlier."""

SEED = 0  # of the isolation forest
NEIGHBOURS = 20  # of the local outlier factor, fewer in a small reference


@dataclass(frozen=True, slots=True)
class OutlierMethod:
    """A method of outlier scores.

    Attributes:
        key: the short name, as the command line spells it.
        stored: the name in files.
        label: the name in a text.
        short: the name over a narrow column, at most six characters.
        fit: fits it on a reference, `[cases, features]`, whose features have mean 0 and variance 1.
        is_extra: whether it needs scikit-learn.
    """

    key: str
    stored: str
    label: str
    short: str
    fit: Callable[[Numbers], Score]
    is_extra: bool = False


def mahalanobis(reference: Numbers) -> Score:
    """Return the Mahalanobis distance from a reference, whose covariance is shrunk towards a multiple of 1.

    The covariance is that of Ledoit and Wolf (2004, Journal of Multivariate Analysis 88:365-411): the sample
    covariance `S` (over n) and `m` times the identity, `m` the mean variance, are mixed with the weight that
    makes the expected squared error least, estimated from the reference.

    Args:
        reference: `[cases, features]`, centred.

    Raises:
        LensError: if the covariance has no inverse, all cases being alike.
    """
    n, count = reference.shape
    sample = reference.T @ reference / n
    identity = np.eye(count)
    size = np.trace(sample) / count
    spread = ((sample - size * identity) ** 2).sum()
    error = (((reference**2).sum(axis=1) ** 2).sum() / n - (sample**2).sum()) / n
    weight = min(max(error, 0.0), spread) / spread if spread > 0 else 0.0
    covariance = weight * size * identity + (1 - weight) * sample
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= 1e-10 * values[-1]:
        raise LensError("The reference has too few prompts that differ: its covariance has no inverse.")
    whitening = vectors / np.sqrt(values)

    def distance(cases: Numbers) -> Numbers:
        lengths: Numbers = np.linalg.norm(cases @ whitening, axis=1)
        return lengths

    return distance


def _isolation_forest(reference: Numbers) -> Score:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=SEED).fit(reference)
    return lambda cases: -forest.score_samples(cases)


def _local_outlier_factor(reference: Numbers) -> Score:
    from sklearn.neighbors import LocalOutlierFactor

    factor = LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, len(reference) - 1), novelty=True)
    with warnings.catch_warnings():  # that equal prompts make the factors large: the manual says so
        warnings.simplefilter("ignore")
        factor.fit(reference)
    return lambda cases: -factor.score_samples(cases)


_METHODS = (
    OutlierMethod("mahalanobis", "mahalanobis", "Mahalanobis distance", "mahal.", mahalanobis),
    OutlierMethod(
        "isolation-forest", "isolation_forest", "isolation forest", "forest", _isolation_forest, is_extra=True
    ),
    OutlierMethod("lof", "lof", "local outlier factor", "LOF", _local_outlier_factor, is_extra=True),
)

NEEDS_EXTRA = "Isolation forest and local outlier factor need scikit-learn: pip install 'lenstui[outliers]'."


def outlier_methods() -> tuple[OutlierMethod, ...]:
    """Return all methods, in the order of all lists."""
    return _METHODS


def methods_named(keys: Sequence[str] | None) -> tuple[OutlierMethod, ...]:
    """Return methods by their keys; for None all that can be used here.

    Raises:
        LensError: if there is no such method, or it needs scikit-learn, which is not installed.
    """
    has_extra = find_spec("sklearn") is not None
    if keys is None:
        return tuple(method for method in _METHODS if has_extra or not method.is_extra)
    known = {method.key: method for method in _METHODS}
    if unknown := [key for key in keys if key not in known]:
        raise LensError(f"There is no outlier method {unknown[0]!r}: {', '.join(known)}.")
    chosen = tuple(known[key] for key in dict.fromkeys(keys))
    if not has_extra and any(method.is_extra for method in chosen):
        raise LensError(NEEDS_EXTRA)
    return chosen
