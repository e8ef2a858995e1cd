"""The state of Explore, shared by its parts: the open model, its sides, the prompt, and its reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lenstui.lens.names import kind_word
from lenstui.readout.continuation import ANSWER_BEGINS
from lenstui.readout.reading import Reading
from lenstui.tui.shared.nothing_yet import elsewhere, no_lens

if TYPE_CHECKING:
    from lenstui.jobs.instant_messages import InstantStatus
    from lenstui.jobs.messages import OpenModel
    from lenstui.model.turns import TurnColumns
    from lenstui.opening.side_facts import SideFacts
    from lenstui.support.turns import Conversation
    from lenstui.tui.grid.cursor import Cursor


@dataclass(slots=True, eq=False)
class ExploreState:
    """The state of Explore: what it shows, and what it has asked for.

    Attributes:
        prompt: the text or the turns that are read, or are to be read once a model is open.
        model: the open model, with its sides; None while no model is open.
        serial: the number of the last reading; messages of earlier readings are ignored.
        is_awaited: whether the columns of that reading are not known yet.
        rows: the labels of the rows on screen, the first one first.
        columns: display texts of the input tokens on screen.
        others: display texts of the input tokens, by place, of the sides with a prompt of their own.
        other_rows: the labels of the rows on screen, by place, of the sides whose model is not as deep.
        reading: the options by which the prompt is to be read from now on.
        shown_reading: the options by which the columns on screen were read.
        texts: display texts of the tokens on screen, by id.
        first_cursor: the place of the cursor once the columns are known; None for the default place.
        keeps_column: whether the cursor stays in its column when the prompt is read in another way.
        turns: which columns on screen are of which turn of the first prompt; None where it is one text.
        stem: the typed part of a prompt with appended tokens.
        tail: the ids of the tokens behind the stem, as asked for.
        shown_tail: the ids of the tokens behind the stem, as on screen.
        ids: the token ids of the typed part, where they are known, as those of a text that was scanned: it is
            read as exactly these until it is edited; else empty.
        instant: the status of the open model's instant lens.
        is_downloading: whether the model that is being loaded is downloaded, which can be stopped.
    """

    prompt: str | Conversation
    model: OpenModel | None = None
    serial: int = 0
    is_awaited: bool = False
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    others: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    other_rows: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    shown_reading: Reading = field(default_factory=Reading)
    texts: dict[int, str] = field(default_factory=dict)
    first_cursor: Cursor | None = None
    keeps_column: bool = False
    turns: TurnColumns | None = None
    stem: str | Conversation = ""
    tail: tuple[int, ...] = ()
    shown_tail: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    instant: InstantStatus = field(init=False)  # which `InstantLens` sets, and nobody asks for earlier
    is_downloading: bool = False

    @property
    def sides(self) -> tuple[SideFacts, ...]:
        """Descriptions of the sides; empty while no model is open."""
        return () if self.model is None else self.model.sides

    @property
    def elsewhere(self) -> str:
        """Why nothing can be done that needs the open model's weights; empty where they are here."""
        return elsewhere(self.model)

    @property
    def is_compared(self) -> bool:
        """Whether any side shows anything but the open model, the typed prompt, and a lens in use."""
        return self.model is not None and not self.model.is_alone

    @property
    def has_prompts(self) -> bool:
        """Whether any side has a prompt of its own."""
        return any(side.prompt is not None for side in self.sides)

    @property
    def typed(self) -> str | Conversation:
        """The typed part of the prompt: all of the prompt, unless tokens were appended."""
        return self.stem if self.tail or self.shown_tail else self.prompt

    @property
    def text_behind(self) -> str:
        """The text that a word behind the prompt follows, as far as that decides how it is cut."""
        prompt = self.prompt
        chat = self.shown_reading.chat if isinstance(prompt, str) else not prompt.goes_on
        if chat and not self.shown_tail:
            return ANSWER_BEGINS
        return prompt if isinstance(prompt, str) else prompt.text

    def as_asked(self, reading: Reading) -> Reading:
        """Return options as the prompt is read by them: turns are in the chat template, which has its BOS."""
        return reading if isinstance(self.prompt, str) else replace(reading, bos=None, chat=True)

    def no_lens(self, kind: str) -> str:
        """Return that there is no lens of a kind for the open model, and how to get one."""
        if self.elsewhere:
            return f"No {kind_word(kind)} lens: o opens one."
        return no_lens(kind, self.instant)

    def fold(self) -> None:
        """Make appended and scanned tokens a part of the text, which is cut into tokens anew."""
        self.tail = self.shown_tail = self.ids = ()

    def rows_of(self, place: int) -> tuple[str, ...]:
        """Return the labels of a side's rows on screen; the first side's are `rows`."""
        return self.other_rows.get(place, self.rows)

    def columns_of(self, place: int) -> tuple[str, ...]:
        """Return the display texts of a side's input tokens; a side may read a prompt of its own."""
        return self.others.get(place, self.columns)
