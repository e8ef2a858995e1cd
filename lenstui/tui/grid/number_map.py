"""A map of numbers of either sign: a line for each row, the last one on top, coloured around zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.strip import Strip

from lenstui.readout.scales import Scale
from lenstui.support.cell_width import fit
from lenstui.support.fixed_text import fixed_text
from lenstui.tui.grid import palette
from lenstui.tui.shared.step_scroll import StepScroll

if TYPE_CHECKING:
    from lenstui.readout.cells import FloatArray

_NARROW = 2  # cells of a column
_NUMBERS = 6  # from so many on they hold numbers


class NumberMap(StepScroll, can_focus=True):
    """A map with a cursor, which passes over where there is no number (NaN)."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(-1, 0)", "Row below", show=False, id="map.down"),
        Binding("up,k", "move(1, 0)", "Row above", show=False, id="map.up"),
        Binding("left,h", "move(0, -1)", "Column before", show=False, id="map.left"),
        Binding("right,l", "move(0, 1)", "Next column", show=False, id="map.right"),
        Binding("pagedown", "page(-1, 0)", "Page down", show=False, id="map.page_down"),
        Binding("pageup", "page(1, 0)", "Page up", show=False, id="map.page_up"),
        Binding(
            "left_curly_bracket,shift+left", "page(0, -1)", "Page left", show=False, key_display="{",
            id="map.page_left",
        ),
        Binding(
            "right_curly_bracket,shift+right", "page(0, 1)", "Page right", show=False, key_display="}",
            id="map.page_right",
        ),
        Binding("home", "move(0, -9999)", "First column", show=False, id="map.home"),
        Binding("end", "move(0, 9999)", "Last column", show=False, id="map.end"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    NumberMap { background: $background; scrollbar-size: 1 1; }
    """
    WIDEST: ClassVar[int] = 7
    """The most cells of a column."""
    TALLEST: ClassVar[int] = 1
    """The most lines of a row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._numbers: FloatArray = np.zeros((0, 0), np.float32)  # [rows, columns]
        self._labels: tuple[str, ...] = ()
        self._heads: tuple[str, ...] = ()
        self._scale = Scale.around_zero(1)
        self._row, self._column = 0, 0

    # ── what others ask, and what is for a map of something ──────────────────────────────────────────────

    def show_numbers(
        self, numbers: FloatArray, labels: Sequence[str], heads: Sequence[str], scale: Scale
    ) -> None:
        """Show numbers; the cursor stays where it is.

        Args:
            numbers: the numbers, `[rows, columns]`, the lowest row first; NaN where there is none.
            labels: the labels of the rows.
            heads: the heads of the columns.
            scale: the scale of the colours, around zero.
        """
        before, framed = self._numbers, (self._labels, self._heads, self._scale)
        self._numbers, self._labels, self._heads, self._scale = numbers, tuple(labels), tuple(heads), scale
        if before.shape == numbers.shape and framed == (self._labels, self._heads, scale):
            is_new = ~((before == numbers) | (np.isnan(before) & np.isnan(numbers)))
            for row in np.flatnonzero(is_new.any(1)).tolist():
                there = np.flatnonzero(is_new[row])
                self._repaint(row, int(there[0]), int(there[-1]))
            return
        rows, columns = numbers.shape
        self._row, self._column = min(self._row, max(rows - 1, 0)), min(self._column, max(columns - 1, 0))
        self._make_room()
        self.refresh()

    def put_cursor(self, row: int, column: int) -> None:
        """Put the cursor somewhere, and say nothing of it."""
        self._repaint(self._row, self._column, self._column)
        self._row, self._column = row, column
        self._repaint(row, column, column)
        self._scroll_to_cursor()

    def tell(self) -> None:
        """Say that the user has put the cursor elsewhere; by default nothing."""

    def number_text(self, number: float) -> str:
        """Return a number as it is shown in a cell."""
        return fixed_text(number, 2)

    # ── the cursor ───────────────────────────────────────────────────────────────────────────────────────

    def action_move(self, up: int, right: int) -> None:
        """Move the cursor, over what has no number."""
        rows, columns = self._numbers.shape
        if not rows:
            return
        row = max(0, min(self._row + up, rows - 1))
        there = np.flatnonzero(~np.isnan(self._numbers[row]))
        column = max(0, min(self._column + right, columns - 1))
        if not there.size:
            return
        if right:
            ahead = there[there >= column] if right > 0 else there[there <= column]
            column = int(ahead[0 if right > 0 else -1]) if ahead.size else self._column
        if column not in there:
            column = int(there[np.abs(there - column).argmin()])
        self.put_cursor(row, column)
        self.tell()

    def action_page(self, up: int, right: int) -> None:
        """Move the cursor by as many rows or columns as there is room for."""
        rows = max(1, (self.size.height - 1) // self._height - 1)
        columns = max(1, (self.size.width - self._label_width) // self._width - 1)
        self.action_move(up * rows, right * columns)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the number under the pointer."""
        rows, columns = self._numbers.shape
        line = (event.y + self.scroll_offset.y - 1) // self._height
        column = (event.x + self.scroll_offset.x - self._label_width) // self._width
        row = rows - 1 - line
        if 0 <= line < rows and 0 <= column < columns and not np.isnan(self._numbers[row, column]):
            self.put_cursor(row, column)
            self.tell()

    def _scroll_to_cursor(self) -> None:
        line, height = len(self._numbers) - 1 - self._row, self._height
        place = Region(self._label_width + self._column * self._width, line * height, self._width, height + 1)
        self.scroll_to_region(place, animate=False, immediate=True)

    # ── how it looks ─────────────────────────────────────────────────────────────────────────────────────

    def on_resize(self) -> None:
        """Make the columns as wide as there is room for."""
        self._make_room()
        self.refresh()

    def _make_room(self) -> None:
        rows, columns = self._numbers.shape
        self.virtual_size = Size(self._label_width + columns * self._width, 1 + rows * self._height)

    @property
    def _label_width(self) -> int:
        """The cells of the widest label, with a gap."""
        return max(3, *map(len, self._labels), 0) + 1

    @property
    def _width(self) -> int:
        """The width of a column: the widest with which all have room, or else the narrowest."""
        columns = max(int(self._numbers.shape[1]), 1)
        return max(_NARROW, min(self.WIDEST, (self.size.width - self._label_width - 1) // columns))

    @property
    def _height(self) -> int:
        """The height of a row: the tallest with which all have room, or else one line."""
        room = self.scrollable_content_region.height - 1
        return max(1, min(self.TALLEST, room // max(len(self._numbers), 1)))

    def _repaint(self, row: int, first: int, last: int) -> None:
        """Have some columns of a row painted anew, and nothing else: over SSH a whole map is much."""
        line, width, height = len(self._numbers) - 1 - row, self._width, self._height
        x = self._label_width + first * width - self.scroll_offset.x
        y = 1 + line * height - self.scroll_offset.y
        place = Region(x, y, (last + 1 - first) * width, height)
        seen = place.intersection(self.scrollable_content_region.size.region)
        if seen:
            self.refresh(seen)

    def render_line(self, y: int) -> Strip:
        """Return the heads of the columns, or the line of a row."""
        width, line = self.scrollable_content_region.width, y - 1 + self.scroll_offset.y
        rows = len(self._numbers)
        if y == 0 or not rows:
            segments = self._head_line() if y == 0 and rows else []
        elif (place := line // self._height) < rows:
            segments = self._line(rows - 1 - place, has_text=line % self._height == 0)
        else:
            segments = []
        strip = Strip(segments)
        x, label_width = self.scroll_offset.x, self._label_width
        if x and strip.cell_length:
            label, rest = strip.crop(0, label_width), strip.crop(label_width + x, x + width)
            strip = Strip.join([label, rest])
        return strip.adjust_cell_length(width, self.rich_style)

    def _head_line(self) -> list[Segment]:
        width, dim = self._width, self.rich_style + Style(dim=True)
        texts = (f"{_to_the_right(head, width - 1)} " for head in self._heads)
        return [Segment(" " * self._label_width, dim), *(Segment(text, dim) for text in texts)]

    def _line(self, row: int, *, has_text: bool) -> list[Segment]:
        """Return a line of a row: that with its numbers, or one of those below, with the colours alone."""
        mode, width = palette.mode_of(self.app), self._width
        styles, steps = palette.styles(mode), palette.steps(self.app)
        levels = self._scale.levels(self._numbers[row])
        label = (self._labels[row] if has_text else "").rjust(self._label_width - 1)
        segments = [Segment(f"{label} ", self.rich_style + Style(dim=True))]
        for column, (number, level) in enumerate(
            zip(self._numbers[row].tolist(), levels.tolist(), strict=True)
        ):
            is_text = has_text and width >= _NUMBERS and not np.isnan(number)
            text = self.number_text(number) if is_text else ""
            if mode is palette.Mode.PLAIN and not np.isnan(number) and width < _NUMBERS:
                text = palette.glyph(level, steps)
            style = self.rich_style if np.isnan(number) else self.rich_style + styles[level]
            if (row, column) == (self._row, self._column):
                style += (
                    Style(reverse=True, bold=True) if self.has_focus else Style(underline=True, bold=True)
                )
                text = text or "◆" * has_text
            segments += [Segment(text.rjust(width - 1)[: width - 1], style), Segment(" ", self.rich_style)]
        return segments


def _to_the_right(text: str, width: int) -> str:
    """Return a text at the right end of so many cells, cut where it is wider."""
    fitted = fit(text, width)
    padding = len(fitted) - len(fitted.rstrip())
    return " " * padding + fitted.rstrip()
