"""The grid of the difference: the tuned lens minus the logit lens, as a heat map that diverges about 0."""

from __future__ import annotations

from lenstui.export.difference import Difference
from lenstui.ui.widgets.difference_cells import MOST_LINES, DifferenceCells
from lenstui.ui.widgets.grid import Grid


class DifferenceGrid(Grid):
    """The cells of two grids, compared."""

    _cells: DifferenceCells

    def _blank(self, rows: int, columns: int) -> DifferenceCells:
        return DifferenceCells(rows, columns)

    def validate_depth(self, depth: int) -> int:
        """No more lines than there is to say."""
        return min(super().validate_depth(depth), MOST_LINES)

    def compare(self, logit: Grid, tuned: Grid, difference: Difference, vocabulary: int) -> None:
        """Show the difference of what two grids have by now. What changes and is on screen is drawn anew."""
        seen = self.visible_columns()
        with self._repainting(slice(seen.start, seen.stop)):
            scale = self._cells.compare(logit._cells, tuned._cells, difference, vocabulary)
        self.scale = scale

    @property
    def counted(self) -> tuple[int, int]:
        """In how many cells another token leads, and in how many one could."""
        return self._cells.different, self._cells.compared

    def show_place_of(self, grid: Grid) -> None:
        """Scroll to where another grid is, as far as can be."""
        x, y = grid.scroll_offset
        self.follow_scroll(x // grid.column_width * self.column_width, y // grid.row_height * self.row_height)
        self.move_to(grid.cursor)
