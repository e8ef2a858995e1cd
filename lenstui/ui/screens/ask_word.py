"""Ask for a word."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label


class AskWord(ModalScreen[str | None]):
    """One line to type a word into. Hands back the word, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Close", id="word.close")]
    DEFAULT_CSS = """
    AskWord {
        align: center middle;
        background: $background 60%;
        #word-box {
            width: 72;
            max-width: 96%;
            height: auto;
            border: round $border;
            background: $surface;
            padding: 1 2;
        }
        Input { border: none; height: 1; margin-bottom: 1; background: $panel; }
        Label { width: 1fr; color: $text-muted; }
    }
    """

    def __init__(self, title: str, verb: str, hint: str, wanted: str = "a word") -> None:
        super().__init__()
        self._title, self._verb, self._hint, self._wanted = title, verb, hint, wanted

    def compose(self) -> ComposeResult:
        """The line, and what may be typed."""
        with Vertical(id="word-box") as box:
            box.border_title = Text(self._title)
            box.border_subtitle = f"enter {self._verb} · esc closes"
            word = Input(placeholder=self._wanted, compact=True)
            word.cursor_blink = False
            yield word
            yield Label(Text(self._hint))

    @on(Input.Submitted)
    def submit(self, message: Input.Submitted) -> None:
        """Hand the word back, its spaces with it."""
        self.dismiss(message.value or None)
