"""What Explore does to read the prompt in another way: which rows, what the model is given, by which norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lenstui.jobs.messages import OpenModel, ReadFailed, ReadStarted
from lenstui.model.rows import Row
from lenstui.readout.reading import Reading
from lenstui.tui.explore.base import GridScreen
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Cursor


class ExploreReading(GridScreen):
    """Explore with a prompt that can be read in several ways."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "b", "reading", "Reading", show=False, id="explore.reading",
            tooltip="How it is read: rows, final norm, BOS, chat",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._reading = Reading()  # as it was asked for
        self._stays = False  # the cursor, in its column

    @property
    def reading(self) -> Reading:
        """How the prompt is read from now on."""
        return self._reading

    def action_reading(self) -> None:
        """Ask how, and read it so."""
        from lenstui.tui.explore.ask_reading import AskReading  # which the first paint can do without

        if self._model is None:
            self._tell("No model is open yet: how it can be read depends on it.")
        else:
            self.app.push_screen(AskReading(self._reading, self._model), self._reread)

    def _reread(self, reading: Reading | None) -> None:
        if reading is None or reading == self._reading:
            return
        reading = self._taken(reading)
        if self._columns:
            self._stays = True
            self._read_again()
        else:
            self._mark(reading)

    def _read_again(self) -> None:
        """Read the prompt in the way that is asked for."""

    def begin_reading(self, model: OpenModel) -> None:
        """How a model that was just opened is read at first."""
        self._model = model
        self._mark(self._taken(self._app.first_reading(model.name)))

    def _taken(self, reading: Reading) -> Reading:
        """Ask for this from now on, as far as the open model can be read so; what it cannot is said."""
        assert self._model is not None
        refused = reading.refused(self._model.allowed, len(self._model.rows) - 1)
        self._reading = reading.without(refused)
        if refused:
            self.notify(
                " ".join(refused.values()), title="Read by default", severity="warning", timeout=10,
                markup=False,
            )  # fmt: skip
        return self._reading

    def place_in(self, message: ReadStarted) -> Cursor:
        """Where the cursor goes: to the nearest row, and to the last column: there the model speaks.

        It stays in its column where the same prompt is read in another way and what is at and behind the
        cursor is as it was.
        """
        rows, last = message.rows, len(message.columns) - 1
        if not self.panes.has_cells:
            return Cursor(len(rows) - 1, last)
        here = self.panes.cursor
        row = nearest(self._rows[here.row], rows)
        behind = [text for text in self._columns[here.column :] if text]
        places = [place for place, text in enumerate(message.columns) if text][-len(behind) :]
        if self._stays and [message.columns[place] for place in places] == behind:
            return Cursor(row, places[0])
        return Cursor(row, last)

    def on_read_started(self, message: ReadStarted) -> None:
        """What is on screen is read so."""
        if message.serial == self._serial:
            self._stays = False
            self._mark(self._reading)

    def on_read_failed(self, message: ReadFailed) -> None:
        """What is on screen is read as it was."""
        if message.serial == self._serial:
            self._stays = False
            self._reading = self._shown_reading

    def _mark(self, reading: Reading) -> None:
        """Write over the prompt how it is read, if not by default."""
        self._shown_reading = reading
        mark = f" · {reading.mark}" if reading.mark else ""
        self.query_one(PromptBox).border_title = Text.assemble("prompt", (mark, "bold"))


def nearest(label: str, rows: Sequence[str]) -> int:
    """The index among `rows` of a row, or of the one whose place in the model is nearest."""
    if label in rows:
        return rows.index(label)
    here = Row.of(label).h
    return min(range(len(rows)), key=lambda place: abs(Row.of(rows[place]).h - here))
