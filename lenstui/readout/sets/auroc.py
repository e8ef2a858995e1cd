"""How well scores tell outliers from normal prompts: the area under the ROC curve, with its interval."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lenstui.support.errors import LensError
from lenstui.texts.files import listed

if TYPE_CHECKING:
    from lenstui.readout.sets.cases import CaseReadout, FailedCase

_Numbers = npt.NDArray[np.float64]

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
_HALVINGS = 60  # of an interval of length 1, down to the resolution of a float


@dataclass(frozen=True, slots=True)
class Auroc:
    """An area under the ROC curve with its 95 % interval.

    Attributes:
        value: the probability that an outlier has a higher score than a normal prompt, ties counting half.
        low: the lower end of the interval.
        high: its upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Separation:
    """How well the scores of a prompt set tell one of its groups from the normal one.

    Attributes:
        group: the group; None for all groups but the normal one together.
        n: the number of its prompts that have scores.
        normal: the normal group.
        n_normal: the number of its prompts that have scores.
        methods: the area by method, under the keys of `outlier_methods`.
    """

    group: str | None
    n: int
    normal: str
    n_normal: int
    methods: Mapping[str, Auroc]


def auroc(outliers: Sequence[float] | _Numbers, normal: Sequence[float] | _Numbers) -> Auroc:
    """Return the area under the ROC curve of scores, with its 95 % interval.

    The interval is method 5 of Newcombe (2006, Statistics in Medicine 25:559-573): all areas from which the
    found one is less than 1.96 standard errors away, the error being that of Hanley and McNeil (1982) at the
    area itself. Unlike that of DeLong et al. (1988) and a bootstrap it has a width where the scores separate
    all pairs.

    Args:
        outliers: the scores of the outliers, at least one, none of them NaN.
        normal: those of the normal prompts, likewise.
    """
    high, low = np.asarray(outliers, np.float64), np.sort(np.asarray(normal, np.float64))
    below, up_to = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    value = float((below + up_to).mean() / (2 * len(low)))
    return Auroc(value, _end(value, 0.0, len(high), len(low)), _end(value, 1.0, len(high), len(low)))


def _end(value: float, limit: float, n: int, n_normal: int) -> float:
    """Return the end of the interval that lies between the area and a limit, 0 or 1."""
    near, far = value, limit
    others = (n + n_normal) / 2 - 1
    for _ in range(_HALVINGS):
        area = (near + far) / 2
        variance = area * (1 - area) / (n * n_normal)
        variance *= 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        if (value - area) ** 2 <= _Z**2 * variance:
            near = area
        else:
            far = area
    return (near + far) / 2


def check_normal(normal: str | None, groups: Collection[str]) -> None:
    """Refuse a group of normal prompts that there is not.

    Raises:
        LensError: if there is no such group.
    """
    if normal is not None and normal not in groups:
        have = f"they have {listed(groups)}" if groups else "they have no groups"
        raise LensError(f"No prompt is in the group {normal!r} of normal prompts ({have}).")


def separations(readouts: Iterable[CaseReadout | FailedCase], normal: str | None = None) -> list[Separation]:
    """Return how well scores tell each group from the normal one; of several, all together come last.

    Args:
        readouts: the readouts of a set with scores; those without a group or scores do not count.
        normal: the group of normal prompts; None for the first group that has scores.

    Returns:
        Nothing where no other group, or the normal one itself, has scores.

    Raises:
        LensError: if no prompt is in the group `normal`.
    """
    groups: dict[str, list[Mapping[str, float]]] = {}
    for readout in readouts:
        scores = getattr(readout, "scores", None)  # none in a case that could not be read
        if readout.case.group is not None:
            groups.setdefault(readout.case.group, []).extend([scores] if scores else [])
    check_normal(normal, groups)
    groups = {group: members for group, members in groups.items() if members}
    if normal is None:
        normal = next(iter(groups), "")
    if normal not in groups:
        return []
    of_normal = groups.pop(normal)

    def areas(members: Sequence[Mapping[str, float]]) -> dict[str, Auroc]:
        def scores(cases: Sequence[Mapping[str, float]], method: str) -> list[float]:
            return [of_case[method] for of_case in cases]

        return {method: auroc(scores(members, method), scores(of_normal, method)) for method in of_normal[0]}

    others: list[tuple[str | None, list[Mapping[str, float]]]] = list(groups.items())
    if len(others) > 1:
        others.append((None, [scores for members in groups.values() for scores in members]))
    return [
        Separation(group, len(members), normal, len(of_normal), areas(members)) for group, members in others
    ]
