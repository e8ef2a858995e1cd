"""A prompt set as tidy data: one observation for each case, lens and row, of the prompt's last column."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from lenstui.export.csv_text import csv_pieces
from lenstui.export.set_outliers import OutlierFacts
from lenstui.export.tidy import Column, TokenText, row_index
from lenstui.opening.source import Source, source_facts
from lenstui.readout.cells import NOT_READ, FloatArray
from lenstui.readout.sets.cases import CaseReadout, LastColumn
from lenstui.readout.sets.first_rows import ABOVE, FirstRow, first_rows, limit_text
from lenstui.readout.sets.means import names_with_mean
from lenstui.readout.sets.outlier_methods import OutlierMethod
from lenstui.readout.values import known
from lenstui.support.printable import printable

_CASES = 256  # cases that are written at a time


@dataclass(frozen=True, slots=True)
class SecondSide:
    """What is said of the second of two sides that have read a set.

    Attributes:
        source: the source of its numbers.
        names: the names of both sides, the first one's first.
        is_model: whether it is another model; else another lens of the same one, which agrees with the first
            in the last row.
    """

    source: Source
    names: tuple[str, str]
    is_model: bool = True


@dataclass(frozen=True, slots=True)
class SetHeading:
    """The facts that all cases of a prompt set share.

    Attributes:
        prompts: the name of the set: its file as the user named it.
        rows: labels of the rows that were read, top of the network last.
        source: the source of the numbers.
        exact_targets: whether targets were taken as written.
        skipped: the number of lines or rows of the file that held no prompt.
        outliers: the facts about outlier scores, where the prompts have any.
        of_turns: whether any prompt is of turns.
        has_foils: whether any prompt has a foil.
        above: the limit of the first row where the target's probability is above it.
        second: the second side, where two have read the set; `source` is then that of the first.
    """

    prompts: str
    rows: tuple[str, ...]
    source: Source
    exact_targets: bool = False
    skipped: int = 0
    outliers: OutlierFacts | None = None
    of_turns: bool = False
    has_foils: bool = False
    above: float = ABOVE
    second: SecondSide | None = None

    def facts(self) -> dict[str, Any]:
        """Return the source of the numbers, as plain values by name."""
        return source_facts(self.source) | {
            "prompts": self.prompts,
            "exact_targets": self.exact_targets,
            "skipped": self.skipped,
            "above": self.above,
            **({} if self.outliers is None else {"outliers": self.outliers.facts()}),
            **({} if self.second is None else {"against": source_facts(self.second.source)}),
        }


def tidy_groups(
    readouts: Iterable[CaseReadout], heading: SetHeading, texts: TokenText
) -> Iterator[dict[str, Column]]:
    """Yield the variables by name, of some cases at a time, in order of case, lens and row.

    Args:
        readouts: the readouts, at least one.
        heading: the heading of the set.
        texts: display texts of all tokens in the readouts.
    """
    cases = iter(readouts)
    while group := list(islice(cases, _CASES)):
        yield _tidy(group, heading, texts) if heading.second is None else _by_side(group, heading, texts)


def set_csv(readouts: Iterable[CaseReadout], heading: SetHeading, texts: TokenText) -> Iterator[str]:
    """Yield a set as CSV in pieces, in the format of `csv_text`."""
    named = ({**group, **_sets(group, heading)} for group in tidy_groups(readouts, heading, texts))
    return csv_pieces(named, heading.source)


def _by_side(group: Sequence[CaseReadout], heading: SetHeading, texts: TokenText) -> dict[str, Column]:
    """Return the variables of both sides, each case by the first and then by the second side.

    Differences, second minus first, stand on the lines of either.
    """
    firsts = [each.first for each in group if each.first is not None]
    first, second = _tidy(firsts, heading, texts), _tidy(group, heading, texts)
    lines = len(first["case"])
    order = np.arange(2 * lines).reshape(2, len(group), -1).swapaxes(0, 1).ravel()
    both = {name: np.concatenate([column, second[name]])[order] for name, column in first.items()}
    place = list(both).index("lens")
    named = list(both.items())
    side = np.repeat(np.array(["first", "second"], object), lines)[order]
    differences = {
        f"difference_{name}": np.tile(column, 2)[order] for name, column in _changes(second, first).items()
    }
    return {**dict(named[:place]), "side": side, **dict(named[place:]), **differences}


def _sets(columns: dict[str, Column], heading: SetHeading) -> dict[str, Column]:
    """Return the name of the set, and of the reference of its scores, on every line."""
    names = {"prompts": heading.prompts, "above": limit_text(heading.above)}
    if heading.outliers is not None:
        names["reference"] = heading.outliers.reference
    if heading.second is not None:
        names["first"], names["second"] = heading.second.names
    return {key: np.full(len(columns["case"]), printable(name), object) for key, name in names.items()}


def _tidy(group: Sequence[CaseReadout], heading: SetHeading, texts: TokenText) -> dict[str, Column]:
    lenses = tuple(group[0].lenses)
    shape = (len(group), len(lenses), len(heading.rows))

    def along(values: Iterable[Any], axis: int, dtype: type = object) -> Column:
        """Return values along one axis of `[cases, lenses, rows]`, flat."""
        lengths = [1, 1, 1]
        lengths[axis] = -1
        return np.broadcast_to(np.array(list(values), dtype).reshape(lengths), shape).ravel()

    def of_case(value: Callable[[CaseReadout], Any], dtype: type = object) -> Column:
        return along(map(value, group), 0, dtype)

    clean = [each.clean for each in group if each.clean is not None]
    numbers = _numbers(group, heading, texts)
    return {
        "case": of_case(lambda each: each.case.number, np.int32),
        "group": of_case(lambda each: each.case.group),
        "prompt": of_case(lambda each: each.case.text),
        **({"messages": of_case(_messages)} if heading.of_turns else {}),
        "at": of_case(lambda each: each.case.at),
        "tokens": of_case(lambda each: each.tokens, np.int32),
        "dropped": of_case(lambda each: each.dropped, np.int32),
        "final_id": of_case(lambda each: -1 if each.final_id is None else each.final_id, np.int32),
        "final_token": of_case(lambda each: each.final_text),
        "final_prob": of_case(lambda each: each.final_prob, np.float32),
        "target": of_case(lambda each: each.case.target),
        "target_id": of_case(lambda each: -1 if each.target is None else each.target.id, np.int32),
        "target_token": of_case(lambda each: each.target_text),
        # 1 where the token is the whole target, 0 where it is the first of several.
        "target_whole": of_case(lambda each: -1 if each.target is None else int(each.target.whole), np.int32),
        "target_ids": of_case(lambda each: each.target and " ".join(map(str, each.target.ids))),
        **(_foils(of_case) if heading.has_foils else {}),
        "lens": along(lenses, 1),
        "row": along(heading.rows, 2),
        "row_index": along(map(row_index, heading.rows), 2, np.int32),
        **_outliers(group, heading, of_case),
        **numbers,
        **(_before(numbers, _numbers(clean, heading, texts)) if clean else {}),
    }


def _foils(of_case: Callable[[Callable[[CaseReadout], Any], type], Column]) -> dict[str, Column]:
    """Return what is known of the foil of each case."""
    return {
        "foil": of_case(lambda each: each.case.foil, object),
        "foil_id": of_case(lambda each: -1 if each.foil is None else each.foil.id, np.int32),
        "foil_token": of_case(lambda each: each.foil_text, object),
        "foil_whole": of_case(lambda each: -1 if each.foil is None else int(each.foil.whole), np.int32),
        "foil_ids": of_case(lambda each: each.foil and " ".join(map(str, each.foil.ids)), object),
    }


def _outliers(
    group: Sequence[CaseReadout],
    heading: SetHeading,
    of_case: Callable[[Callable[[CaseReadout], Any], type], Column],
) -> dict[str, Column]:
    """Return the scores of each case, and the numbers that they are of; nothing where there are none."""
    if heading.outliers is None:
        return {}

    def score(method: OutlierMethod) -> Column:
        return of_case(lambda each: each.scores.get(method.key, math.nan), float)

    scores = {f"score_{method.stored}": score(method) for method in heading.outliers.methods}
    of_next = [of_lens for each in group for of_lens in each.next_logprob.values()]
    return {**scores, "mean_next_logprob": np.stack(of_next).ravel()}


def _messages(readout: CaseReadout) -> str | None:
    """Return the turns of a prompt as JSON; None where it is one text."""
    turns = readout.case.turns
    return None if turns is None else turns.json


def _numbers(group: Sequence[CaseReadout], heading: SetHeading, texts: TokenText) -> dict[str, Column]:
    """Return what differs by case, lens and row, flat."""
    lenses = tuple(group[0].lenses)

    def of(value: Callable[[LastColumn], Any]) -> Column:
        """Return the numbers of each case and lens, `[rows]` each, flat."""
        return np.stack([value(each.lenses[lens]) for each in group for lens in lenses]).ravel()

    def of_value(name: str) -> Column:
        return of(lambda column: column.values[name])

    def label(row: int | None) -> Column:
        return np.full(len(heading.rows), None if row is None else heading.rows[row], object)

    def first_label(first: FirstRow, column: LastColumn) -> Column:
        return label(first.of(column, heading.above))

    top = of(lambda column: column.top_id)
    return {
        "target_logprob": of(lambda column: column.target_logprob),
        "target_prob": of(lambda column: column.target_prob),
        "target_rank": of(lambda column: column.target_rank),
        "target_word_logprob": of(lambda column: column.whole_logprob),
        **(_against_foil(of) if heading.has_foils else {}),
        **{name: of_value(name) for name in group[0].lenses[lenses[0]].values},
        "top_1_id": top,
        "top_1_token": np.array([texts[token] if token >= 0 else "" for token in top.tolist()], object),
        "top_1_prob": of(lambda column: column.top_prob),
        "crystallization": of(lambda column: label(column.crystallization)),  # None: not all rows are read
        **{first.stored: of(partial(first_label, first)) for first in first_rows()},
    }


def _against_foil(of: Callable[[Callable[[LastColumn], Any]], Column]) -> dict[str, Column]:
    """Return the numbers of the foil of each case, by lens and row, and its differences from the target."""

    def none(column: LastColumn) -> FloatArray:
        return np.full(len(column.top_prob), np.nan, np.float32)

    return {
        "foil_logprob": of(lambda column: column.foil.logprob if column.foil else none(column)),
        "foil_rank": of(
            lambda column: column.foil.rank if column.foil else np.full(len(column.top1), NOT_READ, np.int32)
        ),
        "foil_word_logprob": of(lambda column: column.foil.whole_logprob if column.foil else none(column)),
        "logit_diff": of(lambda column: column.logit_diff),
        "word_logprob_diff": of(lambda column: column.whole_diff),
    }


def _before(edited: dict[str, Column], clean: dict[str, Column]) -> dict[str, Column]:
    """Return the numbers of the clean runs beside those of edited ones, and what the edits change."""
    return {
        **{f"clean_{name}": column for name, column in clean.items()},
        **{f"effect_{name}": column for name, column in _changes(edited, clean).items()},
    }


def _changes(after: dict[str, Column], before: dict[str, Column]) -> dict[str, Column]:
    """Return the differences of the numbers of two runs by name; NaN where either is missing."""
    taken = {"logit_diff", "word_logprob_diff", *names_with_mean()}
    of_words = re.compile(r"(target|foil)_(logprob|prob|rank|word_logprob)")
    names = [name for name in after if name in taken or of_words.fullmatch(name)]
    with np.errstate(invalid="ignore"):  # a token that the head forbids: −∞ − −∞
        return {name: known(after[name]) - known(before[name]) for name in names}
