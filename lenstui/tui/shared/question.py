"""A question that `y` or `n` answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Label

from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.shown import shown


class Question(BoxScreen[bool]):
    """A question in a box. Its result is whether the answer was yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="question.yes"),
        Binding("n,escape,q", "dismiss(False)", "No", id="question.no"),
    ]
    DEFAULT_CSS = """
    Question {
        Box { border: round $warning; }
        Label { width: 1fr; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Yield a box with the question, and the keys that answer it in its frame."""
        with Box(self._title, "y yes · n no"):
            yield Label(shown(self._text))
