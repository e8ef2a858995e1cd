"""The places of the cells of a grid, on screen and beyond it."""

from __future__ import annotations

from textual.geometry import Region, Size, Spacing
from textual.reactive import reactive

from lenstui.tui.grid.cells import Cursor
from lenstui.tui.grid.frame import HEADER
from lenstui.tui.grid.room import ColumnLayout
from lenstui.tui.shared.step_scroll import StepScroll

MAX_DEPTH = 5


class GridPlaces(StepScroll):
    """A view of rows and columns of one size, under a header and beside a gutter that do not scroll."""

    depth: reactive[int] = reactive(1, init=False)  # how many lines a row has
    column_layout: reactive[ColumnLayout] = reactive(ColumnLayout(), init=False)
    bottom_up: reactive[bool] = reactive(True, init=False)  # whether the last row is on top

    _rows: tuple[str, ...] = ()  # labels
    _columns: tuple[str, ...] = ()  # display texts of the input tokens
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
        self.virtual_size = Size(
            self._gutter + len(self._columns) * self.column_width,
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

    def visible_columns(self) -> range:
        """Return the columns on screen, which are to be read first; the last one may be cut."""
        first = self.scroll_offset.x // self.column_width
        stop = first - (self._gutter - self._view.width) // self.column_width
        return range(min(first, len(self._columns)), min(max(stop, first), len(self._columns)))

    def _flip(self, row: int) -> int:
        """Return a row's place from the top by its index, or its index by that place."""
        return len(self._rows) - 1 - row if self.bottom_up else row

    def _region(self, cursor: Cursor) -> Region:
        """Return the region where a cell would be drawn on an endless screen."""
        x = self._gutter + cursor.column * self.column_width - self.scroll_offset.x
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
