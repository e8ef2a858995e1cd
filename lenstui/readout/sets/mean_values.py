"""The registry of means over a prompt set: those of the target, and of every value that has a mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.readout.number_texts import (
    nats_error_text,
    nats_text,
    percent_error_text,
    points_text,
    probability_text,
    rank_text,
    signed_nats_text,
    signed_text,
)
from lenstui.readout.values import Value, all_values

if TYPE_CHECKING:  # these need torch
    from lenstui.readout.sets.means import LensMeans, Mean, Numbers, SetMeans


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanValue:
    """One of the means over a prompt set: its meaning and its display.

    Attributes:
        key: the short name, as the command line spells it; empty for a mean that only JSON has.
        stored: the name in JSON.
        of: returns the means by row and their standard errors, `[rows]` each; None for the errors of a
            median.
        label: the caption of a table.
        plotted: the caption of a plot.
        n: returns the number of cases that the mean is over.
        n_first: returns the number of those whose word is several tokens while the mean takes the first one.
        of_foil: whether these are the cases that have a foil.
        is_signed: whether its numbers are of either sign, so that an axis goes to both sides of 0.
        is_rank: whether its axis in a plot is one of ranks.
        is_logprob: whether its axis in a plot goes down from 0.
        is_share: whether it is a share of 1 and shown in percent, so that differences are in points.
        format: returns one mean as text.
        error_format: returns one standard error as text.
        option: the remark in `--help` on a value that only prompt sets have.
    """

    key: str = ""
    stored: str
    of: Callable[[LensMeans], tuple[Numbers, Numbers | None]]
    label: str = ""
    plotted: str = ""
    n: Callable[[SetMeans], int] = lambda means: means.n
    n_first: Callable[[SetMeans], int] = lambda means: 0
    of_foil: bool = False
    is_signed: bool = False
    is_rank: bool = False
    is_logprob: bool = False
    is_share: bool = False
    format: Callable[[float], str] = nats_text
    error_format: Callable[[float], str] | None = None
    option: str = ""

    def first_text(self, means: SetMeans) -> str:
        """Return how many of the words are several tokens, and stand for their first one; or nothing."""
        first = self.n_first(means)
        return f"{first} of {self.n(means)} by first token (…)" if first else ""

    def difference_text(self, number: float) -> str:
        """Return a difference of two means as text, with its sign; of shares in points."""
        if self.is_signed:
            return self.format(number)
        return signed_text(number, points_text if self.is_share else self.format)


def _with_error(mean: Mean) -> tuple[Numbers, Numbers]:
    return mean.mean, mean.sem


def _n_target(means: SetMeans) -> int:
    return means.n_target


def _n_long(means: SetMeans) -> int:
    return means.n_long


_OF_TARGET = (
    MeanValue(
        key="prob",
        stored="target_prob",
        of=lambda means: _with_error(means.target_prob),
        label="probability of the target, mean ± standard error in percent",
        plotted="mean probability of the target",
        n=_n_target,
        n_first=_n_long,
        is_share=True,
        format=probability_text,
        error_format=percent_error_text,
    ),
    MeanValue(
        key="rank",
        stored="target_median_rank",
        of=lambda means: (means.target_median_rank, None),
        label="rank of the target, median",
        plotted="median rank of the target",
        n=_n_target,
        n_first=_n_long,
        is_rank=True,
        format=rank_text,
    ),
    MeanValue(
        key="whole",
        stored="target_word_logprob",
        of=lambda means: _with_error(means.whole_logprob),
        label="log-probability of the whole target, mean ± standard error in nats",
        plotted="mean log-probability of the whole target, nats",
        n=_n_target,
        is_logprob=True,
        format=nats_text,
        error_format=nats_error_text,
        option="of the whole target",
    ),
    MeanValue(
        key="foil-diff",
        stored="logit_diff",
        of=lambda means: _with_error(means.logit_diff),
        label="logit of the target minus that of the foil, mean ± standard error",
        plotted="mean logit of target − foil",
        option="logit of the target minus that of the foil",
        n=lambda means: means.n_diff,
        n_first=lambda means: means.n_diff_long,
        of_foil=True,
        is_signed=True,
        format=signed_nats_text,
        error_format=nats_error_text,
    ),
    MeanValue(
        key="foil-whole",
        stored="word_logprob_diff",
        of=lambda means: _with_error(means.whole_diff),
        label="log p of the whole target minus that of the whole foil, mean ± standard error in nats",
        plotted="mean log-probability of target − foil, whole, nats",
        option="the same of log p of whole words",
        n=lambda means: means.n_foil,
        of_foil=True,
        is_signed=True,
        format=signed_nats_text,
        error_format=nats_error_text,
    ),
    MeanValue(stored="target_logprob", of=lambda means: _with_error(means.target_logprob), n=_n_target),
    MeanValue(stored="target_rank", of=lambda means: _with_error(means.target_rank), n=_n_target),
    MeanValue(stored="target_top1", of=lambda means: _with_error(means.target_top1), n=_n_target),
)


def _mean_of(value: Value, stored: str) -> MeanValue:
    unit = value.unit
    return MeanValue(
        key=value.key,
        stored=stored,
        of=lambda means: _with_error(means.values[stored]),
        label=f"{value.label}, mean ± standard error{f' in {unit}' if unit else ''}",
        plotted=f"mean {value.label}{f', {unit}' if unit else ''}",
        is_share=value.is_share,
        format=value.format,
        error_format=value.error_format,
    )


def all_means() -> tuple[MeanValue, ...]:
    """Return every mean: those of the target, then those of the registry of values, in its order."""
    of_values = (_mean_of(value, value.stored) for value in all_values() if value.has_mean and value.stored)
    return (*_OF_TARGET, *of_values)


def shown_means() -> tuple[MeanValue, ...]:
    """Return the means that tables and plots may show, in the order of all lists."""
    return tuple(mean for mean in all_means() if mean.key)
