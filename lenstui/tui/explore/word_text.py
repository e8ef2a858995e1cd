"""The lines of pinned words of several tokens in a cell: their sums, token by token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

from lenstui.model.tokens import visible
from lenstui.readout.number_texts import logprob_text
from lenstui.support.fixed_text import NONE

if TYPE_CHECKING:
    from lenstui.opening.side_reading import SideWord
    from lenstui.tui.explore.words import Words


def words_text(words: Words, place: int, row: int) -> Text:
    """Return a line for each pinned word of several tokens, in a row of a side; none where none is pinned.

    Args:
        words: the pinned words.
        place: the place of the side.
        row: the index of the row.
    """
    lines = [_line(words, place, row, word) for word in words.pinned]
    return Text("\n").join(lines)


def _line(words: Words, place: int, row: int, word: str) -> Text:
    line = Text.assemble((visible(word), "bold"), ": ")
    read, of_side = words.read, words.at(place, word)
    if read is None:
        return line.append("…")
    if of_side is None or of_side.logprobs is None:
        return line.append(read.failure or (NONE if of_side is None else of_side.missing), "dim")
    total = of_side.logprobs[row].sum(dtype=float)
    if math.isnan(total):
        return line.append(NONE, "dim")
    line.append("log p of the whole ", "dim").append(logprob_text(total)).append(" = ", "dim")
    return line.append_text(_pieces(words, of_side, row))


def _pieces(words: Words, word: SideWord, row: int) -> Text:
    """Return the tokens of a word, each with its log-probability given those before it: they add up."""
    assert words.read is not None and word.logprobs is not None
    texts, pieces = words.read.texts, Text()
    for place, (token, logprob) in enumerate(zip(word.ids, word.logprobs[row].tolist(), strict=True)):
        pieces.append(" + " if place else "first token ", "dim")
        pieces.append(texts[token]).append(f" {logprob_text(logprob)}", "dim")
    return pieces
