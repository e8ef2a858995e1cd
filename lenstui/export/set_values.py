"""What the means over a prompt set may show, as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.means import LensMeans, Mean, SetMeans, mean_over, means_by_group
from lenstui.readout.values import nats_text, probability_text, rank_text

_Texts = list[tuple[str, str]]  # by row: a mean, and its standard error where there is one


@dataclass(frozen=True, slots=True)
class MeanValue:
    """One of the means that a table may show.

    Attributes:
        key: short name, as the command line spells it.
        label: what it is.
        of_target: whether it is one of the target, and so over the cases that have one.
        texts: it and its standard error, or nothing, for every row, `emb` first.
    """

    key: str
    label: str
    of_target: bool
    texts: Callable[[LensMeans], _Texts]


def _with_error(mean: Mean, text: Callable[[float], str], error_text: Callable[[float], str]) -> _Texts:
    errors = ("" if math.isnan(error) else f"±{error_text(error)}" for error in mean.sem.tolist())
    return list(zip(map(text, mean.mean.tolist()), errors, strict=True))


def _percent_error(error: float) -> str:
    return f"{100 * error:.1f}" if error >= 0.0005 else "<0.1" if error else "0"


def _nats_error(error: float) -> str:
    return f"{error:.2f}" if error >= 0.005 else "<0.01" if error else "0"


MEAN_VALUES = (
    MeanValue(
        "prob",
        "probability of the target, mean ± standard error in percent",
        True,
        lambda means: _with_error(means.target_prob, probability_text, _percent_error),
    ),
    MeanValue(
        "rank",
        "rank of the target, median",
        True,
        lambda means: [(rank_text(rank), "") for rank in means.target_median_rank.tolist()],
    ),
    MeanValue(
        "entropy",
        "entropy, mean ± standard error in nats",
        False,
        lambda means: _with_error(means.entropy, nats_text, _nats_error),
    ),
    MeanValue(
        "kl",
        "KL from final, mean ± standard error in nats",
        False,
        lambda means: _with_error(means.kl, nats_text, _nats_error),
    ),
)


def mean_value(key: str | None, readouts: Sequence[CaseReadout | FailedCase]) -> MeanValue:
    """The one that is named; for None the probability of the target, or KL where there is no target."""
    if key is None:
        has_target = any(isinstance(each, CaseReadout) and each.target for each in readouts)
        key = "prob" if has_target else "kl"
    return next(value for value in MEAN_VALUES if value.key == key)


def columns_of(readouts: Sequence[CaseReadout | FailedCase], value: MeanValue) -> Mapping[str, SetMeans]:
    """The means over each group and over all, by what to call them and how many cases they are of."""
    groups = dict(means_by_group(readouts))
    found = {**groups, "all": mean_over(readouts)} if len(groups) != 1 or _some_without(readouts) else groups
    return {
        f"{name} ({means.n_target if value.of_target else means.n})": means
        for name, means in found.items()
        if means.lenses
    }


def _some_without(readouts: Sequence[CaseReadout | FailedCase]) -> bool:
    return any(each.case.group is None for each in readouts)


def by_group(
    readouts: Sequence[CaseReadout | FailedCase],
) -> Iterator[tuple[str | None, list[CaseReadout | FailedCase]]]:
    """The cases of each group, in order of appearance, those of no group among them."""
    groups: dict[str | None, list[CaseReadout | FailedCase]] = {}
    for each in readouts:
        groups.setdefault(each.case.group, []).append(each)
    yield from groups.items()


def target_text(readout: CaseReadout) -> str:
    """Display text of the target's token, with an ellipsis where it is only its first one."""
    if readout.target is None:
        return ""
    return f"{readout.target_text}{'' if readout.target.whole else '…'}"


def target_numbers(readout: CaseReadout) -> tuple[str, str]:
    """Final probability and rank of the target, as text."""
    if readout.target is None:
        return "", ""
    column = next(iter(readout.lenses.values()))
    return probability_text(float(column.target_prob[-1])), rank_text(float(column.target_rank[-1]))
