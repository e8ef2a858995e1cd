"""Outlier scores of prompts: how far their trajectories are from those of a reference set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.outlier_methods import Score, methods_named
from lenstui.readout.sets.trajectories import (
    Numbers,
    Trajectory,
    feature_names,
    features,
    trajectory_kinds,
    trajectory_named,
)
from lenstui.support.errors import LensError

LEAST = 3  # prompts of a reference: two have no covariance
_CONSTANT = 1e-4  # nats, to which a log-probability holds

_NOT_NUMBERS = "Its trajectory is not finite."


@dataclass(frozen=True, slots=True, eq=False)
class OutlierReference:
    """A reference set on which outlier scores are fitted: scaling, covariance, forest and neighbours.

    Attributes:
        trajectory: the kind of trajectory whose numbers are the features.
        lenses: the keys of the lenses.
        used: which of the `feature_names` are features, `[names]`.
        constant: which of them are not, as they are the same for all prompts of the reference, `[names]`; the
            others that are none are of rows that a lens does not have.
        mean: the mean of each feature over the reference, `[features]`.
        deviation: the standard deviation (over n) of each, `[features]`.
        methods: the score by method, under the keys of `outlier_methods`.
        prompts: the prompts that it was fitted on.
        left_out: the prompts that have no trajectory, and why.
    """

    trajectory: Trajectory
    lenses: tuple[str, ...]
    used: npt.NDArray[np.bool_]
    constant: npt.NDArray[np.bool_]
    mean: Numbers
    deviation: Numbers
    methods: Mapping[str, Score]
    prompts: tuple[str, ...]
    left_out: tuple[FailedCase, ...]

    def names(self, rows: Sequence[str]) -> list[tuple[str | None, str]]:
        """Return the lens and the row of each feature, given the labels of the rows that were read."""
        return [name for name, used in zip(feature_names(self.lenses, rows), self.used, strict=True) if used]

    def constant_names(self, rows: Sequence[str]) -> list[tuple[str | None, str]]:
        """Return the lens and the row of each number that is the same for all prompts of the reference."""
        names = feature_names(self.lenses, rows)
        return [name for name, constant in zip(names, self.constant, strict=True) if constant]

    def scored(self, readout: CaseReadout | FailedCase) -> CaseReadout | FailedCase:
        """Return a readout with its scores, or with the reason why there are none.

        Raises:
            LensError: if it was read through other lenses, or in other rows, than the reference.
        """
        if isinstance(readout, FailedCase):
            return readout
        vector = _vector(readout, self.trajectory)
        if isinstance(vector, str):
            return replace(readout, not_scored=vector)
        if tuple(self.trajectory.of(readout)) != self.lenses or len(vector) != len(self.used):
            through = ", ".join(self.lenses)
            raise LensError(f"The reference was read through other lenses or in other rows ({through}).")
        of_features = vector[self.used]
        if not np.isfinite(of_features).all():
            return replace(readout, not_scored=_NOT_NUMBERS)
        case = ((of_features - self.mean) / self.deviation)[None]
        return replace(readout, scores={key: float(score(case)[0]) for key, score in self.methods.items()})


def fit_outliers(
    reference: Iterable[CaseReadout | FailedCase],
    *,
    trajectory: str = trajectory_kinds()[0].key,
    methods: Sequence[str] | None = None,
) -> OutlierReference:
    """Fit outlier scores on the readouts of a reference set, and on nothing else.

    Each feature is brought to mean 0 and variance 1 over the reference. The forest has a fixed seed, so that
    the same reference gives the same scores.

    Args:
        reference: from `read_set` with `trajectories`, by the lenses through which other prompts are read.
        trajectory: the key of the kind of trajectory, `next` or `target`.
        methods: the keys of the methods; None for all, without scikit-learn for the Mahalanobis distance.

    Raises:
        LensError: if too few of its prompts have a trajectory, all have the same one, there is no such kind
            or method, or scikit-learn is missing.
    """
    chosen = methods_named(methods)
    kinds = {kind.key for kind in trajectory_kinds()}
    if trajectory not in kinds:
        raise LensError(f"There is no trajectory {trajectory!r}: {', '.join(sorted(kinds))}.")
    kind = trajectory_named(trajectory)
    left_out: list[FailedCase] = []
    found: list[tuple[CaseReadout, Numbers]] = []
    for readout in reference:
        if isinstance(readout, FailedCase):
            left_out.append(readout)
        elif isinstance(vector := _vector(readout, kind), str):
            left_out.append(FailedCase(readout.case, vector))
        else:
            found.append((readout, vector))
    there = ~np.isnan([vector for _, vector in found]).all(axis=0) if found else np.zeros(0, bool)
    finite = [(readout, vector) for readout, vector in found if np.isfinite(vector[there]).all()]
    left_out += [
        FailedCase(readout.case, _NOT_NUMBERS)
        for readout, vector in found
        if not np.isfinite(vector[there]).all()
    ]
    if len(finite) < LEAST:
        why = f" ({left_out[0].case.number}: {left_out[0].reason})" if left_out else ""
        have = f"{len(finite) or 'none'} of its prompts {'has' if len(finite) == 1 else 'have'}"
        raise LensError(f"The reference needs {LEAST} prompts with a trajectory; {have} one{why}.")
    vectors = np.stack([vector for _, vector in finite])
    constant = there & (np.ptp(vectors, axis=0) <= _CONSTANT)
    used = there & ~constant
    if not used.any():
        raise LensError("All prompts of the reference have the same trajectory: there is nothing to compare.")
    vectors = vectors[:, used]
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    standard = (vectors - mean) / deviation
    return OutlierReference(
        kind,
        tuple(kind.of(finite[0][0])),
        used,
        constant,
        mean,
        deviation,
        {method.key: method.fit(standard) for method in chosen},
        tuple(readout.case.text for readout, _ in finite),
        tuple(left_out),
    )


def _vector(readout: CaseReadout, kind: Trajectory) -> Numbers | str:
    """Return the trajectory of a prompt, or why it has none."""
    numbers = kind.of(readout)
    if not numbers or all(np.isnan(of_lens).all() for of_lens in numbers.values()):
        return kind.lacking
    return features(numbers.values())
