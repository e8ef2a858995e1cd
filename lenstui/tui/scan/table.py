"""A table drawn line by line, whose columns are scrolled where they have no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from lenstui.support.cell_width import fit
from lenstui.tui.shared.step_scroll import StepScroll

_TEXT = 0.38  # of the width, at least, for the flexible column


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        head: its heading.
        width: its cells; 0 for those that the others leave.
        is_word: whether its texts are words, which stand on the left.
    """

    head: str
    width: int
    is_word: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """A token in the text around it, on one line: what is before it, the token, what comes after."""

    before: str
    token: str
    after: str


Cell = str | Around


class ScanTable(StepScroll, can_focus=True):
    """A table under headings, with one line highlighted."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next line", show=False, id="scan.down"),
        Binding("up,k", "move(-1)", "Line before", show=False, id="scan.up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="scan.page_down"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="scan.page_up"),
        Binding("home", "move(-999999999)", "First line", show=False, id="scan.first"),
        Binding("end", "move(999999999)", "Last line", show=False, id="scan.last"),
        Binding("right,l", "columns(1)", "Columns to the right", show=False, id="scan.right"),
        Binding("left,h", "columns(-1)", "Columns to the left", show=False, id="scan.left"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "scan-table--heading",
        "scan-table--sorted",
        "scan-table--quiet",
        "scan-table--token",
        "scan-table--cursor",
    }
    DEFAULT_CSS = """
    ScanTable {
        background: $surface;
        scrollbar-size: 1 1;
        .scan-table--heading { color: $foreground 65%; }
        .scan-table--sorted { color: $primary; text-style: bold; }
        .scan-table--quiet { color: $foreground 60%; }
        .scan-table--token { color: $primary; text-style: bold; }
        .scan-table--cursor { background: $foreground 15%; }
        &:focus .scan-table--cursor { background: $primary 35%; }
    }
    """
    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The message that the user highlights another line."""

    class Chosen(Message):
        """The message that a line was clicked twice."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: Sequence[TableColumn] = ()
        self._lines: Sequence[Sequence[Cell]] = ()
        self._fixed = 0
        self._sorted: int | None = None
        self._descending = False
        self._first = 0  # of the columns that are scrolled

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self._lines)

    def show(
        self,
        columns: Sequence[TableColumn],
        lines: Sequence[Sequence[Cell]],
        *,
        fixed: int,
        cursor: int,
        sorted_by: int | None = None,
        descending: bool = False,
    ) -> None:
        """Show lines.

        Args:
            columns: the columns.
            lines: the cells of each line.
            fixed: how many columns stay where the others are scrolled.
            cursor: the line to highlight.
            sorted_by: the column that the lines are sorted by; None for none of them.
            descending: whether the greatest comes first.
        """
        self._columns, self._lines, self._fixed = columns, lines, fixed
        self._sorted, self._descending = sorted_by, descending
        self._first = min(self._first, self._most_first)
        self.virtual_size = Size(0, 1 + len(lines))
        self.cursor = max(0, min(cursor, len(lines) - 1))
        self._see_cursor()
        self.refresh()

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _page(self) -> int:
        return max(self.size.height - 1, 1)

    def action_move(self, lines: int) -> None:
        """Highlight the line so many lines below, or above if negative."""
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Highlight the line so many pages below, or above if negative."""
        self._go(self.cursor + pages * self._page)

    def action_columns(self, step: int) -> None:
        """Scroll the columns that have no room by one."""
        first = max(0, min(self._first + step, self._most_first))
        if first != self._first:
            self._first = first
            self.refresh()

    def on_resize(self) -> None:
        """Keep the highlighted line on screen."""
        self._first = min(self._first, self._most_first)
        self._see_cursor()

    def on_click(self, event: events.Click) -> None:
        """Highlight the clicked line; post `Chosen` on a second click."""
        line = event.y - 1 + self.scroll_offset.y
        if event.y and 0 <= line < len(self._lines):
            self._go(line)
            if event.chain > 1:
                self.post_message(self.Chosen())

    def _go(self, line: int) -> None:
        line = max(0, min(line, len(self._lines) - 1))
        if line != self.cursor:
            self.cursor = line
            self._see_cursor()
            self.refresh()
            self.post_message(self.Moved())

    def _see_cursor(self) -> None:
        top = self.scroll_offset.y
        wanted = max(min(top, self.cursor), self.cursor - self._page + 1)
        if wanted != top:
            self.scroll_now(0, wanted)

    # ── painting ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _room(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _least_text(self) -> int:
        return round(self._room * _TEXT)

    @property
    def _most_first(self) -> int:
        """How many of the scrolled columns are passed over where the last one is on screen."""
        scrolled = self._columns[self._fixed :]
        room = self._room + 1
        room -= sum((each.width or self._least_text) + 1 for each in self._columns[: self._fixed])
        passed = len(scrolled)
        for column in reversed(scrolled):
            room -= column.width + 1
            if room < 0:
                break
            passed -= 1
        return max(0, min(passed, len(scrolled) - 1))

    def _laid_out(self) -> list[tuple[int, int]]:
        """Return the columns on screen, each with its width."""
        places = [*range(self._fixed), *range(self._fixed + self._first, len(self._columns))]
        room = self._room + 1  # without the gap behind the last one
        least = {place: self._columns[place].width or self._least_text for place in places}
        shown: list[int] = []
        for place in places:
            if room <= least[place] and shown:
                break
            shown.append(place)
            room -= least[place] + 1
        more = max(room, 0)
        return [(place, least[place] + (0 if self._columns[place].width else more)) for place in shown]

    def render_line(self, y: int) -> Strip:
        """Return the headings, or a line."""
        width = self._room
        if y == 0:
            return self._headings().adjust_cell_length(width, self.rich_style)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self._lines):
            return Strip([]).adjust_cell_length(width, self.rich_style)
        line = self._line(self._lines[number]).adjust_cell_length(width, self.rich_style)
        if number == self.cursor:
            ground = self.get_component_rich_style("scan-table--cursor")
            over = Style(bgcolor=ground.bgcolor, bold=True, reverse=ground.reverse)
            return Strip([Segment(text, (style or Style()) + over) for text, style, _ in line])
        return line

    def _headings(self) -> Strip:
        quiet = self.get_component_rich_style("scan-table--heading")
        bold = self.get_component_rich_style("scan-table--sorted")
        segments: list[Segment] = []
        shown = self._laid_out()
        for place, size in shown:
            column, is_sorted = self._columns[place], place == self._sorted
            text = f"{'▾' if self._descending else '▴'}{column.head}" if is_sorted else column.head
            if self._first and place == self._fixed + self._first:
                text = f"‹{text}"
            text = fit(text, size) if column.is_word else text.rjust(size)[-size:]
            if place == shown[-1][0] < len(self._columns) - 1:
                text = f"{text[1:] if text[0] == ' ' else text[:-1]}›"
            segments.append(Segment(f"{text} ", bold if is_sorted else quiet))
        return Strip(segments)

    def _line(self, cells: Sequence[Cell]) -> Strip:
        quiet = self.get_component_rich_style("scan-table--quiet")
        segments: list[Segment] = []
        for place, size in self._laid_out():
            cell, column = cells[place], self._columns[place]
            if isinstance(cell, Around):
                segments += self._around(cell, size)
            elif column.is_word:
                segments.append(Segment(fit(cell, size), self.rich_style))
            else:
                segments.append(Segment(fit(" " * (size - cell_len(cell)) + cell, size), quiet))
            segments.append(Segment(" ", self.rich_style))
        return Strip(segments)

    def _around(self, cell: Around, width: int) -> list[Segment]:
        """Return a token in its text: what comes after begins in the same cell of every line."""
        token, quiet = (self.get_component_rich_style(f"scan-table--{part}") for part in ("token", "quiet"))
        left = width * 2 // 3
        word = end(cell.token, left) if cell_len(cell.token) > left else cell.token
        before = end(cell.before, left - cell_len(word))
        return [
            Segment(before, self.rich_style),
            Segment(word, token),
            Segment(fit(cell.after, width - left), quiet),
        ]


def end(text: str, width: int) -> str:
    """Return the end of a text on the right of exactly `width` cells, with an ellipsis where it is cut."""
    if cell_len(text) > width:
        text = text[-width:] if width else ""
        while cell_len(text) >= max(width, 1):
            text = text[1:]
        text = f"…{text}" if width else ""
    return " " * (width - cell_len(text)) + text
