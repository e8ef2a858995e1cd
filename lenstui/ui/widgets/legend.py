"""The legend: what the colours of the grids mean."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from lenstui.export.values import PROBABILITY, Scale, Value
from lenstui.ui import palette

_STEP_WIDTH = 2


class Legend(Widget):
    """One line: the value's name and the steps of its scale, with the numbers that they stand for."""

    DEFAULT_CSS = """
    Legend { width: auto; height: 1; color: $foreground 65%; }
    """

    value: reactive[Value] = reactive(PROBABILITY, layout=True)
    scale: reactive[Scale] = reactive(Scale(0, 1), layout=True)

    def get_content_width(self, *_: object) -> int:
        """As wide as its text."""
        return sum(segment.cell_length for segment in self._segments())

    def render_line(self, y: int) -> Strip:
        """The whole of it."""
        return Strip(self._segments()).adjust_cell_length(self.size.width, self.rich_style)

    def _segments(self) -> list[Segment]:
        """Name, number, steps, number and unit."""
        first, last = (self.value.format(self.scale.at(end)) for end in (0, 1))
        return [
            Segment(f"{self.value.label}  {first} ", self.rich_style),
            *self._bar(),
            Segment(f" {last} {self.value.unit}".rstrip(), self.rich_style),
        ]

    def _bar(self) -> list[Segment]:
        """The steps, with the number that is halfway written across the middle."""
        mode, steps = palette.mode_of(self.app), self.scale.steps
        text = "".join(palette.glyph(level) * _STEP_WIDTH for level in steps)
        if mode is not palette.Mode.PLAIN:
            text = " " * len(text)
        middle = f" {self.value.format(self.scale.at(0.5))} "
        start = (len(text) - len(middle)) // 2
        text = text[:start] + middle + text[start + len(middle) :]
        styles: list[Style] = [self.rich_style + palette.styles(mode)[level] for level in steps]
        return [
            Segment(text[step * _STEP_WIDTH : (step + 1) * _STEP_WIDTH], style)
            for step, style in enumerate(styles)
        ]
