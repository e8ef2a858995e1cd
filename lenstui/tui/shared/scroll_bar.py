"""Scrollbars that are drawn in a few pieces, and lines that are quickly divided from what is behind one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.segment import Segment, Segments
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip


class RunBar(ScrollBarRender):
    """Draws a horizontal scrollbar in one piece for each part of it.

    Textual makes a piece of every terminal cell, each with a style of its own to be worked out: for two wide
    grids that takes longer than to draw their cells.
    """

    @classmethod
    def render_bar(cls, *args: Any, **options: Any) -> Segments:
        """Return the bar, as `ScrollBarRender` does."""
        drawn = super().render_bar(*args, **options)
        if drawn.new_lines:  # a vertical one is a cell wide
            return drawn
        runs = groupby(drawn.segments, key=lambda segment: segment.style)
        merged = [Segment("".join(segment.text for segment in run), style) for style, run in runs]
        return Segments(merged)


class ScrolledLine(Strip):
    """A line of a view, and what is behind the scrollbar at its right.

    Textual divides every line where a scrollbar begins; here it was never one piece.
    """

    __slots__ = ("_behind", "_content")

    def __init__(self, content: Strip, behind: Strip) -> None:
        super().__init__([*content, *behind], content.cell_length + behind.cell_length)
        self._content, self._behind = content, behind

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the pieces between some places."""
        cuts = list(cuts)
        if cuts == [self._content.cell_length, self.cell_length]:
            return [self._content, self._behind]
        return super().divide(cuts)
