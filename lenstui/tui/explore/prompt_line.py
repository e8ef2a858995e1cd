"""The prompt box on Explore: whether the user has gone there, and the texts on its frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from lenstui.support.printable import printable
from lenstui.tui.explore.prompt_box import PromptBox

if TYPE_CHECKING:
    from lenstui.readout.reading import Reading
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets

EMPTY = "empty: type a text, then Enter"
UNREAD = "not read yet: press Enter"
TURNS = "turns: I edits them"
IN_PLACE = "type a text in place of the turns, or esc"
SCANNED = "tokens as scanned, esc back to the table"


class PromptLine:
    """The part of Explore with the prompt box and its frame. Once there, only the user leaves the box."""

    def __init__(self, state: ExploreState, widgets: Widgets) -> None:
        self._state = state
        self._box = widgets.prompt
        self._widgets = widgets
        self.counted = ""  # the number of columns of the prompt on screen, in words
        # Whether the user has gone to the box; None until the box has got the focus that it has at the start.
        self._is_asked_for: bool | None = None

    # ── the focus ────────────────────────────────────────────────────────────────────────────────────────

    def edit(self) -> None:
        """Put the focus on the prompt, at the user's request."""
        self._is_asked_for = True
        self._box.focus()
        if not isinstance(self._box.prompt, str):
            self.say(IN_PLACE)

    def enter(self) -> None:
        """Note that the prompt has the focus: from the second time on because the user went there."""
        self._is_asked_for = self._is_asked_for is not None

    def leave(self) -> None:
        """Put the focus on the grid, at the user's request."""
        self._is_asked_for = False
        if self._box.border_subtitle == IN_PLACE:
            self.compare()
        self._widgets.panes.focus_grid()

    def submit(self) -> None:
        """Note that the prompt is submitted, so that keys pressed next are meant for the grid."""
        self._is_asked_for = False

    @property
    def is_at_prompt(self) -> bool:
        """Whether the user has gone to the prompt, where the focus then stays until the user leaves."""
        typed = self._box.prompt != self._state.prompt  # also where the box has not said so yet
        return (typed or bool(self._is_asked_for)) and isinstance(self._widgets.focused, PromptBox)

    # ── the frame ────────────────────────────────────────────────────────────────────────────────────────

    def say(self, text: str) -> None:
        """Write a text on the lower edge of the frame."""
        self._box.border_subtitle = text

    def say_counted(self) -> None:
        """Write the number of columns of the prompt on the frame."""
        self.say(self.counted)

    def compare(self) -> None:
        """Write on the frame whether the box holds the prompt that the grid shows."""
        if self._box.prompt == self._state.prompt:
            self.say_counted()
        else:
            self.say(UNREAD if self._box.prompt else EMPTY)

    def edited(self) -> None:
        """Write on the frame whether the box holds the grid's prompt; if not, note that the user types."""
        self.compare()
        if self._box.prompt != self._state.prompt:
            self._is_asked_for = True

    def show_reading(self, reading: Reading) -> None:
        """Write on the frame how the prompt is read, if not by default."""
        self._state.shown_reading = reading
        self.show_edits()

    def show_edits(self) -> None:
        """Write on the frame which edits are in force on some side, behind how the prompt is read."""
        reading = self._state.shown_reading
        mark = f" · {SCANNED}" if self._state.ids else ""
        if not isinstance(self._state.prompt, str):  # which are in the chat template, with its BOS
            mark, reading = f" · {TURNS}", replace(reading, bos=None, chat=False)
        mark += f" · {reading.mark}" if reading.mark else ""
        edits = " | ".join(dict.fromkeys(filter(None, (side.edits.text for side in self._state.sides))))
        edited = f" · edited: {printable(edits)}" if edits else ""
        self._box.border_title = Text.assemble("prompt", (mark + edited, "bold"))
