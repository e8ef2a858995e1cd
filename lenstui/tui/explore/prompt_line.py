"""The prompt box on Explore: who has gone to it, and what its frame says."""

from __future__ import annotations

from rich.text import Text

from lenstui.readout.reading import Reading
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.widgets import Widgets

EMPTY = "empty: type a text, then Enter"
UNREAD = "not read yet: press Enter"


class PromptLine:
    """The prompt box with its frame. If the user has gone there, only the user leaves it."""

    def __init__(self, state: ExploreState, widgets: Widgets) -> None:
        self._state = state
        self._box = widgets.prompt
        self._widgets = widgets
        self.counted = ""  # how many columns the prompt on screen has, in words
        # Whether the user has gone to the box; None: it has the focus at first.
        self._is_asked_for: bool | None = None

    # ── the focus ────────────────────────────────────────────────────────────────────────────────────────

    def edit(self) -> None:
        """Go to the prompt."""
        self._is_asked_for = True
        self._box.focus()

    def enter(self) -> None:
        """Note that the prompt has the focus: from the second time on because the user went there."""
        self._is_asked_for = self._is_asked_for is not None

    def leave(self) -> None:
        """Go to the grid."""
        self._is_asked_for = False
        self._widgets.panes.focus_grid()

    def submit(self) -> None:
        """Note that what is typed next is meant for the grid."""
        self._is_asked_for = False

    @property
    def is_at_prompt(self) -> bool:
        """Whether the user has gone to the prompt, in which case only the user leaves it."""
        return bool(self._is_asked_for) and isinstance(self._widgets.focused, PromptBox)

    # ── the frame ────────────────────────────────────────────────────────────────────────────────────────

    def say(self, text: str) -> None:
        """Write something on the frame."""
        self._box.border_subtitle = text

    def say_counted(self) -> None:
        """Write on the frame how many columns the prompt has."""
        self.say(self.counted)

    def compare(self) -> None:
        """Say whether the box holds what the grid shows."""
        if self._box.prompt == self._state.prompt:
            self.say_counted()
        else:
            self.say(UNREAD if self._box.prompt else EMPTY)

    def edited(self) -> None:
        """Say whether the box holds what the grid shows; if not, somebody types there."""
        self.compare()
        if self._box.prompt != self._state.prompt:
            self._is_asked_for = True

    def show_reading(self, reading: Reading) -> None:
        """Write over the prompt how it is read, if not by default."""
        self._state.shown_reading = reading
        mark = f" · {reading.mark}" if reading.mark else ""
        self._box.border_title = Text.assemble("prompt", (mark, "bold"))
