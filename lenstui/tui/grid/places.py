"""Where the cells of a grid are, on screen and beyond it."""

from __future__ import annotations

from textual.geometry import Region, Size, Spacing
from textual.reactive import reactive

from lenstui.tui.grid.cells import Cursor
from lenstui.tui.grid.frame import HEADER, column_width, row_height
from lenstui.tui.shared.step_scroll import StepScroll

MAX_DEPTH = 5


class GridPlaces(StepScroll):
    """A view of rows and columns of one size each, under a header and beside a gutter, which stay."""

    depth: reactive[int] = reactive(1, init=False)  # top tokens of a cell
    bottom_up: reactive[bool] = reactive(True, init=False)  # the last row is on top

    _rows: tuple[str, ...] = ()  # labels
    _columns: tuple[str, ...] = ()  # display texts of the input tokens
    _gutter = 0  # width of the labels

    def validate_depth(self, depth: int) -> int:
        """From colours alone (0) to the top five."""
        return min(max(depth, 0), MAX_DEPTH)

    @property
    def column_width(self) -> int:
        """Cells that a column takes, the space before its text included."""
        return column_width(self.depth)

    @property
    def row_height(self) -> int:
        """Lines that a row takes."""
        return row_height(self.depth)

    def _resize(self) -> None:
        self.virtual_size = Size(
            self._gutter + len(self._columns) * self.column_width,
            HEADER + len(self._rows) * self.row_height,
        )

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

    @property
    def step(self) -> Size:
        """By whole cells."""
        return Size(self.column_width, self.row_height)

    def visible_columns(self) -> range:
        """The columns on screen, the last one perhaps in part. They are to be read first."""
        first = self.scroll_offset.x // self.column_width
        stop = first - (self._gutter - self._view.width) // self.column_width
        return range(min(first, len(self._columns)), min(max(stop, first), len(self._columns)))

    def _flip(self, row: int) -> int:
        """From a row's index to its place from the top, and back."""
        return len(self._rows) - 1 - row if self.bottom_up else row

    def _region(self, cursor: Cursor) -> Region:
        """Where a cell would be drawn on an endless screen."""
        x = self._gutter + cursor.column * self.column_width - self.scroll_offset.x
        y = HEADER + self._flip(cursor.row) * self.row_height - self.scroll_offset.y
        return Region(x, y, self.column_width, self.row_height)

    @property
    def _body(self) -> Region:
        """Where cells are drawn."""
        return Region(0, 0, *self._view).shrink(Spacing(HEADER, 0, 0, self._gutter))

    def _refresh_within(self, bounds: Region, *regions: Region) -> None:
        """Draw anew what of the regions is within the bounds."""
        seen = [region.intersection(bounds) for region in regions]
        if any(seen):  # a refresh of no region would be one of everything
            self.refresh(*filter(None, seen))
