"""Means over a prompt set, by row and lens, each with its standard error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenstui.readout.sets.cases import CaseReadout, FailedCase, LastColumn
from lenstui.readout.sets.first_rows import ABOVE, first_rows
from lenstui.readout.values import all_values, known

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """A mean over the cases that have a number in a place, for each place, such as a row.

    Attributes:
        mean: the mean, `[rows]`; NaN over no case.
        sem: its standard error, the standard deviation of the cases divided by the root of their number,
            `[rows]`; NaN over fewer than two.
    """

    mean: Numbers
    sem: Numbers


@dataclass(frozen=True, slots=True)
class FirstMean:
    """The mean over cases of the first row that has something of the target, such as where it first leads.

    Attributes:
        mean: the mean index of the row in the residual stream, 0 for `emb`, over the cases that have one; of
            differences that of the differences; NaN over none.
        sem: its standard error; NaN over fewer than two.
        n: the number of cases that have one.
    """

    mean: float
    sem: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class LensMeans:
    """Means of one lens over the last columns of a set, nats; those of the target over cases that have one.

    Attributes:
        values: the values that have a mean, by their names in files (`entropy`, `kl`, …).
        target_prob: the probability of the target.
        target_logprob: the log-probability of the target.
        whole_logprob: the log-probability of the whole target, of all of its tokens.
        target_rank: the rank of the target.
        target_median_rank: the median rank of the target, `[rows]`.
        target_top1: the share of cases whose top-1 is the target.
        logit_diff: the logit of the target minus that of the foil, of first tokens.
        whole_diff: the log-probability of the whole target minus that of the whole foil.
        first: the means of first rows, under the keys of `first_rows`.
    """

    values: Mapping[str, Mean]
    target_prob: Mean
    target_logprob: Mean
    whole_logprob: Mean
    target_rank: Mean
    target_median_rank: Numbers
    target_top1: Mean
    logit_diff: Mean
    whole_diff: Mean
    first: Mapping[str, FirstMean]


@dataclass(frozen=True, slots=True, eq=False)
class SetMeans:
    """Means over a number of cases.

    Attributes:
        n: the number of cases.
        n_target: the number of cases that have a target.
        n_foil: the number of cases that have a foil, too.
        n_diff: the number of those whose first tokens differ, so that there is a logit difference.
        n_long: the number of cases whose target is several tokens, so that numbers of a token are its first
            one's.
        n_diff_long: the number of those of `n_diff` whose target or foil is several tokens.
        left_out: the number of cases with a row that is not a number, which count in no mean of that row.
        lenses: the means by lens, under the keys of `lens_keys`.
    """

    n: int
    n_target: int
    lenses: Mapping[str, LensMeans]
    left_out: int = 0
    n_foil: int = 0
    n_diff: int = 0
    n_long: int = 0
    n_diff_long: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SetEffects:
    """Means of clean and edited runs over the same cases, and of what the edits change in each.

    Of a set that two sides have read, models or lenses, `clean` is the first and `edited` the second. A row
    in which either run of a case is not a number counts in none of the three.

    Attributes:
        clean: of the clean runs.
        edited: of the edited runs.
        effect: of the paired differences, edited minus clean, with their standard errors. The median rank is
            the median of the differences.
    """

    clean: SetMeans
    edited: SetMeans
    effect: SetMeans


def mean_over(readouts: Iterable[CaseReadout | FailedCase], *, above: float = ABOVE) -> SetMeans:
    """Return the means over all cases that were read; failed ones do not count.

    Args:
        readouts: from `read_set`.
        above: the limit of the first row where the target's probability is above it.
    """
    read = [readout for readout in readouts if isinstance(readout, CaseReadout)]
    return _set_means(read, _by_lens(read, above), left_out=sum(readout.not_numbers for readout in read))


def means_by_group(
    readouts: Iterable[CaseReadout | FailedCase], *, above: float = ABOVE
) -> Mapping[str, SetMeans]:
    """Return the means over the cases of each group, in order of appearance; cases of none are left out."""
    return {group: mean_over(members, above=above) for group, members in _groups(readouts).items()}


def effects_over(readouts: Iterable[CaseReadout | FailedCase], *, above: float = ABOVE) -> SetEffects:
    """Return the means of clean and edited runs and their differences, over all cases read in both.

    Args:
        readouts: from `read_edited_set`, or from `read_two_sides`.
        above: the limit of the first row where the target's probability is above it.
    """
    edited = [each for each in readouts if isinstance(each, CaseReadout) and each.before is not None]
    clean = [each.before for each in edited if each.before is not None]
    left_out = sum(a.not_numbers or b.not_numbers for a, b in zip(clean, edited, strict=True))
    before, after = _by_lens(clean, above), _by_lens(edited, above)
    effect: dict[str, dict[str, Numbers]] = {lens: {} for lens in after}
    for lens, of_lens in after.items():
        for name, values in of_lens.items():
            missing = np.isnan(before[lens][name]) | np.isnan(values)
            before[lens][name][missing] = values[missing] = np.nan
            with np.errstate(invalid="ignore"):  # a token that the head forbids: −∞ − −∞
                effect[lens][name] = values - before[lens][name]
    return SetEffects(*(_set_means(edited, each, left_out=left_out) for each in (before, after, effect)))


def effects_by_group(
    readouts: Iterable[CaseReadout | FailedCase], *, above: float = ABOVE
) -> Mapping[str, SetEffects]:
    """Return the effects over the cases of each group, in order of appearance; cases of none are left out."""
    return {group: effects_over(members, above=above) for group, members in _groups(readouts).items()}


def _groups(readouts: Iterable[CaseReadout | FailedCase]) -> dict[str, list[CaseReadout | FailedCase]]:
    groups: dict[str, list[CaseReadout | FailedCase]] = {}
    for readout in readouts:
        if readout.case.group is not None:
            groups.setdefault(readout.case.group, []).append(readout)
    return groups


def _set_means(
    read: Sequence[CaseReadout], lenses: Mapping[str, Mapping[str, Numbers]], *, left_out: int
) -> SetMeans:
    """Return the means of numbers of each lens by name, `[cases, rows]`, as from `_by_lens`."""
    compared = [readout for readout in read if readout.foil is not None and not readout.no_difference]
    return SetMeans(
        n=len(read),
        n_target=sum(readout.target is not None for readout in read),
        lenses={name: _lens_means(of_lens) for name, of_lens in lenses.items()},
        left_out=left_out,
        n_foil=sum(readout.foil is not None for readout in read),
        n_diff=len(compared),
        n_long=sum(readout.has_long_target for readout in read),
        n_diff_long=sum(readout.has_long_target or readout.has_long_foil for readout in compared),
    )


def _by_lens(read: Sequence[CaseReadout], above: float) -> dict[str, dict[str, Numbers]]:
    """Return the numbers of each lens by name, `[cases, rows]`, NaN where a case has none."""
    names = tuple(read[0].lenses) if read else ()
    return {name: _numbers([readout.lenses[name] for readout in read], read, above) for name in names}


def _numbers(columns: Sequence[LastColumn], read: Sequence[CaseReadout], above: float) -> dict[str, Numbers]:
    """Return the numbers of one lens by name, `[cases, rows]`; of first rows their indices, `[cases, 1]`."""
    targets = np.array([-1 if readout.target is None else readout.target.id for readout in read])[:, None]

    def stacked(arrays: Iterable[npt.NDArray[np.generic]]) -> Numbers:
        return np.array(list(arrays), np.float64)

    top1 = stacked(known(column.top1) for column in columns)
    of_target = {
        "target_prob": stacked(column.target_prob for column in columns),
        "target_logprob": stacked(column.target_logprob for column in columns),
        "target_word_logprob": stacked(column.whole_logprob for column in columns),
        "target_rank": stacked(known(column.target_rank) for column in columns),
        "target_top1": np.where(np.isnan(top1), np.nan, top1 == targets),
        "logit_diff": stacked(column.logit_diff for column in columns),
        "word_logprob_diff": stacked(column.whole_diff for column in columns),
        **{
            first.stored: stacked(np.array([first.index(column, above)]) for column in columns)
            for first in first_rows()
        },
    }
    return {
        **{name: stacked(known(column.values[name]) for column in columns) for name in names_with_mean()},
        **{name: np.where(targets < 0, np.nan, numbers) for name, numbers in of_target.items()},
    }


def names_with_mean() -> list[str]:
    """Return the values that have a mean, by their names in files."""
    return [value.stored for value in all_values() if value.has_mean and value.stored]


def _lens_means(numbers: Mapping[str, Numbers]) -> LensMeans:
    means = {name: mean_of_cases(values) for name, values in numbers.items()}
    return LensMeans(
        values={name: means[name] for name in names_with_mean()},
        target_prob=means["target_prob"],
        target_logprob=means["target_logprob"],
        whole_logprob=means["target_word_logprob"],
        target_rank=means["target_rank"],
        target_median_rank=_median(numbers["target_rank"]),
        target_top1=means["target_top1"],
        logit_diff=means["logit_diff"],
        whole_diff=means["word_logprob_diff"],
        first={first.key: _first_mean(numbers[first.stored]) for first in first_rows()},
    )


def _first_mean(indices: Numbers) -> FirstMean:
    """Return the mean of the indices of rows, `[cases, 1]`, NaN for a case without one."""
    found = mean_of_cases(indices)
    return FirstMean(float(found.mean[0]), float(found.sem[0]), int((~np.isnan(indices)).sum()))


def _median(values: Numbers) -> Numbers:
    """Return each row's median over the cases of `[cases, rows]` that have a number; NaN over none."""
    columns = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(column) if column.size else np.nan for column in columns])


def mean_of_cases(values: Numbers) -> Mean:
    """Return the mean over the cases that have a number, for each place behind the first axis.

    Args:
        values: `[cases, …]`.
    """
    known = ~np.isnan(values)
    n = known.sum(axis=0)
    # A target that the head forbids has -inf as its mean: no reason for a warning.
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / n
        off = np.where(known, values - mean, 0.0)
        sem = np.where(n > 1, np.sqrt((off**2).sum(axis=0) / (n - 1) / n), np.nan)
    return Mean(mean, sem)
