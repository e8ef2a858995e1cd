"""What Explore does to show the difference of the lenses in place of both."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.tui.explore.base import GridScreen

NOTHING_READ = "Nothing is read yet: there is no difference to show."
NO_LENS = "No tuned lens for this model, so there is no difference: t trains one, o opens one."
OF_BOTH = "The difference is of both lenses: d goes back to each of them."


class ExploreDifference(GridScreen):
    """Explore with the difference of the lenses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "d", "difference", "Difference", show=False, id="explore.difference",
            tooltip="The right pane minus the left one, and back",
        ),
    ]  # fmt: skip

    def action_difference(self) -> None:
        """The difference in place of both lenses, or the other way round."""
        panes = self.panes
        if panes.difference or panes.grids["tuned"].display:
            panes.difference = not panes.difference
        elif self.model is None or not self.columns:
            self._tell(NOTHING_READ)
        else:
            self._tell(NO_LENS)
