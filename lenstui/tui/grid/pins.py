"""Pins: the tokens that the user watches, each with a colour, and their numbers in a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lenstui.readout.cells import NOT_READ, Cells

# One colour for each pin that there may be. Those who see no red or no green can tell them apart too, and all
# are readable on a dark background.
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#2bb58a", "#e8743b", "#9aa5ff", "#b8b8b8")
PLOTTED = ("prob", "rank", "logprob")  # the numbers of pins that may be plotted by row


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pinned token.

    Attributes:
        id: the id of the token.
        text: its display text.
        colour: the colour of the pin, as hex; no two pins have the same.
    """

    id: int
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class PinNumbers:
    """A pinned token in one cell of one lens: its log-probability in nats, and its rank."""

    logprob: float
    rank: int

    @property
    def probability(self) -> float:
        """The probability of the token."""
        return math.exp(self.logprob)


def with_tokens(pins: Sequence[Pinned], tokens: Iterable[tuple[int, str]]) -> tuple[Pinned, ...]:
    """Return the pins with more tokens behind them, as far as there is room, each in the first free colour.

    A token that is pinned already is left out.
    """
    pinned = list(pins)
    for token, text in tokens:
        taken = {pin.colour for pin in pinned}
        free = [colour for colour in COLOURS if colour not in taken]
        if free and all(pin.id != token for pin in pinned):
            pinned.append(Pinned(token, text, free[0]))
    return tuple(pinned)


def without_token(pins: Sequence[Pinned], token: int) -> tuple[Pinned, ...]:
    """Return the pins without one token."""
    return tuple(pin for pin in pins if pin.id != token)


def numbers_at(cells: Cells | None, pins: int, row: int, column: int) -> tuple[PinNumbers | None, ...]:
    """Return the numbers of the pins in a cell, in their order.

    Numbers that are not read yet are None; where a cell has no numbers, they are NaN.
    """
    if cells is None or cells.pin_ranks.shape[2] != pins:
        return (None,) * pins
    is_read = (cells.pin_ranks[-1, column] != NOT_READ).all()  # every lens reads the last row
    return tuple(
        None if rank < 0 and not is_read else PinNumbers(logprob, rank)
        for logprob, rank in zip(
            cells.pin_logprobs[row, column].tolist(), cells.pin_ranks[row, column].tolist(), strict=True
        )
    )
