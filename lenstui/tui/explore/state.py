"""What Explore shows: the open model, its sides, the prompt, and how that is read. Its parts share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lenstui.jobs.messages import OpenModel
from lenstui.opening.side_facts import SideFacts
from lenstui.readout.reading import Reading
from lenstui.tui.grid.cells import Cursor


@dataclass(slots=True, eq=False)
class ExploreState:
    """What Explore shows, or has asked for.

    Attributes:
        prompt: the text that is read, or is to be read once a model is open.
        model: the open model, with its sides.
        serial: the number of the last reading; messages of earlier ones are passed over.
        is_awaited: the columns of that reading are not known yet.
        rows: labels of the rows on screen, the first one first.
        columns: display texts of the input tokens on screen.
        others: the same by place, for the sides with a prompt of their own.
        reading: how the prompt is to be read from now on.
        shown_reading: how the columns on screen were read.
        texts: display texts of the tokens on screen, by id.
        first_cursor: where the cursor goes once the columns are known; None for the end of the prompt.
        keeps_column: the cursor stays in its column when the prompt is read in another way.
        stem: the part of a prompt with appended tokens that was typed.
        tail: ids of the tokens behind the stem, as asked for.
        shown_tail: the same, as on screen.
        is_downloading: the model that is being loaded is downloaded, which can be stopped.
    """

    prompt: str
    model: OpenModel | None = None
    serial: int = 0
    is_awaited: bool = False
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    others: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    shown_reading: Reading = field(default_factory=Reading)
    texts: dict[int, str] = field(default_factory=dict)
    first_cursor: Cursor | None = None
    keeps_column: bool = False
    stem: str = ""
    tail: tuple[int, ...] = ()
    shown_tail: tuple[int, ...] = ()
    is_downloading: bool = False

    @property
    def sides(self) -> tuple[SideFacts, ...]:
        """What is on the sides; nothing while no model is open."""
        return () if self.model is None else self.model.sides

    @property
    def is_compared(self) -> bool:
        """Whether something else than the lenses of the open model is on the sides."""
        return self.model is not None and not self.model.is_alone

    @property
    def has_prompts(self) -> bool:
        """Whether the sides read several prompts."""
        return any(side.prompt is not None for side in self.sides)

    @property
    def typed(self) -> str:
        """The part of the prompt that was typed: all of it, unless tokens were appended."""
        return self.stem if self.tail or self.shown_tail else self.prompt

    def fold(self) -> None:
        """Make appended tokens a part of the text: they are cut into tokens anew."""
        self.tail = self.shown_tail = ()

    def columns_of(self, place: int) -> tuple[str, ...]:
        """Return the display texts of a side's input tokens: it may read a prompt of its own."""
        return self.others.get(place, self.columns)
