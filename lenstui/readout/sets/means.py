"""Means over a prompt set, by row and lens, each with its standard error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenstui.readout.sets.cases import CaseReadout, FailedCase, LastColumn
from lenstui.readout.values import all_values, known

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """A mean over the cases that have a number in a row, for each row.

    Attributes:
        mean: the mean, `[rows]`; NaN over no case.
        sem: its standard error, the standard deviation of the cases divided by the root of their number,
            `[rows]`; NaN over fewer than two.
    """

    mean: Numbers
    sem: Numbers


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
    """

    values: Mapping[str, Mean]
    target_prob: Mean
    target_logprob: Mean
    whole_logprob: Mean
    target_rank: Mean
    target_median_rank: Numbers
    target_top1: Mean


@dataclass(frozen=True, slots=True, eq=False)
class SetMeans:
    """Means over a number of cases.

    Attributes:
        n: the number of cases.
        n_target: the number of cases that have a target.
        left_out: the number of cases with a row that is not a number, which count in no mean of that row.
        lenses: the means by lens, under the keys of `lens_keys`.
    """

    n: int
    n_target: int
    lenses: Mapping[str, LensMeans]
    left_out: int = 0


def mean_over(readouts: Iterable[CaseReadout | FailedCase]) -> SetMeans:
    """Return the means over all cases that were read; failed ones do not count."""
    read = [readout for readout in readouts if isinstance(readout, CaseReadout)]
    names = tuple(read[0].lenses) if read else ()
    return SetMeans(
        n=len(read),
        n_target=sum(readout.target is not None for readout in read),
        lenses={name: _lens_means([readout.lenses[name] for readout in read], read) for name in names},
        left_out=sum(readout.not_numbers for readout in read),
    )


def means_by_group(readouts: Iterable[CaseReadout | FailedCase]) -> Mapping[str, SetMeans]:
    """Return the means over the cases of each group, in order of appearance; cases of none are left out."""
    groups: dict[str, list[CaseReadout | FailedCase]] = {}
    for readout in readouts:
        if readout.case.group is not None:
            groups.setdefault(readout.case.group, []).append(readout)
    return {group: mean_over(members) for group, members in groups.items()}


def _lens_means(columns: Sequence[LastColumn], read: Sequence[CaseReadout]) -> LensMeans:
    pairs = [(column, r.target.id) for column, r in zip(columns, read, strict=True) if r.target is not None]
    rows = len(columns[0].top1)

    def stacked(arrays: Iterable[npt.NDArray[np.generic]]) -> Numbers:
        """Return the arrays as `[cases, rows]`, which may have no case."""
        return np.array(list(arrays), np.float64).reshape(-1, rows)

    ranks = _known(stacked(column.target_rank for column, _ in pairs))
    return LensMeans(
        values={
            value.stored: _mean(stacked(known(column.values[value.stored]) for column in columns))
            for value in all_values()
            if value.has_mean and value.stored
        },
        target_prob=_mean(stacked(column.target_prob for column, _ in pairs)),
        target_logprob=_mean(stacked(column.target_logprob for column, _ in pairs)),
        whole_logprob=_mean(stacked(column.whole_logprob for column, _ in pairs)),
        target_rank=_mean(ranks),
        target_median_rank=_median(ranks),
        target_top1=_mean(
            stacked(np.where(column.top1 < 0, np.nan, column.top1 == target) for column, target in pairs)
        ),
    )


def _known(ranks: Numbers) -> Numbers:
    """Return ranks as numbers, NaN where there is none."""
    return np.where(ranks < 0, np.nan, ranks)


def _median(values: Numbers) -> Numbers:
    """Return each row's median over the cases of `[cases, rows]` that have a number; NaN over none."""
    columns = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(column) if column.size else np.nan for column in columns])


def _mean(values: Numbers) -> Mean:
    """Return each row's mean over the cases of `[cases, rows]` that have a number."""
    known = ~np.isnan(values)
    n = known.sum(axis=0)
    # A target that the head forbids has -inf as its mean: no reason for a warning.
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / n
        off = np.where(known, values - mean, 0.0)
        sem = np.where(n > 1, np.sqrt((off**2).sum(axis=0) / (n - 1) / n), np.nan)
    return Mean(mean, sem)
