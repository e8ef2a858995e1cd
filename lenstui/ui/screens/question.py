"""Ask a question that `y` or `n` answers."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label


class Question(ModalScreen[bool]):
    """A question. Hands back whether it was answered by yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="question.yes"),
        Binding("n,escape", "dismiss(False)", "No", id="question.no"),
    ]
    DEFAULT_CSS = """
    Question {
        align: center middle;
        background: $background 60%;
        #question-box {
            width: 72;
            max-width: 96%;
            height: auto;
            border: round $warning;
            background: $surface;
            padding: 1 2;
        }
        Label { width: 1fr; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """The question, and what answers it."""
        with Vertical(id="question-box") as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "y yes · n no"
            yield Label(Text(self._text))
