"""What is asked of the model thread about a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from lenstui.opening.side_reading import SideReading
from lenstui.readout.reading import Reading


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One prompt to read.

    Attributes:
        serial: which reading this is.
        text: the prompt.
        page_columns: how many columns fit on the screen; that many at the end are read first.
        top_k: how many tokens each cell keeps.
        reading: how it is read.
        pins: tokens whose numbers each cell keeps.
        tail: token ids to put behind those of the text.
    """

    serial: int
    text: str
    page_columns: int
    top_k: int
    reading: Reading
    pins: tuple[int, ...] = ()
    tail: tuple[int, ...] = ()

    @property
    def of_sides(self) -> SideReading:
        """How every side is to be read."""
        return SideReading(self.text, self.reading, self.tail, self.top_k, self.pins)


@dataclass(frozen=True, slots=True)
class Generation:
    """What to say more.

    Attributes:
        count: how many tokens at most.
        row: index among the rows that are read of the one that speaks; None for the last, the model itself.
        kind: of lens that reads that row.
        temperature: 0 takes the likeliest token.
        seed: of the draws.
    """

    count: int
    row: int | None
    kind: str
    temperature: float
    seed: int
