"""The door through which foreign text comes to the screen: names, paths, errors, what files say.

`shown` makes visible in one text what a terminal would act on. `Unprintable` filters all that is painted, so
that no text that went past `shown` can reach the terminal either.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.filter import LineFilter

from lenstui.support.printable import printable


def shown(text: str, style: str | Style = "") -> Text:
    """Return a text of several lines at most, without markup, its control and bidi characters as escapes."""
    return Text(printable(text, kept="\n"), style)


class Unprintable(LineFilter):
    """A filter that takes out of every painted line what a terminal would act on; no cell moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without what a terminal would act on; almost always they stay as they were."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(_harmless(text), style, control) for text, style, control in segments]


def _harmless(text: str) -> str:
    """Return a text in as many cells, every character that is neither printable nor a space replaced."""
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else "�" * cell_len(c) for c in text
    )
