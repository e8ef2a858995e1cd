"""The dialog that asks for a word."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label

from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.still_input import StillInput


class AskWord(BoxScreen[str | None]):
    """A dialog with one line to type a word into. Returns the word, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Close", id="word.close")]
    DEFAULT_CSS = """
    AskWord {
        Input { margin-bottom: 1; }
        Label { width: 1fr; color: $text-muted; }
    }
    """

    def __init__(
        self, title: str, verb: str, hint: str, wanted: str = "a word", *, empty: str | None = None
    ) -> None:
        """Prepare the dialog.

        Args:
            title: the title.
            verb: what Enter does, as a verb.
            hint: what may be typed.
            wanted: what is to be typed, for the empty line.
            empty: the result of an empty line.
        """
        super().__init__()
        self._title, self._verb, self._hint, self._wanted = title, verb, hint, wanted
        self._empty = empty

    def compose(self) -> ComposeResult:
        """Yield the input, and a hint about what may be typed."""
        with Box(self._title, f"enter {self._verb} · esc closes"):
            yield StillInput(placeholder=self._wanted)
            yield Label(Text(self._hint))

    @on(Input.Submitted)
    def submit(self, message: Input.Submitted) -> None:
        """Close the dialog with the typed word, its spaces included."""
        self.dismiss(message.value or self._empty)
