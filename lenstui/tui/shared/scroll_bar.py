"""Scrollbars that are drawn at once, and lines that are quickly divided from what is behind one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.segment import Segment, Segments
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget


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


def bar_lines(bar: ScrollBar, crop: Region) -> list[Strip]:
    """Return the lines of a scrollbar, as `ScrollBar.render_lines` does.

    Textual lays a vertical one out as a text of many lines, which takes longer than to draw the cells of a
    grid beside it. It has no more than five kinds of lines.
    """
    if not bar.vertical or crop != bar.size.region:
        return Widget.render_lines(bar, crop)
    console = bar.app.console
    drawn = console.render(bar.render(), console.options.update(width=crop.width, height=crop.height))
    pieces = [segment for segment in drawn if segment.text != "\n"]
    base, ground = bar.visual_style.rich_style, bar.background_colors[1]
    kinds: dict[Segment, Strip] = {}
    for piece in dict.fromkeys(pieces):
        line = Strip(Segment.apply_style([piece], base), crop.width)
        for each in bar.get_line_filters():
            line = line.apply_filter(each, ground)
        kinds[piece] = line
    return [kinds[piece] for piece in pieces]


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
