"""Texts of a prompt set's means, groups and targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from lenstui.readout.number_texts import logprob_text, probability_text, rank_text
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.mean_values import MeanValue, shown_means
from lenstui.readout.sets.means import LensMeans, SetMeans, mean_over, means_by_group


def mean_texts(value: MeanValue, means: LensMeans) -> list[tuple[str, str]]:
    """Return means and their standard errors as text by row, `emb` first; an error may be empty."""
    numbers, errors = value.of(means)
    texts = [value.format(number) for number in numbers.tolist()]
    if errors is None or value.error_format is None:
        return [(text, "") for text in texts]
    shown = ("" if math.isnan(error) else f"±{value.error_format(error)}" for error in errors.tolist())
    return list(zip(texts, shown, strict=True))


def mean_value(key: str | None, readouts: Sequence[CaseReadout | FailedCase]) -> MeanValue:
    """Return the means with a key; for None the target's probability, or KL where no case has a target."""
    if key is None:
        has_target = any(isinstance(each, CaseReadout) and each.target for each in readouts)
        key = "prob" if has_target else "kl"
    return next(value for value in shown_means() if value.key == key)


def columns_of(readouts: Sequence[CaseReadout | FailedCase], value: MeanValue) -> Mapping[str, SetMeans]:
    """Return the means over each group and over all, under the group's name with its number of cases."""
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
    """Yield the cases of each group, in order of appearance; those without a group make one too."""
    groups: dict[str | None, list[CaseReadout | FailedCase]] = {}
    for each in readouts:
        groups.setdefault(each.case.group, []).append(each)
    yield from groups.items()


def target_text(readout: CaseReadout) -> str:
    """Return the display text of the target's token, with an ellipsis unless it is the whole target."""
    if readout.target is None:
        return ""
    return f"{readout.target_text}{'' if readout.target.whole else '…'}"


def whole_text(readout: CaseReadout) -> str:
    """Return the final log-probability of the whole target as text; empty unless it is several tokens."""
    if not readout.has_long_target:
        return ""
    finals = (float(column.whole_logprob[-1]) for column in readout.lenses.values())
    return logprob_text(next((number for number in finals if not math.isnan(number)), math.nan))


def target_numbers(readout: CaseReadout) -> tuple[str, str]:
    """Return final probability and rank of the target, as text."""
    if readout.target is None:
        return "", ""
    column = next(iter(readout.lenses.values()))
    return probability_text(float(column.target_prob[-1])), rank_text(float(column.target_rank[-1]))
