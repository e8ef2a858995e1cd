"""The legend: what the colours of the grids mean."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from lenstui.export.values import PROBABILITY, STEPS, Scale, Value
from lenstui.ui import palette

_STEP_WIDTH = 2
_BAR = STEPS * _STEP_WIDTH


class Legend(Widget):
    """One line: the value's name and the steps from dark to bright, with the numbers that they stand for."""

    DEFAULT_CSS = """
    Legend { width: auto; height: 1; color: $foreground 65%; }
    """

    value: reactive[Value] = reactive(PROBABILITY, layout=True)
    scale: reactive[Scale] = reactive(Scale(0, 1), layout=True)

    def get_content_width(self, *_: object) -> int:
        """As wide as its text."""
        before, after = self._sides()
        return len(before) + _BAR + len(after)

    def render_line(self, y: int) -> Strip:
        """The whole of it."""
        before, after = self._sides()
        segments = [Segment(before, self.rich_style), *self._bar(), Segment(after, self.rich_style)]
        return Strip(segments, len(before) + _BAR + len(after)).adjust_cell_length(
            self.size.width, self.rich_style
        )

    def _sides(self) -> tuple[str, str]:
        dark, bright = (self.value.format(self.scale.at(end)) for end in (0, 1))
        return f"{self.value.label}  {dark} ", f" {bright} {self.value.unit}".rstrip()

    def _bar(self) -> list[Segment]:
        """The steps, with the number that is halfway written across the middle."""
        mode = palette.mode_of(self.app)
        text = "".join(palette.glyph(level) * _STEP_WIDTH for level in range(STEPS))
        if mode is not palette.Mode.PLAIN:
            text = " " * _BAR
        middle = f" {self.value.format(self.scale.at(0.5))} "
        start = (_BAR - len(middle)) // 2
        text = text[:start] + middle + text[start + len(middle) :]
        styles: list[Style] = [self.rich_style + style for style in palette.styles(mode)]
        return [
            Segment(text[step * _STEP_WIDTH : (step + 1) * _STEP_WIDTH], style)
            for step, style in enumerate(styles)
        ]
