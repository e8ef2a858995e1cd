"""The view of a prompt set: a selection of its cases, and their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lenstui.jobs.set_messages import CaseLine, ReadCase
from lenstui.lens.names import lens_title
from lenstui.readout.sets.first_rows import ABOVE, first_row, first_rows, limit_text
from lenstui.readout.sets.outlier_methods import OutlierMethod

SETTLES = "settles"
ROWS = (SETTLES, *(first.key for first in first_rows()))
"""What the last columns may show, one column for each lens."""
Key = Any  # all of one column are words, or all numbers; None goes last in either direction


@dataclass(frozen=True, slots=True)
class SortColumn:
    """A column of the table, by which it may be sorted.

    Attributes:
        name: the full name of the column.
        key: returns the word or number of a case that the table is sorted by; None where there is none.
    """

    name: str
    key: Callable[[CaseLine], Key]


# In the order of the table.
_SAME_FOR_ALL_LENSES = (
    SortColumn("number", lambda line: line.number),
    SortColumn("prompt", lambda line: line.prompt),
    SortColumn("final token", lambda line: line.final or None),
    SortColumn("final probability", lambda line: line.final_prob),
    SortColumn("target", lambda line: line.target or None),
    SortColumn("target's probability", lambda line: line.target_prob),
    SortColumn("target's rank", lambda line: line.target_rank),
)


_WHOLE = SortColumn("log p of the whole target", lambda line: line.whole_logprob)
_DIFFERENCE = SortColumn("logit of target − foil", lambda line: line.logit_diff)


@dataclass(frozen=True, slots=True)
class Pairing:
    """What both runs of each prompt are, where it is read twice, and their difference in the table.

    Attributes:
        runs: the names of the first run, the second, and their difference, as in `runs_of`.
        label: the full name of the column of the target's probability, second minus first.
        heading: its heading.
    """

    runs: tuple[str, str, str]
    label: str
    heading: str


OF_EDITS = Pairing(("clean", "edited", "effect"), "effect on the target's probability", "effect")
_SIDES = ("first", "second", "difference")
OF_MODELS = Pairing(_SIDES, "target's probability, second − first", "differ")
OF_LENSES = Pairing(_SIDES, "target's probability, second − first, mean of the rows below the last", "differ")


def _effect(line: CaseLine) -> Key:
    return line.effect


def sort_columns(
    lenses: Sequence[str],
    *,
    pairing: Pairing | None = None,
    methods: Sequence[OutlierMethod] = (),
    has_long_targets: bool = False,
    has_foils: bool = False,
    rows: str = SETTLES,
    above: float = ABOVE,
) -> tuple[SortColumn, ...]:
    """Return the columns of the table, the last of them one for each of the lenses, given by their keys.

    Args:
        lenses: the keys of the lenses.
        pairing: what both runs are, where each prompt is read twice.
        methods: the methods of their outlier scores.
        has_long_targets: whether any target is several tokens.
        has_foils: whether any of them has a foil.
        rows: which rows the last columns show: `settles`, or the key of a first row of the target.
        above: the limit of the first row where the target's probability is above it.
    """
    scores = (SortColumn(method.label, _score(place)) for place, method in enumerate(methods))
    of_rows = (
        SortColumn(rows_label(rows, above).format(lens_title(key)), _row(rows, place))
        for place, key in enumerate(lenses)
    )
    some = [_WHOLE] * has_long_targets + [_DIFFERENCE] * has_foils
    some += [] if pairing is None else [SortColumn(pairing.label, _effect)]
    return (*_SAME_FOR_ALL_LENSES, *some, *scores, *of_rows)


def _score(place: int) -> Callable[[CaseLine], Key]:
    return lambda line: line.scores[place] if place < len(line.scores) else None


def _row(rows: str, place: int) -> Callable[[CaseLine], Key]:
    def row(line: CaseLine) -> Key:
        found = rows_of(line, rows)
        return found[place] if place < len(found) else None

    return row


def rows_of(line: CaseLine, rows: str) -> tuple[int | None, ...]:
    """Return, for each lens, the index of the row that the last columns show."""
    return {SETTLES: line.settles, "leads": line.leads, "above": line.above}[rows]


def rows_label(rows: str, above: float) -> str:
    """Return what the rows of the last columns are; `{}` in it stands for the lens."""
    if rows == SETTLES:
        return "row where the {} settles"
    return f"{first_row(rows).label.format(limit_text(above))}: {{}}"


def rows_short(rows: str, above: float) -> str:
    """Return the same in a word, for a heading."""
    return SETTLES if rows == SETTLES else first_row(rows).short.format(limit_text(above))


@dataclass(frozen=True, slots=True)
class SetView:
    """A view of the cases of a prompt set: their order, and which of them are shown.

    Attributes:
        column: the index of the column by which the cases are sorted.
        descending: whether the largest comes first.
        words: the words that a shown case has to contain, in upper or lower case.
        group: the only group that is shown; None for all.
    """

    column: int = 0
    descending: bool = False
    words: str = ""
    group: str | None = None

    def of(self, cases: Iterable[ReadCase], columns: Sequence[SortColumn]) -> list[ReadCase]:
        """Return the shown cases in order, with those last that have nothing in the column of the sorting.

        Args:
            cases: all cases.
            columns: the columns of the table; of fewer than before, the last is that of the sorting.
        """
        words = self.words.casefold().split()
        shown = [case for case in cases if self._has(case.line, words)]
        key = columns[min(self.column, len(columns) - 1)].key
        with_key = [(found, case) for case in shown if (found := key(case.line)) is not None]
        without = [case for case in shown if key(case.line) is None]
        with_key.sort(key=lambda pair: pair[0], reverse=self.descending)  # stable both ways
        return [case for _, case in with_key] + without

    def _has(self, line: CaseLine, words: Sequence[str]) -> bool:
        if self.group is not None and line.group != self.group:
            return False
        parts = (line.prompt, line.group or "", line.final, line.target, line.foil, line.reason or "")
        text = " ".join(parts).casefold()
        return all(word in text for word in words)
