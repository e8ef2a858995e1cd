"""The grid: one lens's cells as a heat map of tokens, layers up and input positions across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size, Spacing
from textual.message import Message
from textual.reactive import reactive, var
from textual.strip import Strip

from lenstui.export.values import PROBABILITY, Scale, Value
from lenstui.lens.cells import Cells, FloatArray, IntArray
from lenstui.lens.rows import stream_places
from lenstui.ui import palette
from lenstui.ui.widgets.cell import Look
from lenstui.ui.widgets.frame import HEADER, Frame, column_width, row_height
from lenstui.ui.widgets.grid_cells import Cursor, GridCells
from lenstui.ui.widgets.step_scroll import StepScroll

__all__ = ["HEADER", "Cursor", "Grid"]

MAX_DEPTH = 5


class Grid(StepScroll, can_focus=True, inherit_bindings=False):
    """One lens's cells, drawn line by line.

    Two that are `pair`ed share one cursor and one scroll, those that are `join`ed the cursor alone; only the
    one that the user moves sends messages.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Row up", show=False, id="grid.up"),
        Binding("down,j", "move(1, 0)", "Row down", show=False, id="grid.down"),
        Binding("left,h", "move(0, -1)", "Column left", show=False, id="grid.left"),
        Binding("right,l", "move(0, 1)", "Column right", show=False, id="grid.right"),
        Binding("pageup", "page(-1, 0)", "Page up", show=False, id="grid.page_up"),
        Binding("pagedown", "page(1, 0)", "Page down", show=False, id="grid.page_down"),
        Binding("shift+left", "page(0, -1)", "Page left", show=False, id="grid.page_left"),
        Binding("w,shift+right", "page(0, 1)", "Page right", show=False, id="grid.page_right"),
        Binding("home", "edge('left')", "First column", show=False, id="grid.first_column"),
        Binding("end", "edge('right')", "Last column", show=False, id="grid.last_column"),
        Binding("ctrl+home", "edge('top')", "Top row", show=False, id="grid.top"),
        Binding("ctrl+end", "edge('bottom')", "Bottom row", show=False, id="grid.bottom"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--header",
        "grid--gutter",
        "grid--part",
        "grid--here",
        "grid--pending",
        "grid--cursor",
        "grid--settled",
    }
    DEFAULT_CSS = """
    Grid {
        background: $surface;
        color: $foreground;
        scrollbar-size: 1 1;

        .grid--header, .grid--gutter { color: $foreground 65%; }
        .grid--part { color: $foreground 40%; }
        .grid--here { color: $foreground; text-style: bold; }
        .grid--pending { color: $foreground 30%; }
        .grid--cursor { background: white; color: black; text-style: bold; }
        &:light .grid--cursor { background: #ffa412; }
        .grid--settled { text-style: underline; }
    }
    """

    value: reactive[Value] = reactive(PROBABILITY, init=False)
    scale: reactive[Scale] = reactive(Scale(0, 1), init=False)
    depth: reactive[int] = reactive(1, init=False)
    bottom_up: reactive[bool] = reactive(True, init=False)
    marks: reactive[bool] = reactive(False, init=False)  # where each column settles
    cursor: var[Cursor] = var(Cursor(0, 0), init=False)

    class CursorMoved(Message):
        """The user moved the cursor."""

        def __init__(self, grid: Grid, cursor: Cursor) -> None:
            self.grid = grid
            self.cursor = cursor
            super().__init__()

    class Scrolled(Message):
        """The grid shows another part of itself, for whatever reason but `follow_scroll` and `move_to`."""

        def __init__(self, grid: Grid, offset: Offset) -> None:
            self.grid = grid
            self.offset = offset
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            """Of several in a row only the last counts."""
            return isinstance(message, Grid.Scrolled)

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._cells = self._blank(0, 0)
        self._gutter = 0
        self._twin: Grid | None = None  # which shares the scroll
        self._joined: tuple[Grid, ...] = ()  # which share the cursor
        self._is_led = False
        self._look_cache: Look | None = None
        self._frame: Frame | None = None

    # What it shows

    def start(self, rows: Sequence[str], columns: Sequence[str], vocabulary: int, *, blank: int = 0) -> None:
        """Show a blank grid, every cell pending, on the scale for no numbers yet.

        Args:
            rows: labels of the rows, `emb` first.
            columns: display texts of the input tokens.
            vocabulary: number of token ids.
            blank: how many of the columns, in front, never have any cells.
        """
        self._rows, self._columns = tuple(rows), tuple(columns)
        self._cells = self._blank(len(rows), len(columns))
        self._cells.blank = blank
        self._cells.labels = self._rows
        self._gutter = max(map(cell_len, rows), default=0) + 2
        self.scale = self.value.scale((), vocabulary)
        self._resize()
        self.move_to(self.cursor)
        self.refresh()

    def _blank(self, rows: int, columns: int) -> GridCells:
        return GridCells(rows, columns)

    def resize_to(self, columns: Sequence[str]) -> None:
        """Have other columns; the cells of those that stay in front are kept.

        Args:
            columns: display texts of the input tokens.
        """
        self._columns = tuple(columns)
        self._cells.resize(len(columns))
        self._resize()
        self.move_to(self.cursor)
        self.refresh()

    def add(self, start: int, cells: Cells, texts: Mapping[int, str]) -> None:
        """Put in the cells of the columns from `start` on. What changes and is on screen is drawn anew.

        Args:
            start: first column.
            cells: all rows of the columns.
            texts: display texts, at least of the top tokens in `cells`.
        """
        shown = self.visible_columns()
        first, stop = max(shown.start, start), min(shown.stop, start + cells.columns)
        with self._repainting(slice(first, max(first, stop))):
            self._cells.put(start, cells, texts, self.value, self.scale)

    @contextmanager
    def _repainting(self, seen: slice) -> Iterator[None]:
        """What changes meanwhile in these columns is drawn anew."""
        before = self._cells.drawn(seen, self.depth)
        yield
        after = self._cells.drawn(seen, self.depth)
        changed = before != after if before.shape == after.shape else np.ones((*after.shape[:2], 1), bool)
        rows, columns = np.nonzero(changed.any(axis=2))
        if rows.size:
            corners = [Cursor(int(end(rows)), seen.start + int(end(columns))) for end in (np.min, np.max)]
            self._refresh_within(self._body, Region.from_union([self._region(corner) for corner in corners]))

    def repin(self, places: Sequence[int]) -> None:
        """Keep the numbers of some pins, by their places until now; -1 is a pin that is not read yet."""
        self._cells.repin(places)
        if self.value.pins:
            self._cells.choose(self.value, self.scale)
            self.refresh()

    @property
    def cells(self) -> Cells | None:
        """All cells of the prompt, NaN and -1 where not yet read; None while none is."""
        return self._cells.cells

    @property
    def values(self) -> FloatArray:
        """The chosen value, `[rows, columns]`, NaN where not yet read."""
        return self._cells.values

    @property
    def rows(self) -> tuple[str, ...]:
        """Labels of the rows, `emb` first."""
        return self._rows

    @property
    def settled(self) -> IntArray:
        """The crystallization row of each column, -1 where not yet read, `[columns]`."""
        return self._cells.settled

    @property
    def scaled_values(self) -> FloatArray:
        """The same in the residual stream's rows alone: a shared scale is made from these."""
        return self._cells.values[stream_places(self._rows)]

    def is_absent(self, cursor: Cursor) -> bool:
        """Whether a cell's column is read, and the cell has no number all the same."""
        return any(self._cells.absent(cursor.row, slice(cursor.column, cursor.column + 1)))

    @property
    def blank(self) -> int:
        """How many columns, in front, never have any cells."""
        return self._cells.blank

    @property
    def read_columns(self) -> int:
        """How many columns from the first on have been read without a gap."""
        if self.cells is None:
            return 0
        unread = np.flatnonzero(self.cells.top_ids[-1, :, 0] < 0)  # every lens reads the last row
        return int(unread[0]) if unread.size else self.cells.columns

    def visible_columns(self) -> range:
        """The columns on screen, the last one perhaps in part. They are to be read first."""
        first = self.scroll_offset.x // self.column_width
        stop = first - (self._gutter - self._view.width) // self.column_width
        return range(min(first, len(self._columns)), min(max(stop, first), len(self._columns)))

    # What others say

    def pair(self, other: Grid) -> None:
        """Share one cursor and one scroll with another grid, which at first follows this one.

        Both are then painted in the same frame, which messages are too slow for.
        """
        self._twin, other._twin = other, self
        self.join(other)
        other.follow_scroll(*self.scroll_offset)

    def join(self, other: Grid) -> None:
        """Share one cursor with another grid, and with all that do so with either of them."""
        group = dict.fromkeys((self, *self._joined, other, *other._joined))
        for grid in group:
            grid._joined = tuple(one for one in group if one is not grid)
        self.move_to(self.cursor)

    def move_to(self, cursor: Cursor) -> None:
        """Put the cursor on a cell and show it, without a message."""
        for grid in (self, *self._joined):
            with grid._led():
                grid.cursor = cursor

    def follow_scroll(self, x: int, y: int) -> None:
        """Scroll there, without a message."""
        with self._led():
            self.scroll_now(x, y)

    @contextmanager
    def _led(self) -> Iterator[None]:
        """What changes meanwhile was wanted elsewhere, and is told to nobody."""
        self._is_led = True
        try:
            yield
        finally:
            self._is_led = False

    # What it draws

    @property
    def _look(self) -> Look:
        if self._look_cache is None:
            self._look_cache = Look.of(self, palette.mode_of(self.app))
        return self._look_cache

    def notify_style_update(self) -> None:
        """Look the styles up again."""
        super().notify_style_update()
        self._look_cache = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint. Looking everything up once for all lines is what makes it fast."""
        self._frame = Frame(
            look=self._look,
            cells=self._cells,
            rows=self._rows[::-1] if self.bottom_up else self._rows,
            tokens=self._columns,
            flipped=self.bottom_up,
            cursor=self.cursor,
            columns=self.visible_columns(),
            top=self.scroll_offset.y,
            depth=self.depth,
            marks=self.marks,
            gutter=self._gutter,
            width=self.size.width,
        )
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the frame that is being painted."""
        return self._frame.line(y) if self._frame else Strip.blank(self.size.width)

    # Where things are

    @property
    def column_width(self) -> int:
        """Cells that a column takes, the space before its text included."""
        return column_width(self.depth)

    @property
    def row_height(self) -> int:
        """Lines that a row takes."""
        return row_height(self.depth)

    @property
    def _view(self) -> Size:
        """What the scrollbars leave."""
        return self.scrollable_content_region.size

    @property
    def _page(self) -> tuple[int, int]:
        """Rows and columns that are seen whole."""
        width, height = self._view
        rows, columns = (height - HEADER) // self.row_height, (width - self._gutter) // self.column_width
        return max(rows, 1), max(columns, 1)

    def _flip(self, row: int) -> int:
        """From a row's index to its place from the top, and back."""
        return len(self._rows) - 1 - row if self.bottom_up else row

    def _region(self, cursor: Cursor) -> Region:
        """Where a cell would be drawn on an endless screen."""
        x = self._gutter + cursor.column * self.column_width - self.scroll_offset.x
        y = HEADER + self._flip(cursor.row) * self.row_height - self.scroll_offset.y
        return Region(x, y, self.column_width, self.row_height)

    def _refresh_within(self, bounds: Region, *regions: Region) -> None:
        """Draw anew what of the regions is within the bounds."""
        seen = [region.intersection(bounds) for region in regions]
        if any(seen):  # a refresh of no region would be one of everything
            self.refresh(*filter(None, seen))

    @property
    def _body(self) -> Region:
        """Where cells are drawn."""
        return Region(0, 0, *self._view).shrink(Spacing(HEADER, 0, 0, self._gutter))

    def _resize(self) -> None:
        self.virtual_size = Size(
            self._gutter + len(self._columns) * self.column_width,
            HEADER + len(self._rows) * self.row_height,
        )

    # What changes

    def validate_depth(self, depth: int) -> int:
        """From colours alone (0) to the top five."""
        return min(max(depth, 0), MAX_DEPTH)

    def validate_cursor(self, cursor: Cursor) -> Cursor:
        """Inside the grid."""
        row = max(min(cursor.row, len(self._rows) - 1), 0)
        return Cursor(row, max(min(cursor.column, len(self._columns) - 1), 0))

    def watch_cursor(self, old: Cursor, new: Cursor) -> None:
        """Draw the old and the new cell and their labels anew, and nothing else."""
        cells, body = [self._region(old), self._region(new)], self._body
        self._refresh_within(body, *cells)
        if old.column != new.column:
            header = body._replace(y=0, height=HEADER)
            self._refresh_within(header, *(cell._replace(y=0, height=HEADER) for cell in cells))
        if old.row != new.row:
            gutter = body._replace(x=0, width=self._gutter)
            self._refresh_within(
                gutter, *(cell._replace(x=0, width=self._gutter, height=1) for cell in cells)
            )
        self._show_cursor()

    def watch_value(self) -> None:
        """Show the new value's numbers."""
        self._cells.choose(self.value, self.scale)

    def watch_scale(self) -> None:
        """Show the numbers on the new scale."""
        self._cells.rescale(self.scale)

    def watch_depth(self, old: int, new: int) -> None:
        """Make rows taller and columns wider, or the other way round; the top left cell stays there."""
        x, y = self.scroll_offset
        self._resize()
        self.scroll_now(x // column_width(old) * column_width(new), y // row_height(old) * row_height(new))
        self._show_cursor()

    def watch_bottom_up(self) -> None:
        """Turn it upside down."""
        self._show_cursor()

    # How it scrolls

    @property
    def step(self) -> Size:
        """By whole cells."""
        return Size(self.column_width, self.row_height)

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Say so."""
        super().watch_scroll_x(old_value, new_value)
        self._scrolled()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Say so."""
        super().watch_scroll_y(old_value, new_value)
        self._scrolled()

    def _scrolled(self) -> None:
        if self._is_led:
            return
        self.post_message(Grid.Scrolled(self, self.scroll_offset))
        if self._twin is not None:
            self._twin.follow_scroll(*self.scroll_offset)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._show_cursor()

    def _show_cursor(self) -> None:
        """Scroll no further than needed to see the whole of the cursor's cell."""
        if not self.size:
            return
        rows, columns = self._page
        place, column = self._flip(self.cursor.row), self.cursor.column
        top, left = self.scroll_offset.y // self.row_height, self.scroll_offset.x // self.column_width
        top = min(max(top, place - rows + 1), place)
        left = min(max(left, column - columns + 1), column)
        self.scroll_now(left * self.column_width, top * self.row_height)

    # Keys and mouse

    def go_to(self, cursor: Cursor) -> None:
        """Put the cursor where the user wants it."""
        self._go(self._flip(cursor.row), cursor.column)

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor by rows down the screen and columns."""
        self._go(self._flip(self.cursor.row) + down, self.cursor.column + right)

    def action_page(self, down: int, right: int) -> None:
        """Move the cursor by pages."""
        rows, columns = self._page
        self.action_move(down * rows, right * columns)

    def action_edge(self, edge: str) -> None:
        """Move the cursor to an edge of the grid."""
        far = max(len(self._rows), len(self._columns))
        self.action_move(*{"left": (0, -far), "right": (0, far), "top": (-far, 0), "bottom": (far, 0)}[edge])

    def _go(self, place: int, column: int) -> None:
        """Put the cursor where the user wants it: at a place from the top and a column."""
        before = self.cursor
        self.cursor = Cursor(self._flip(place), column)
        if self.cursor != before:
            self.move_to(self.cursor)
            self.post_message(Grid.CursorMoved(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there; a header token moves it within its row, a row label within its column."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place, column = self._flip(self.cursor.row), self.cursor.column
        if offset.y >= HEADER:
            place = (offset.y - HEADER + self.scroll_offset.y) // self.row_height
        if offset.x >= self._gutter:
            column = (offset.x - self._gutter + self.scroll_offset.x) // self.column_width
        if place < len(self._rows) and column < len(self._columns):
            self._go(place, column)
