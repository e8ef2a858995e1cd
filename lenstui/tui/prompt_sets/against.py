"""The second side of a prompt set: the line that names it, and what is read of it."""

from __future__ import annotations

from lenstui.jobs.set_messages import SideOpening
from lenstui.tui.prompt_sets.painter import SetPainter, SetWidgets
from lenstui.tui.prompt_sets.reading import SetReader
from lenstui.tui.prompt_sets.state import SetState
from lenstui.tui.services import Services

NO_SECOND = "a model, a lens file, logit, or edits (ablate 3.mlp); empty: one side"


class SetAgainst:
    """The part of the screen that has a prompt set read by a second side, too."""

    def __init__(
        self,
        state: SetState,
        widgets: SetWidgets,
        services: Services,
        painter: SetPainter,
        reader: SetReader,
    ) -> None:
        """Prepare the part; there is one side yet.

        Args:
            state: the state of the screen.
            widgets: the widgets of the screen.
            services: the services of the program.
            painter: draws the state.
            reader: reads the prompt set anew, by both sides.
        """
        self._state = state
        self._widgets = widgets
        self._services = services
        self._painter = painter
        self._reader = reader

    def name(self) -> None:
        """Show the line that names the second side, and put the focus there.

        Where nothing was named yet, it proposes the other model on Explore's sides, if there is one.
        """
        line = self._widgets.against
        if not line.value:
            line.value = self._beside
        self._widgets.against_line.display = True
        line.focus()

    @property
    def _beside(self) -> str:
        """The name of the other model on Explore's sides; empty where there is none."""
        model = self._services.model
        sides = () if model is None else model.sides
        other = next((side for side in sides if side.model_number != sides[0].model_number), None)
        if other is None:
            return ""
        return other.model if other.revision is None else f"{other.model}@{other.revision}"

    def take(self) -> None:
        """Read the prompt set anew, by the side that the line names, too, if any."""
        self._state.against = self._widgets.against.value.strip()
        self.leave()
        self._reader.read()

    def leave(self) -> None:
        """Go from the line to the table; the line shows the second side in use, if any."""
        self._widgets.against.value = self._state.against
        self._widgets.table.focus()
        self._widgets.against_line.display = bool(self._state.against)

    def say_stage(self, message: SideOpening) -> None:
        """Show what is done to open the second side."""
        if (run := self._state.run_of(message.number)) is not None:
            run.stage = message.stage
            self._painter.draw_soon()
