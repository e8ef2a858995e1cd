"""The pins' numbers in the last column, as the texts of a table: by row, the top of the network first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.tidy import TokenText, pin_text
from lenstui.lens.kinds import reads_next
from lenstui.model.tokens import visible
from lenstui.readout.number_texts import logprob_text, probability_text, rank_text
from lenstui.readout.pins import Pin

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout
    from lenstui.readout.words import WordReading

Words = Mapping[int, "WordReading"]
"""Pinned words of several tokens, by their place among the pins."""


def pinned_title(lens: str, words: Words) -> str:
    """Return what the numbers of a lens's table are: those of a token, and those of a whole word."""
    title = "pinned, in the last column: probability, rank"
    if not words:
        return title
    if not _sums(lens):
        return f"{title}; of a word of several tokens (…) its first one's, as they add up to nothing here"
    return f"{title} (… of the first token); of a whole word: log p in nats, that of its first token"


def pinned_heads(lens: str, pins: Sequence[Pin], words: Words, texts: TokenText) -> Iterator[str]:
    """Yield the heads of a lens's table: each pinned token, and behind it its word if that goes on."""
    for place, pin in enumerate(pins):
        yield pin_text(texts, pin)
        if place in words and _sums(lens):
            yield f"whole {visible(pin.word)}"


def pinned_texts(readout: Readout, lens: str, words: Words) -> Iterator[list[tuple[str, str]]]:
    """Yield the texts of each row: a pin's probability and rank; log p of its word and of the first token."""
    labels, cells = readout.rows_of(lens)
    probs, ranks = np.exp(cells.pin_logprobs[:, -1]), cells.pin_ranks[:, -1]
    sums = {
        place: dict(zip(word.rows, word.logprob(lens).tolist(), strict=True)) for place, word in words.items()
    }
    for row, label in reversed(list(enumerate(labels))):
        line: list[tuple[str, str]] = []
        for place, (prob, rank) in enumerate(zip(probs[row].tolist(), ranks[row].tolist(), strict=True)):
            line.append((probability_text(prob), rank_text(rank)))
            if place in words and _sums(lens):
                first = float(cells.pin_logprobs[row, -1, place])
                line.append((logprob_text(sums[place][label]), logprob_text(first)))
        yield line


def _sums(lens: str) -> bool:
    """Return whether the log-probabilities of a word's tokens add up by a lens, given its key."""
    return reads_next(lens.partition(":")[0])
