"""What Explore does to show where columns settle: their crystallization rows, marked in both panes."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.model.rows import is_whole_stream
from lenstui.tui.explore.base import GridScreen

NOT_ALL_ROWS = "Where a column settles is known only with all rows read: b, then “all”, reads them."


class ExploreCrystallization(GridScreen):
    """Explore with a mark in each column, on the first cell from which its top-1 stays the final one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "c", "crystallization", "Crystallization", show=False, id="explore.crystallization",
            tooltip="Mark the row where each column settles",
        ),
    ]  # fmt: skip

    def action_crystallization(self) -> None:
        """Mark them, or no longer."""
        if not self.columns:
            self._tell("Nothing is read yet: there is no column that could settle.")
        elif is_whole_stream(self.rows) or self.panes.crystallization:
            self.panes.crystallization = not self.panes.crystallization
        else:
            self._tell(NOT_ALL_ROWS)
