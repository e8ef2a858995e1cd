"""The places of the cells of a grid, on screen and beyond it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.geometry import Region, Size, Spacing
from textual.reactive import reactive

from lenstui.tui.grid.room import ColumnLayout
from lenstui.tui.shared.step_scroll import StepScroll

if TYPE_CHECKING:
    from lenstui.tui.grid.cursor import Cursor

HEADER = 1  # lines
MAX_DEPTH = 5  # lines of a row
MOST_LINES = 3  # of a row of a difference: the right side, the left side, and the right minus the left


class GridPlaces(StepScroll):
    """A view of rows and columns of one size, under a header and beside a gutter that do not scroll."""

    depth: reactive[int] = reactive(1, init=False)  # how many lines a row has
    column_layout: reactive[ColumnLayout] = reactive(ColumnLayout(), init=False)
    bottom_up: reactive[bool] = reactive(True, init=False)  # whether the last row is on top
    hidden: reactive[frozenset[int]] = reactive(frozenset, init=False)  # columns that are folded away

    _rows: tuple[str, ...] = ()  # labels
    _columns: tuple[str, ...] = ()  # display texts of the input tokens
    _shown: Sequence[int] = ()  # the columns that are not hidden, from the left
    _gutter = 0  # width of the labels

    def validate_depth(self, depth: int) -> int:
        """Return the nearest number of lines that a row may have."""
        return min(max(depth, 1), MAX_DEPTH)

    @property
    def column_width(self) -> int:
        """The width of a column in terminal cells, the space before its text included."""
        return self.column_layout.width

    @property
    def row_height(self) -> int:
        """The number of lines that a row takes."""
        return self.depth

    def _resize(self) -> None:
        columns = range(len(self._columns))
        self._shown = [column for column in columns if column not in self.hidden] if self.hidden else columns
        self.virtual_size = Size(
            self._gutter + len(self._shown) * self.column_width,
            HEADER + len(self._rows) * self.row_height,
        )

    @property
    def _view(self) -> Size:
        """The size that the scrollbars leave."""
        return self.scrollable_content_region.size

    @property
    def _page(self) -> tuple[int, int]:
        """The number of rows and of columns that are seen whole, at least one of each."""
        width, height = self._view
        rows, columns = (height - HEADER) // self.row_height, (width - self._gutter) // self.column_width
        return max(rows, 1), max(columns, 1)

    @property
    def step(self) -> Size:
        """The size of a cell, by which the view scrolls."""
        return Size(self.column_width, self.row_height)

    @property
    def shown_columns(self) -> Sequence[int]:
        """The columns that are not folded away, from the left."""
        return self._shown

    def _place_of(self, column: int) -> int:
        """Return the place of a column from the left; of a hidden one that of the next column shown."""
        return min(bisect_left(self._shown, column), max(len(self._shown) - 1, 0))

    def _column_at(self, place: int) -> int:
        """Return the column at a place from the left, or else the nearest one."""
        return self._shown[max(min(place, len(self._shown) - 1), 0)] if self._shown else 0

    def _columns_on_screen(self) -> Sequence[int]:
        """Return the columns on screen, from the left; the last one may be cut."""
        first = self.scroll_offset.x // self.column_width
        stop = first - (self._gutter - self._view.width) // self.column_width
        return self._shown[min(first, len(self._shown)) : min(max(stop, first), len(self._shown))]

    def visible_columns(self) -> range:
        """Return the columns on screen, which are to be read first, and those folded away between them."""
        seen = self._columns_on_screen()
        return range(seen[0], seen[-1] + 1) if seen else range(len(self._columns), len(self._columns))

    def _flip(self, row: int) -> int:
        """Return a row's place from the top by its index, or its index by that place."""
        return len(self._rows) - 1 - row if self.bottom_up else row

    def _region(self, cursor: Cursor) -> Region:
        """Return the region where a cell would be drawn on an endless screen."""
        x = self._gutter + self._place_of(cursor.column) * self.column_width - self.scroll_offset.x
        y = HEADER + self._flip(cursor.row) * self.row_height - self.scroll_offset.y
        return Region(x, y, self.column_width, self.row_height)

    @property
    def _body(self) -> Region:
        """The region where cells are drawn."""
        return Region(0, 0, *self._view).shrink(Spacing(HEADER, 0, 0, self._gutter))

    def _refresh_within(self, bounds: Region, *regions: Region) -> None:
        """Draw anew the parts of regions that are within the bounds."""
        seen = [region.intersection(bounds) for region in regions]
        if any(seen):  # a refresh of no region would be one of everything
            self.refresh(*filter(None, seen))
