"""The grid of the difference: a side minus another, as a heat map that diverges about 0."""

from __future__ import annotations

from lenstui.export.difference import DIFFERENT, Difference
from lenstui.export.legend import NOT_COUNTED
from lenstui.tui.grid.difference_cells import MOST_LINES, DifferenceCells
from lenstui.tui.grid.grid import Grid


class DifferenceGrid(Grid):
    """The cells of two grids, compared."""

    _cells: DifferenceCells

    def _blank(self, rows: int, columns: int) -> DifferenceCells:
        return DifferenceCells(rows, columns)

    def validate_depth(self, depth: int) -> int:
        """No more lines than there is to say."""
        return min(super().validate_depth(depth), MOST_LINES)

    def compare(self, left: Grid, right: Grid, difference: Difference, vocabulary: int) -> None:
        """Show the difference of what two grids have by now. What changes and is on screen is drawn anew."""
        seen = self.visible_columns()
        with self._repainting(slice(seen.start, seen.stop)):
            scale = self._cells.compare(left.drawn_cells, right.drawn_cells, difference, vocabulary)
        self.scale = scale

    def counted(self, *, last: bool) -> tuple[int, int]:
        """In how many cells another token leads, of how many; the last row counted or not."""
        return self._cells.counted(last=last)

    def counted_text(self, width: int, *, last: bool) -> str:
        """The same in words, with what is not counted. Empty where nothing is.

        Args:
            width: terminal cells that there are.
            last: count the last row too.
        """
        different, compared = self.counted(last=last)
        if not compared:
            return ""
        not_counted = "without the first column" if last else NOT_COUNTED
        brief = f"in {different} of {compared} cells"
        full = f"{brief} ({not_counted})"
        forms = (f"{DIFFERENT} another token leads: {full}", f"{DIFFERENT} {full}", f"{DIFFERENT} {brief}")
        return next((form for form in forms if len(form) <= width), forms[-1])

    def show_place_of(self, grid: Grid) -> None:
        """Scroll to where another grid is, as far as can be."""
        x, y = grid.scroll_offset
        self.follow_scroll(x // grid.column_width * self.column_width, y // grid.row_height * self.row_height)
        self.move_to(grid.cursor)
