"""How far the last rows of two models, or of two runs of one, part in the cursor's column."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.jobs.messages import FinalsCompared, ReadDone
    from lenstui.tui.explore.cell_follower import CellFollower
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services


class Finals:
    """The part of Explore that has the final distributions of the sides compared, for the panel."""

    def __init__(
        self, state: ExploreState, widgets: Widgets, services: Services, follower: CellFollower
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._follower = follower

    def compare(self, message: ReadDone) -> None:
        """Have the finals compared once a prompt is read, if a side has another run of it than the first."""
        sides, outputs = self._state.sides, self._widgets.panes.names.outputs
        self._widgets.panel.finals = {}
        if any(side.prompt is None and of != outputs[0] for side, of in zip(sides, outputs, strict=True)):
            post = self._services.post_to(self._widgets.screen)
            self._services.prompts.compare_finals(message.serial, post)

    def take(self, message: FinalsCompared) -> None:
        """Show in the panel what was found."""
        if message.failure:
            self._services.tell(message.failure)
        self._widgets.panel.finals = message.divergences
        self._follower.show()
