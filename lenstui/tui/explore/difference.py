"""What Explore does to show the difference of two sides in place of all."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.tui.explore.base import GridScreen

NOTHING_READ = "Nothing is read yet: there is no difference to show."
NO_LENS = "No {} lens for this model, so there is no difference: t trains one, o opens one."
UNREAD = "The other side is not read yet: there is no difference to show."
ONE_SIDE = "There is one side, and so no difference: + adds another."
OF_BOTH = "The difference is of both sides: d goes back to each of them."


class ExploreDifference(GridScreen):
    """Explore with the difference of two sides."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "d", "difference", "Difference", show=False, id="explore.difference",
            tooltip="The active side minus the first, or the second minus it; and back",
        ),
    ]  # fmt: skip

    def action_difference(self) -> None:
        """The difference in place of the sides, or the other way round."""
        panes = self.panes
        second = panes.pair[1]
        if panes.difference or (second < panes.count and panes.grids[second].display):
            panes.difference = not panes.difference
        elif self.model is None or not self.columns:
            self._tell(NOTHING_READ)
        elif panes.count == 1:
            self._tell(ONE_SIDE)
        elif not self.sides[second].has_lens:
            self._tell(NO_LENS.format(self.sides[second].kind))
        else:
            self._tell(UNREAD)
