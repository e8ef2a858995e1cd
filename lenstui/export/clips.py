"""Parts of a readout as text for the clipboard: a line, or a table with tabs between its fields.

Numbers are written in six significant digits, for spreadsheets; only the whole table has them as on screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lenstui.export.difference import DIFFERENT, Difference, differing
from lenstui.export.tidy import TokenText, top_text
from lenstui.lens.names import lens_brief, lens_title
from lenstui.model.not_finite import IN_CELL
from lenstui.model.rows import meaning_of
from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, Cells
from lenstui.readout.number_texts import probability_text, rank_text
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.values import Value, cell_numbers


@dataclass(frozen=True, slots=True)
class Clip:
    """The readout that parts are copied from.

    Attributes:
        rows: labels of the rows, `emb` first.
        tokens: display texts of the input tokens.
        lenses: all cells by lens, under their keys.
        texts: display texts of all tokens in the cells.
        value: the value that is shown.
        pins: display texts of the pinned tokens, in the order of the cells' last axis.
        words_only: whether the cells' tokens are those with a letter or digit.
        other_rows: the labels of the rows, by lens, of models that are not as deep as the first.
    """

    rows: Sequence[str]
    tokens: Sequence[str]
    lenses: Mapping[str, Cells]
    texts: TokenText
    value: Value
    pins: Sequence[str] = ()
    words_only: bool = False
    other_rows: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def rows_of(self, lens: str) -> Sequence[str]:
        """Return the labels of the rows of a lens's cells."""
        return self.other_rows.get(lens, self.rows)

    @property
    def rows_of_all(self) -> list[str]:
        """The labels of the rows by all lenses: `3`, or `3 │ 7` where these differ."""
        of_lenses = dict.fromkeys(tuple(self.rows_of(lens)) for lens in self.lenses) or [self.rows]
        return [" │ ".join(labels) for labels in zip(*of_lenses, strict=True)]

    @property
    def mark(self) -> str:
        """The readout filter in words, behind what it holds for; empty where it is off."""
        return f" · {WORDS_ONLY}" * self.words_only

    def unread(self, column: int | None = None) -> int | None:
        """Return the first unread column, of all columns or of one; None if there is none."""
        columns = slice(None) if column is None else slice(column, column + 1)
        for cells in self.lenses.values():
            if cells.pin_ranks.shape[2] != len(self.pins):
                return column or 0
            # Every lens has the last row, which is read with the rest of its column.
            no_pins = (cells.pin_ranks[-1, columns] == NOT_READ).any(-1)
            unread = (cells.top1[-1, columns] == NOT_READ) | no_pins
            if unread.any():
                return int(unread.argmax()) + (column or 0)
        return None


def top_line(cells: Cells, texts: TokenText, row: int, column: int, count: int) -> str:
    """Return the likeliest tokens of a cell as text: `·blue 31%  ·the 8%`."""
    ids, probs = cells.top_ids[row, column, :count], cells.top_probs[row, column, :count]
    return "  ".join(
        f"{texts[token]} {probability_text(prob)}"
        for token, prob in zip(ids.tolist(), probs.tolist(), strict=True)
    )


def cell_text(clip: Clip, row: int, column: int) -> str:
    """Return one cell by every lens as text: all tokens that the cell keeps, and its numbers in words."""
    follows = f' → next "{clip.tokens[column + 1]}"' if column + 1 < len(clip.tokens) else ""
    of_lenses = dict.fromkeys(tuple(clip.rows_of(lens)) for lens in clip.lenses)
    meaning = " │ ".join(meaning_of(labels[row], labels[-1]) for labels in of_lenses)
    where = f'row {clip.rows_of_all[row]} · {meaning} · column {column} "{clip.tokens[column]}"'
    lines = [f"{where}{follows}{clip.mark}"]
    for name, cells in clip.lenses.items():
        if cells.top1[row, column] == NOT_READ:  # a fitted lens reads no sublayer rows
            continue
        if cells.top1[row, column] == NOT_A_NUMBER:
            lines.append(f"{lens_title(name)}: {IN_CELL}")
            continue
        numbers = (
            f"{value.name} {value.amount(number)}"
            for value, number in cell_numbers(cells, row, column)
            if not value.of_next
        )
        tokens = top_line(cells, clip.texts, row, column, cells.top_ids.shape[2])
        lines += [f"{lens_title(name)}: {tokens}", f"{lens_title(name)}: {', '.join(numbers)}"]
        for place, pin in enumerate(clip.pins):
            prob = probability_text(float(np.exp(cells.pin_logprobs[row, column, place])))
            rank = rank_text(int(cells.pin_ranks[row, column, place]))
            lines.append(f'{lens_title(name)}: pinned "{pin}" {prob}, rank {rank}')
    return "\n".join(lines) + "\n"


def row_text(clip: Clip, row: int) -> str:
    """Return a row as text, one line a column: each lens's likeliest token, its value, and the pins."""
    columns = map(str, range(len(clip.tokens)))
    fields = _fields(clip, row, slice(None))
    return _lines(["column", "token", *_heads(clip)], zip(columns, clip.tokens, *fields, strict=True))


def column_text(clip: Clip, column: int) -> str:
    """Return a column as text, one line a row, `emb` first: each lens's top-1, its value, and the pins."""
    fields = _fields(clip, slice(None), column)
    return _lines(["row", *_heads(clip)], zip(clip.rows_of_all, *fields, strict=True))


def table_text(clip: Clip, *, diff: bool = False) -> str:
    """Return all cells as on screen, one line for each lens and row, the top of the network first.

    Args:
        clip: the readout.
        diff: whether to write the second lens minus the first in place of both.
    """
    lines = _differences(clip) if diff else _both(clip)
    return _lines([f"lens{clip.mark}", "row", *clip.tokens], lines)


def _both(clip: Clip) -> Iterator[list[str]]:
    for name, cells in clip.lenses.items():
        ids, values = cells.top_ids[:, :, 0], clip.value.of(cells)
        for row in reversed(range(len(clip.rows))):
            shown = (
                f"{clip.texts[token]} {clip.value.format(number)}"
                if token >= 0
                else top_text(clip.texts, token)
                for token, number in zip(ids[row].tolist(), values[row].tolist(), strict=True)
            )
            yield [lens_brief(name), clip.rows_of(name)[row], *shown]


def _differences(clip: Clip) -> Iterator[list[str]]:
    """Yield the second lens's tokens with the differences, marked where another token leads by the first."""
    difference = Difference.of_two(clip.value, clip.lenses)
    left, right = difference.pair(clip.lenses)
    ids, numbers, marked = right.top_ids[:, :, 0], difference.of(left, right), differing(left, right)
    labels = clip.rows_of_all
    for row in reversed(range(len(labels))):
        shown = (
            f"{clip.texts[token]} {difference.format(number)}{f' {DIFFERENT}' if mark else ''}"
            if token >= 0
            else top_text(clip.texts, token)
            for token, number, mark in zip(
                ids[row].tolist(), numbers[row].tolist(), marked[row].tolist(), strict=True
            )
        )
        yield [difference.title, labels[row], *shown]


def _heads(clip: Clip) -> list[str]:
    value = f"{clip.value.label}{f', {clip.value.unit}' if clip.value.unit else ''}"
    return [
        f"{lens_brief(name)} {head}"
        for name in clip.lenses
        for head in (f"top-1{clip.mark}", value, *(f"p({pin})" for pin in clip.pins))
    ]


def _fields(clip: Clip, row: int | slice, column: int | slice) -> list[list[str]]:
    """Return the fields under `_heads`, along a row or a column."""
    fields = []
    for cells in clip.lenses.values():
        ids = cells.top_ids[row, column, 0].tolist()
        fields.append([clip.texts[token] if token >= 0 else "" for token in ids])
        fields.append(_digits(clip.value.of(cells)[row, column].tolist()))
        probs = np.exp(cells.pin_logprobs[row, column])
        fields.extend(_digits(probs[..., place].tolist()) for place in range(len(clip.pins)))
    return fields


def _digits(numbers: Iterable[float]) -> list[str]:
    return ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]


def _lines(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    return "".join("\t".join(fields) + "\n" for fields in (head, *lines))
