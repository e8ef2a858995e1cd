"""Scrolling by whole steps: nothing but the last thing on screen is ever cut, and nothing glides."""

from __future__ import annotations

from textual import events, on
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar

from lenstui.tui.shared.scroll_bar import RunBar, bar_lines

# Of all views: Textual makes their scrollbars itself.
ScrollBar.renderer = RunBar
ScrollBar.render_lines = bar_lines  # type: ignore[method-assign, assignment]

_WHEEL_LINES = 3


class StepScroll(ScrollView):
    """A view that scrolls by whole steps."""

    @property
    def step(self) -> Size:
        """Width and height of a step, in cells."""
        return Size(1, 1)

    @property
    def max_scroll_x(self) -> int:
        """The farthest scroll sideways: far enough for the last step to be seen whole."""
        return -(-super().max_scroll_x // self.step.width) * self.step.width

    @property
    def max_scroll_y(self) -> int:
        """The farthest scroll downwards: far enough for the last step to be seen whole."""
        return -(-super().max_scroll_y // self.step.height) * self.step.height

    def validate_scroll_x(self, value: float) -> float:
        """Return the nearest step that can be scrolled to."""
        return max(min(round(value / self.step.width) * self.step.width, self.max_scroll_x), 0)

    def validate_scroll_y(self, value: float) -> float:
        """Return the nearest step that can be scrolled to."""
        return max(min(round(value / self.step.height) * self.step.height, self.max_scroll_y), 0)

    validate_scroll_target_x = validate_scroll_x
    validate_scroll_target_y = validate_scroll_y

    def scroll_now(self, x: int, y: int) -> None:
        """Scroll to a position in terminal cells.

        That also works while the view is hidden, or before its scrollbars know that they are needed.
        """
        if self.is_attached:
            self.scroll_to(x, y, animate=False, force=True)

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    @on(events.MouseScrollRight)
    @on(events.MouseScrollLeft)
    def turn_wheel(self, event: events.MouseEvent) -> None:
        """Scroll by about three lines or one step sideways; Shift or Ctrl turns the wheel sideways."""
        event.stop()
        event.prevent_default()  # Textual's own distance is less than a step
        forward = isinstance(event, events.MouseScrollDown | events.MouseScrollRight)
        upright = isinstance(event, events.MouseScrollDown | events.MouseScrollUp)
        x, y = self.scroll_offset
        width, height = self.step
        if upright and not (event.shift or event.ctrl):
            y += max(_WHEEL_LINES // height, 1) * height * (1 if forward else -1)
        else:
            x += width * (1 if forward else -1)
        self.scroll_now(x, y)
