"""The door through which text that is not ours comes to the screen: names, paths, errors, what files say.

`shown` is for whoever puts such a text somewhere: it makes visible what a terminal would act on.
`Unprintable` stands behind all that is painted: what went past `shown` cannot reach the terminal either.
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
    """A text of several lines at most, no markup in it, with its control and bidi characters as escapes."""
    return Text(printable(text, kept="\n"), style)


class Unprintable(LineFilter):
    """Takes out of every painted line what a terminal would act on; no cell moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments; almost always they are as they were."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(_harmless(text), style, control) for text, style, control in segments]


def _harmless(text: str) -> str:
    """The text in as many cells, with nothing in it that is neither a letter nor a space of some kind."""
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else "�" * cell_len(c) for c in text
    )
