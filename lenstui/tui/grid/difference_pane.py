"""The pane of the difference of two sides, which is shown in place of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.pane import Pane

if TYPE_CHECKING:
    from lenstui.export.difference import Difference
    from lenstui.tui.grid.grid import Grid

NO_PLACE = -1  # of the difference among the sides


class DifferencePane(Pane):
    """A frame around the grid of a difference, which counts in how many cells another token leads."""

    def __init__(self) -> None:
        super().__init__(NO_PLACE, DifferenceGrid, name="difference")

    @property
    def compared(self) -> DifferenceGrid:
        """The grid of the difference."""
        return self.query_one(DifferenceGrid)

    def lay_out(self, left: Grid, right: Grid, vocabulary: int) -> None:
        """Show the grid of the difference of two grids, with the columns of the right one."""
        from lenstui.tui.grid.difference_cells import marked  # the first paint can do without

        cursor = right.cursor
        shown = marked(left.columns, right.columns)
        self.compared.start(right.rows, shown, vocabulary, gap=right.gap or left.gap)
        self.show_grid()
        self.compared.move_to(cursor)

    def compare(self, left: Grid, right: Grid, difference: Difference, vocabulary: int) -> None:
        """Show the difference of what two grids have by now."""
        self.compared.compare(left, right, difference, vocabulary)

    def sum_up(self, room: int, *, last: bool, marks: str) -> None:
        """Write on the frame in how many cells another token leads.

        Args:
            room: cells that there are for words.
            last: whether the sides may differ in their last row.
            marks: what the marks in the grid mean, or nothing.
        """
        counted = self.compared.counted_text(room - len(marks), last=last)
        self.border_subtitle = counted + marks if counted else ""
