"""The requests to the model thread about a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lenstui.edits.edit import Edit
from lenstui.opening.side_reading import SideReading
from lenstui.readout.reading import Reading
from lenstui.support.turns import Conversation


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request to read a prompt on all sides.

    Attributes:
        serial: the number of the reading.
        text: the typed prompt, which may be turns.
        page_columns: the number of columns that fit on the screen; that many at the end are read first.
        top_k: the number of likeliest tokens that each cell keeps.
        reading: the options for reading the prompt.
        pins: token ids whose numbers each cell keeps.
        tail: token ids to append to those of the text.
        words: by their place among the pins, the words of several tokens that these begin.
        ids: the token ids of the text, where it is not to be cut into tokens; else empty.
    """

    serial: int
    text: str | Conversation
    page_columns: int
    top_k: int
    reading: Reading
    pins: tuple[int, ...] = ()
    tail: tuple[int, ...] = ()
    words: Mapping[int, str] = field(default_factory=dict)
    ids: tuple[int, ...] = ()

    @property
    def of_sides(self) -> SideReading:
        """The prompt and options with which all sides are to be read."""
        return SideReading(self.text, self.reading, self.tail, self.top_k, self.pins, self.ids)


@dataclass(frozen=True, slots=True)
class Generation:
    """The options for generating tokens.

    Attributes:
        count: the most tokens to generate; of turns, the turn may end before that.
        row: the index, among the rows read, of the row that generates; None for the last, the model itself.
        kind: the kind of lens that reads that row.
        edits: the edits under which the model goes on.
        temperature: the temperature; 0 takes the likeliest token.
        seed: the seed of the draws.
    """

    count: int
    row: int | None
    kind: str
    temperature: float
    seed: int
    edits: tuple[Edit, ...] = ()
