"""Moving through a grid: its cursor and its scroll, alone or with other grids, by keys and by mouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.message import Message
from textual.reactive import reactive, var

from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.places import HEADER, GridPlaces

if TYPE_CHECKING:
    from lenstui.tui.grid.room import ColumnLayout


class GridMoves(GridPlaces, can_focus=True, inherit_bindings=False):
    """A grid that the user moves through.

    Grids that are `pair`ed share one cursor and one scroll, grids that are `join`ed the cursor alone; only
    the grid that the user moves sends messages.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Row up", show=False, id="grid.up"),
        Binding("down,j", "move(1, 0)", "Row down", show=False, id="grid.down"),
        Binding("left,h", "move(0, -1)", "Column left", show=False, id="grid.left"),
        Binding("right,l", "move(0, 1)", "Column right", show=False, id="grid.right"),
        Binding("pageup", "page(-1, 0)", "Page up", show=False, id="grid.page_up"),
        Binding("pagedown", "page(1, 0)", "Page down", show=False, id="grid.page_down"),
        Binding("{,shift+left", "page(0, -1)", "Page left", show=False, id="grid.page_left"),
        Binding("},shift+right", "page(0, 1)", "Page right", show=False, id="grid.page_right"),
        Binding("home", "edge('left')", "First column", show=False, id="grid.first_column"),
        Binding("end", "edge('right')", "Last column", show=False, id="grid.last_column"),
        Binding("ctrl+home", "edge('top')", "Top row", show=False, id="grid.top"),
        Binding("ctrl+end", "edge('bottom')", "Bottom row", show=False, id="grid.bottom"),
    ]

    cursor: var[Cursor] = var(Cursor(0, 0), init=False)
    framed: reactive[bool] = reactive(True, init=False)  # whether the cursor has a right edge too

    class CursorMoved(Message, namespace="grid"):
        """The message that the user moved the cursor."""

        def __init__(self, grid: GridMoves, cursor: Cursor) -> None:
            self.grid = grid
            self.cursor = cursor
            super().__init__()

    class Scrolled(Message, namespace="grid"):
        """The message that the grid was scrolled, by anything but `follow_scroll` and `move_to`."""

        def __init__(self, grid: GridMoves, offset: Offset) -> None:
            self.grid = grid
            self.offset = offset
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            """Return whether another message may replace this one: of several scrolls the last counts."""
            return isinstance(message, GridMoves.Scrolled)

    twins: tuple[GridMoves, ...] = ()  # the grids that share the scroll
    joined: tuple[GridMoves, ...] = ()  # the grids that share the cursor
    _is_led = False

    # ── with other grids ─────────────────────────────────────────────────────────────────────────────────

    def pair(self, *others: GridMoves) -> None:
        """Share one cursor and one scroll with other grids, which at first follow this one.

        All these grids are then painted in the same frame, which messages are too slow for.
        """
        group = (self, *others)
        for grid in group:
            grid.twins = tuple(one for one in group if one is not grid)
        for other in others:
            self.join(other)
            other.follow_scroll(*self.scroll_offset)

    def join(self, other: GridMoves) -> None:
        """Share one cursor with another grid, and with all grids that share one with either of the two."""
        group = dict.fromkeys((self, *self.joined, other, *other.joined))
        for grid in group:
            grid.joined = tuple(one for one in group if one is not grid)
        self.move_to(self.cursor)

    def move_to(self, cursor: Cursor) -> None:
        """Put the cursor of this and all joined grids on a cell and scroll to it, without a message."""
        for grid in (self, *self.joined):
            with grid.led():
                grid.cursor = cursor

    def follow_scroll(self, x: int, y: int) -> None:
        """Scroll to a position in terminal cells, without a message."""
        with self.led():
            self.scroll_now(x, y)

    @contextmanager
    def led(self) -> Iterator[None]:
        """Post no messages about cursor and scroll within the `with` block: others cause the changes."""
        self._is_led = True
        try:
            yield
        finally:
            self._is_led = False

    # ── the cursor ───────────────────────────────────────────────────────────────────────────────────────

    def validate_cursor(self, cursor: Cursor) -> Cursor:
        """Return the nearest cursor inside the grid."""
        row = max(min(cursor.row, len(self._rows) - 1), 0)
        return Cursor(row, self._column_at(self._place_of(cursor.column)))

    def watch_cursor(self, old: Cursor, new: Cursor) -> None:
        """Draw the old and the new cell and their labels anew, nothing else, and keep the cursor in sight."""
        cells, body = [self._region(old), self._region(new)], self._body
        # The right edge of the cursor is in the next column.
        seen = [cell._replace(width=cell.width + self.framed) for cell in cells]
        self._refresh_within(body, *seen)
        if old.column != new.column:
            header = body._replace(y=0, height=HEADER)
            self._refresh_within(header, *(cell._replace(y=0, height=HEADER) for cell in cells))
        if old.row != new.row:
            gutter = body._replace(x=0, width=self._gutter)
            self._refresh_within(
                gutter, *(cell._replace(x=0, width=self._gutter, height=1) for cell in cells)
            )
        self.show_cursor()

    def show_cursor(self) -> None:
        """Scroll no further than needed to see the whole of the cursor's cell."""
        if not self.size:
            return
        rows, columns = self._page
        place, column = self._flip(self.cursor.row), self._place_of(self.cursor.column)
        top, left = self.scroll_offset.y // self.row_height, self.scroll_offset.x // self.column_width
        top = min(max(top, place - rows + 1), place)
        left = min(max(left, column - columns + 1), column)
        self.scroll_now(left * self.column_width, top * self.row_height)

    # ── the scroll ───────────────────────────────────────────────────────────────────────────────────────

    def watch_depth(self, old: int, new: int) -> None:
        """Make rows taller or flatter; the top row stays at the top."""
        x, y = self.scroll_offset
        self._resize()
        self.scroll_now(x, y // old * new)
        self.show_cursor()

    def watch_column_layout(self, old: ColumnLayout, new: ColumnLayout) -> None:
        """Make columns wider or narrower; the column at the left stays there."""
        x, y = self.scroll_offset
        self._resize()
        self.scroll_now(x // old.width * new.width, y)
        self.show_cursor()

    def watch_hidden(self) -> None:
        """Fold columns away, or show them again; the cursor goes to the next column that is shown."""
        self._resize()
        with self.led():
            self.cursor = self.cursor
        self.show_cursor()
        self.refresh()

    def watch_bottom_up(self) -> None:
        """Keep the cursor in sight when the rows are turned upside down."""
        self.show_cursor()

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Post `Scrolled` and scroll the paired grids too, unless one of these caused the change."""
        super().watch_scroll_x(old_value, new_value)
        self._scrolled()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Post `Scrolled` and scroll the paired grids too, unless one of these caused the change."""
        super().watch_scroll_y(old_value, new_value)
        self._scrolled()

    def _scrolled(self) -> None:
        if self._is_led:
            return
        self.post_message(GridMoves.Scrolled(self, self.scroll_offset))
        for twin in self.twins:
            twin.follow_scroll(*self.scroll_offset)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.show_cursor()

    # ── keys and mouse ───────────────────────────────────────────────────────────────────────────────────

    def go_to(self, cursor: Cursor) -> None:
        """Move the cursor to a cell as the user does, with the message `CursorMoved`."""
        self._go(self._flip(cursor.row), cursor.column)

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor down the screen by some rows and right by some columns."""
        column = self._column_at(self._place_of(self.cursor.column) + right)
        self._go(self._flip(self.cursor.row) + down, column)

    def action_page(self, down: int, right: int) -> None:
        """Move the cursor down and right by pages."""
        rows, columns = self._page
        self.action_move(down * rows, right * columns)

    def action_edge(self, edge: str) -> None:
        """Move the cursor to an edge of the grid."""
        far = max(len(self._rows), len(self._columns))
        self.action_move(*{"left": (0, -far), "right": (0, far), "top": (-far, 0), "bottom": (far, 0)}[edge])

    def _go(self, place: int, column: int) -> None:
        """Put the cursor at a place from the top and a column, and post `CursorMoved` if that moves it."""
        before = self.cursor
        self.cursor = Cursor(self._flip(place), column)
        if self.cursor != before:
            self.move_to(self.cursor)
            self.post_message(GridMoves.CursorMoved(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked cell: a header token keeps its row, a row label its column."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place, across = self._flip(self.cursor.row), self._place_of(self.cursor.column)
        if offset.y >= HEADER:
            place = (offset.y - HEADER + self.scroll_offset.y) // self.row_height
        if offset.x >= self._gutter:
            across = (offset.x - self._gutter + self.scroll_offset.x) // self.column_width
        if place < len(self._rows) and across < len(self._shown):
            self._go(place, self._shown[across])
