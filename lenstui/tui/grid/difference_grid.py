"""The grid of the difference: a side minus another, as a heat map that diverges about 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.export.legend import NOT_COUNTED
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.places import MOST_LINES

if TYPE_CHECKING:
    from lenstui.export.difference import Difference
    from lenstui.tui.grid.difference_cells import DifferenceCells


class DifferenceGrid(Grid):
    """A heat map of the cells of two grids, compared."""

    _cells: DifferenceCells

    def _blank(self, rows: int, columns: int) -> DifferenceCells:
        from lenstui.tui.grid.difference_cells import DifferenceCells

        return DifferenceCells(rows, columns)

    def validate_depth(self, depth: int) -> int:
        """Return a depth of no more lines than the cells of a difference have."""
        return min(super().validate_depth(depth), MOST_LINES)

    def compare(self, left: Grid, right: Grid, difference: Difference, vocabulary: int) -> None:
        """Show the difference of what two grids have read by now, and draw anew what changes on screen."""
        seen = self.visible_columns()
        with self._repainting(slice(seen.start, seen.stop)):
            scale = self._cells.compare(left.drawn_cells, right.drawn_cells, difference, vocabulary)
        self.scale = scale

    def counted(self, *, last: bool) -> tuple[int, int]:
        """Return in how many cells another token leads, and how many cells both sides have read.

        The first token's column, often an attention sink, does not count.

        Args:
            last: whether the last row counts, in which only two models, or two prompts, can differ.
        """
        return self._cells.counted(last=last)

    def counted_text(self, width: int, *, last: bool) -> str:
        """Return in how many cells another token leads, as text, with what does not count.

        Empty where no cells are compared.

        Args:
            width: the room for the text, in terminal cells.
            last: whether the last row counts.
        """
        from lenstui.export.difference import DIFFERENT  # the first paint can do without

        different, compared = self.counted(last=last)
        if not compared:
            return ""
        not_counted = "without the first column" if last else NOT_COUNTED
        brief = f"in {different} of {compared} cells"
        full = f"{brief} ({not_counted})"
        forms = (f"{DIFFERENT} another token leads: {full}", f"{DIFFERENT} {full}", f"{DIFFERENT} {brief}")
        return next((form for form in forms if len(form) <= width), forms[-1])

    def show_place_of(self, grid: Grid) -> None:
        """Scroll to the cells that another grid shows, as far as possible, and take over its cursor."""
        x, y = grid.scroll_offset
        self.follow_scroll(x // grid.column_width * self.column_width, y // grid.row_height * self.row_height)
        self.move_to(grid.cursor)
