"""The legend: what the colours of the grids mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from lenstui.export.legend import NOT_COUNTED, beyond, end_texts
from lenstui.readout.scales import Scale
from lenstui.readout.values import PROBABILITY, Value
from lenstui.tui.grid import palette

if TYPE_CHECKING:
    from lenstui.export.difference import Difference
    from lenstui.readout.cells import FloatArray

_STEP_WIDTH = 2


class Legend(Widget):
    """A line with the value's name and the steps of its scale, between the numbers that they stand for."""

    DEFAULT_CSS = """
    Legend { width: auto; height: 1; color: $foreground 65%; }
    """

    value: reactive[Value | Difference] = reactive(PROBABILITY, layout=True)
    scale: reactive[Scale] = reactive(Scale(0, 1), layout=True)
    is_beyond: reactive[tuple[bool, bool]] = reactive((False, False), layout=True)
    note: reactive[str] = reactive("", layout=True)

    def show(
        self, value: Value | Difference, scale: Scale, numbers: Collection[FloatArray], note: str = ""
    ) -> None:
        """Show the meaning of the colours of the grids.

        Args:
            value: the value that the colours show.
            scale: the scale of that value.
            numbers: all numbers that are shown, NaN where there is none.
            note: the shares of yes, for a yes-or-no value; empty for any other.
        """
        self.value, self.scale, self.note = value, scale, note
        self.is_beyond = beyond(scale, numbers)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Return the width of the legend's text, in terminal cells."""
        return _width(self._segments(container.width))

    def render_line(self, y: int) -> Strip:
        """Return the legend, which is a single line."""
        segments = self._segments(self.size.width)
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _segments(self, room: int) -> list[Segment]:
        """Return name, number, steps, number, unit and note; for a difference also the meaning of either end.

        Where there is no room, a difference has no name here, for the frame of its pane has it, and a note
        does not say what it leaves out, for the list of keys says so.
        """
        value = self.value
        first, last = end_texts(value.format, self.scale, self.is_beyond)
        before, after = f"{first} ", f" {last} {value.unit}".rstrip()
        if not isinstance(value, Value):
            below, above = value.sides
            before, after = f"{below} {before}", f"{after} {above}"
        after += " · log scale" * self.scale.log
        segments = [
            Segment(f"{value.label}  ", self.rich_style),
            Segment(before, self.rich_style),
            *self._bar(),
            Segment(after, self.rich_style),
            *([Segment(f"  {self.note}", self.rich_style)] if self.note else []),
        ]
        not_counted = Segment(f" ({NOT_COUNTED})", self.rich_style)
        if self.note and _width([*segments, not_counted]) <= room:
            segments.append(not_counted)
        return segments[1:] if not isinstance(value, Value) and _width(segments) > room else segments

    def _bar(self) -> list[Segment]:
        """Return the steps, with the number that is halfway written across the middle where there is one."""
        mode, scale = palette.mode_of(self.app), replace(self.scale, count=palette.steps(self.app))
        text = "".join(palette.glyph(level, scale.count) * _STEP_WIDTH for level in scale.steps)
        if mode is not palette.Mode.PLAIN:
            text = " " * len(text)
        middle = "" if scale.two else f" {self.value.format(scale.at(0.5))} "
        start = (len(text) - len(middle)) // 2
        text = text[:start] + middle + text[start + len(middle) :]
        styles: list[Style] = [self.rich_style + palette.styles(mode)[level] for level in scale.steps]
        return [
            Segment(text[step * _STEP_WIDTH : (step + 1) * _STEP_WIDTH], style)
            for step, style in enumerate(styles)
        ]


def _width(segments: Iterable[Segment]) -> int:
    return sum(segment.cell_length for segment in segments)
