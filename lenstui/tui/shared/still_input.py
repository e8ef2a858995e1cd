"""A line to type into, with a cursor that does not blink."""

from __future__ import annotations

from rich.highlighter import Highlighter
from rich.text import Text
from textual.widgets import Input

from lenstui.tui.shared.hidden import shield

LONGEST = 100_000  # characters of a line: each key paints all of them
ONE_LINE = r"[^\x00-\x1f\x7f-\x9f]*"  # what may be typed where a control character makes no sense


class StillInput(Input):
    """A line whose cursor does not blink, which costs 3 kB/s over SSH, and in which nothing is hidden."""

    DEFAULT_CSS = "StillInput { background: $panel; }"

    def __init__(
        self,
        value: str | None = None,
        *,
        placeholder: str = "",
        restrict: str | None = None,
        select_on_focus: bool = True,
        id: str | None = None,
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            restrict=restrict,
            max_length=LONGEST,
            select_on_focus=select_on_focus,
            id=id,
            compact=True,
            highlighter=_Visible(self),
        )
        self.cursor_blink = False


class _Visible(Highlighter):
    """What shows stand-ins for the hidden characters of a line; each stands where its character is."""

    def __init__(self, line: Input) -> None:
        self._line = line

    def highlight(self, text: Text) -> None:
        """Replace hidden characters in the text that is painted."""
        value = self._line.value  # which the text has without those that Rich leaves out
        if not value.isascii() or not value.isprintable():
            text.plain = shield(value)[0].replace("\n", "␊")
