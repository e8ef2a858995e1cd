"""Texts of a prompt set's means, groups and targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from lenstui.export.crystallization import settled_text
from lenstui.lens.names import lens_title
from lenstui.readout.number_texts import (
    logprob_text,
    probability_text,
    rank_text,
    signed_nats_text,
    signed_text,
)
from lenstui.readout.sets.cases import CaseReadout, FailedCase, LastColumn
from lenstui.readout.sets.first_rows import FirstRow, first_rows, limit_text
from lenstui.readout.sets.mean_values import MeanValue, shown_means
from lenstui.readout.sets.means import (
    SetMeans,
    effects_by_group,
    effects_over,
    mean_over,
    means_by_group,
)
from lenstui.support.fixed_text import NONE, fixed_text

EDITED = ("clean", "edited", "effect")
"""The two runs of a pair under edits, and what their differences are called."""
SIDES = ("first", "second", "difference")
"""The two runs of a pair by two models or lenses, and what their differences are called."""
ONE_PROMPT = "(1): of a single prompt there is a number, but no standard error"
"""What is said below means of which some are of one case."""

_Cases = Sequence[CaseReadout | FailedCase]
_Means = TypeVar("_Means")


@dataclass(frozen=True, slots=True)
class MeanColumn:
    """A column of a table of means.

    Attributes:
        group: the name of the group with its number of cases.
        name: the name alone.
        means: the means.
        run: of pairs the run, `clean`, `edited`, `first` or `second`, or `effect` or `difference` for the
            means of differences; else empty.
    """

    group: str
    name: str
    means: SetMeans
    run: str = ""

    @property
    def is_difference(self) -> bool:
        """Whether the means are those of differences."""
        return self.run in {EDITED[2], SIDES[2]}

    @property
    def head(self) -> str:
        """The head of the column where groups stand side by side."""
        return f"{self.group} {self.run}".rstrip()

    def texts(self, value: MeanValue, lens: str) -> list[tuple[str, str]]:
        """Return the means by a lens and their standard errors as text by row, `emb` first.

        An error may be empty.
        """
        numbers, errors = value.of(self.means.lenses[lens])
        text_of = value.difference_text if self.is_difference else value.format
        texts = [text_of(number) for number in numbers.tolist()]
        if errors is None or value.error_format is None:
            return [(text, "") for text in texts]
        shown = ("" if math.isnan(error) else f"±{value.error_format(error)}" for error in errors.tolist())
        return list(zip(texts, shown, strict=True))

    def first_texts(self, key: str, lens: str) -> tuple[str, str]:
        """Return the mean of a first row by a lens with its error as text, and over how many cases it is."""
        found, n = self.means.lenses[lens].first[key], self.means.n_target
        of = f"({found.n} of {n})"
        if not found.n:
            return NONE, of
        text = fixed_text(found.mean, 1)
        if self.is_difference:
            text = signed_text(found.mean, lambda size: fixed_text(size, 1))
        return (text if math.isnan(found.sem) else f"{text} ±{fixed_text(found.sem, 1)}"), of


def mean_value(key: str | None, readouts: Sequence[CaseReadout | FailedCase]) -> MeanValue:
    """Return the means with a key; for None the target's probability, or KL where no case has a target."""
    if key is None:
        has_target = any(isinstance(each, CaseReadout) and each.target for each in readouts)
        key = "prob" if has_target else "kl"
    return next(value for value in shown_means() if value.key == key)


def columns_of(
    readouts: Sequence[CaseReadout | FailedCase], value: MeanValue, above: float
) -> list[MeanColumn]:
    """Return the means over each group and over all; of pairs three of each: both runs, and the difference.

    Args:
        readouts: the readouts of all cases.
        value: the means that are shown.
        above: the limit of the first row where the target's probability is above it.
    """
    runs = runs_of(readouts)
    if runs is None:
        groups = _with_all(
            means_by_group(readouts, above=above), readouts, lambda each: mean_over(each, above=above)
        )
        return [MeanColumn(_head(name, means, value), name, means) for name, means in groups if means.lenses]
    columns = []
    effects_of = effects_by_group(readouts, above=above)
    for name, effects in _with_all(effects_of, readouts, lambda each: effects_over(each, above=above)):
        if effects.effect.lenses:
            head = _head(name, effects.effect, value)
            columns += [
                MeanColumn(head, name, means, run)
                for run, means in zip(runs, (effects.clean, effects.edited, effects.effect), strict=True)
            ]
    return columns


def caption(lens: str, value: MeanValue, columns: Sequence[MeanColumn]) -> str:
    """Return the caption of the means by a lens; it says where words are counted by their first token."""
    first = "" if not columns else value.first_text(columns[-1].means)
    return " · ".join(filter(None, [lens_title(lens), value.label, first]))


def first_caption(columns: Sequence[MeanColumn]) -> str:
    """Return the caption of the means of first rows."""
    first = mean_value("prob", ()).first_text(columns[-1].means)
    said = "first rows of the target: mean index (emb is 0) ± standard error, over the prompts that have one"
    said += " in both runs" if columns[-1].run else ""
    return " · ".join(filter(None, [said, first]))


def lacks_errors(columns: Iterable[MeanColumn], value: MeanValue) -> bool:
    """Return whether any column has no standard errors, though the value has, as it is of one case."""
    return value.error_format is not None and any(value.n(column.means) == 1 for column in columns)


def runs_of(readouts: Iterable[CaseReadout | FailedCase]) -> tuple[str, str, str] | None:
    """Return what both runs of each case, and their difference, are called; None where there is one run."""
    read = (each for each in readouts if isinstance(each, CaseReadout))
    pair = next((each for each in read if each.before is not None), None)
    return None if pair is None else SIDES if pair.first is not None else EDITED


def changed_text(runs: tuple[str, str, str]) -> str:
    """Return what two texts with an arrow between them are."""
    return f"{runs[0]} → {runs[1]}"


def effect_text(runs: tuple[str, str, str]) -> str:
    """Return what the means of differences are."""
    of = "what the edits change" if runs == EDITED else "the difference"
    return (
        f"{runs[2]}: the mean of {of} in each prompt, {runs[1]} − {runs[0]}, with its standard error; of "
        "probabilities in points"
    )


def _with_all(
    groups: Mapping[str, _Means], readouts: _Cases, over: Callable[[_Cases], _Means]
) -> Iterator[tuple[str, _Means]]:
    """Yield the means of each group by its name, then those of all cases, unless one group is all of them."""
    yield from groups.items()
    if len(groups) != 1 or _some_without(readouts):
        yield "all", over(readouts)


def _head(name: str, means: SetMeans, value: MeanValue) -> str:
    return f"{name} ({value.n(means)})"


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


def final_texts(readout: CaseReadout, token_text: Callable[[str], str] = str) -> tuple[str, str]:
    """Return the final token and its probability; under edits what each was before, and is now.

    Args:
        readout: the readout.
        token_text: returns the display text of a token as it is to be written.
    """
    token = _changed(
        readout, lambda each: token_text(each.final_text) if each.final_text else NONE, once=True
    )
    return token, _changed(readout, lambda each: probability_text(each.final_prob))


def target_text(readout: CaseReadout) -> str:
    """Return the display text of the target's token, with an ellipsis unless it is the whole target."""
    if readout.target is None:
        return ""
    return f"{readout.target_text}{'' if readout.target.whole else '…'}"


def foil_text(readout: CaseReadout) -> str:
    """Return the display text of the foil's token, with an ellipsis unless it is the whole foil."""
    if readout.foil is None:
        return ""
    return f"{readout.foil_text}{'' if readout.foil.whole else '…'}"


def difference_text(readout: CaseReadout) -> str:
    """Return the final logit of the target minus that of the foil; empty without a foil."""
    if readout.foil is None:
        return ""
    return _changed(readout, lambda each: signed_nats_text(float(_any_lens(each).logit_diff[-1])))


def foil_sentence(readout: CaseReadout) -> str:
    """Return what the logit difference of a case is of, and what it is of whole words; empty without a foil.

    Where a word is several tokens, a difference of logits is that of the first ones, marked by an ellipsis.
    """
    if readout.foil is None or readout.target is None:
        return readout.no_difference
    texts = (target_text(readout), foil_text(readout))
    said = readout.no_difference or f"logit of {texts[0]} − {texts[1]}: {difference_text(readout)}"
    if readout.target.rest or readout.foil.rest:
        said += f" · log p of both whole: {_changed(readout, _whole_difference)}"
    return said


def _whole_difference(readout: CaseReadout) -> str:
    finals = (float(column.whole_diff[-1]) for column in readout.lenses.values())
    return signed_nats_text(next((number for number in finals if not math.isnan(number)), math.nan))


def whole_text(readout: CaseReadout) -> str:
    """Return the final log-probability of the whole target as text; empty unless it is several tokens."""
    return _changed(readout, _whole_text) if readout.has_long_target else ""


def whole_number(readout: CaseReadout) -> float:
    """Return the final log-probability of the whole target; NaN where no lens has it."""
    finals = (float(column.whole_logprob[-1]) for column in readout.lenses.values())
    return next((number for number in finals if not math.isnan(number)), math.nan)


def _whole_text(readout: CaseReadout) -> str:
    return logprob_text(whole_number(readout))


def target_numbers(readout: CaseReadout) -> tuple[str, str]:
    """Return final probability and rank of the target as text; under edits what they were and are."""
    if readout.target is None:
        return "", ""
    return (
        _changed(readout, lambda each: probability_text(float(_any_lens(each).target_prob[-1]))),
        _changed(readout, lambda each: rank_text(float(_any_lens(each).target_rank[-1]))),
    )


def target_difference(readout: CaseReadout, *, of_models: bool = True) -> float:
    """Return by how much the target's probability differs between both runs of a pair; NaN for none.

    Args:
        readout: the later run.
        of_models: whether it is that of the last row; else of all rows below it, in the mean, since two
            lenses of one model agree in the last.
    """
    if readout.target is None or readout.before is None:
        return math.nan
    after, before = (_any_lens(each).target_prob for each in (readout, readout.before))
    differences = np.asarray(after, float) - np.asarray(before, float)
    if of_models or len(differences) == 1:
        return float(differences[-1])
    known = differences[:-1][~np.isnan(differences[:-1])]
    return float(known.mean()) if len(known) else math.nan


def change_text(readout: CaseReadout) -> str:
    """Return final token and target by both runs of a pair, on one line; nothing for a single run."""
    if readout.before is None:
        return ""
    final = " ".join(final_texts(readout))
    if readout.target is None:
        return f"final {final}"
    prob, rank = target_numbers(readout)
    return f"final {final} · {target_text(readout)} {prob}, rank {rank}"


def settled(readout: CaseReadout, rows: Sequence[str]) -> list[str]:
    """Return the row where the top-1 settles, by lens; under edits the one before, and the one now."""

    def settles(lens: str) -> str:
        return _changed(
            readout, lambda each: settled_text(rows, each.lenses[lens].crystallization), once=True
        )

    return list(map(settles, readout.lenses))


def first_row_texts(readout: CaseReadout, rows: Sequence[str], above: float) -> list[str]:
    """Return each first row of the target by each lens, as `settled` does; empty without a target."""

    def label(first: FirstRow, lens: str, each: CaseReadout) -> str:
        return settled_text(rows, first.of(each.lenses[lens], above))

    if readout.target is None:
        return [""] * (len(first_rows()) * len(readout.lenses))
    return [
        _changed(readout, partial(label, first, lens), once=True)
        for first in first_rows()
        for lens in readout.lenses
    ]


def first_row_heads(lenses: Sequence[str], above: float) -> list[str]:
    """Return the heading of each text of `first_row_texts`."""
    return [f"{lens} {first.short.format(limit_text(above))}" for first in first_rows() for lens in lenses]


def _any_lens(readout: CaseReadout) -> LastColumn:
    return next(iter(readout.lenses.values()))  # in the last row all lenses agree


def _changed(readout: CaseReadout, text_of: Callable[[CaseReadout], str], *, once: bool = False) -> str:
    """Return a text of a readout; of a pair that of the other run before it.

    Args:
        readout: the readout.
        text_of: returns the text.
        once: whether the same text twice is written once.
    """
    text = text_of(readout)
    if readout.before is None:
        return text
    before = text_of(readout.before)
    return text if once and before == text else f"{before} → {text}"
