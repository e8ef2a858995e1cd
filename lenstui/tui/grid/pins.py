"""Pins: the tokens that the user watches, each with a colour, and their numbers in a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells

# One colour for each pin that there may be. Those who see no red or no green can tell them apart too, and all
# are readable on a dark background.
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#2bb58a", "#e8743b", "#9aa5ff", "#b8b8b8")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pinned token.

    Attributes:
        id: the id of the token.
        text: its display text.
        colour: the colour of the pin, as hex; no two pins have the same.
        word: the word as typed, if that is several tokens, of which this one is the first; else empty.
    """

    id: int
    text: str
    colour: str
    word: str = ""

    @property
    def name(self) -> str:
        """The token's display text, with an ellipsis where the token only begins a word."""
        return f"{self.text}…" if self.word else self.text

    def is_of(self, token: int, word: str) -> bool:
        """Return whether it is the pin of a token, and of that word if it begins one."""
        return (self.id, self.word) == (token, word)


@dataclass(frozen=True, slots=True)
class PinNumbers:
    """A pinned token in one cell of one lens.

    Attributes:
        logprob: its log-probability, nats.
        rank: its rank.
        whole: the log-probability of the whole word that it begins, as text; empty where it begins none, or
            the lens has no such number.
    """

    logprob: float
    rank: int
    whole: str = ""

    @property
    def probability(self) -> float:
        """The probability of the token."""
        return math.exp(self.logprob)


def with_tokens(
    pins: Sequence[Pinned], tokens: Iterable[tuple[int, str]], word: str = ""
) -> tuple[Pinned, ...]:
    """Return the pins with more tokens behind them, as far as there is room, each in the first free colour.

    A token that is pinned already, for the same word, is left out.

    Args:
        pins: the pins.
        tokens: the tokens, each with its display text.
        word: the word that the token begins, if that is several tokens.
    """
    pinned = list(pins)
    for token, text in tokens:
        taken = {pin.colour for pin in pinned}
        free = [colour for colour in COLOURS if colour not in taken]
        if free and not any(pin.is_of(token, word) for pin in pinned):
            pinned.append(Pinned(token, text, free[0], word))
    return tuple(pinned)


def without_pin(pins: Sequence[Pinned], token: int, word: str = "") -> tuple[Pinned, ...]:
    """Return the pins without that of a token, and of the word that it begins, if any."""
    return tuple(pin for pin in pins if not pin.is_of(token, word))


def numbers_at(cells: Cells | None, pins: int, row: int, column: int) -> tuple[PinNumbers | None, ...]:
    """Return the numbers of the pins in a cell, in their order.

    Numbers that are not read yet are None; where a cell has no numbers, they are NaN.
    """
    if cells is None or cells.pin_ranks.shape[2] != pins:
        return (None,) * pins
    from lenstui.readout.cells import NOT_READ  # the first paint can do without

    is_read = (cells.pin_ranks[-1, column] != NOT_READ).all()  # every lens reads the last row
    return tuple(
        None if rank < 0 and not is_read else PinNumbers(logprob, rank)
        for logprob, rank in zip(
            cells.pin_logprobs[row, column].tolist(), cells.pin_ranks[row, column].tolist(), strict=True
        )
    )
