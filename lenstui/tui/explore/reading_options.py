"""How the prompt of Explore is read: which rows, by which norm, with BOS or chat. Asked for with a key."""

from __future__ import annotations

from collections.abc import Callable

from lenstui.jobs.messages import OpenModel
from lenstui.readout.reading import Reading
from lenstui.tui.explore.prompt_line import PromptLine
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.services import Services


class ReadingOptions:
    """The options by which the prompt is read: as asked for, and as far as the open model can be read so."""

    def __init__(
        self,
        state: ExploreState,
        services: Services,
        prompt_line: PromptLine,
        read: Callable[[], object],
    ) -> None:
        """Read by default.

        Args:
            state: what is on screen.
            services: of the program.
            prompt_line: says how the prompt is read.
            read: reads the prompt of the screen anew.
        """
        self._state = state
        self._services = services
        self._prompt_line = prompt_line
        self._read = read

    def ask(self) -> None:
        """Ask how to read the prompt, and read it so."""
        from lenstui.tui.explore.ask_reading import AskReading  # the first paint can do without

        if self._state.model is None:
            self._services.tell("No model is open yet: how it can be read depends on it.")
        else:
            self._services.ask(AskReading(self._state.reading, self._state.model), self.change)

    def change(self, reading: Reading | None) -> None:
        """Read the prompt in another way, if that is another; None changes nothing."""
        if reading is None or reading == self._state.reading:
            return
        reading = self._ask_for(reading)
        if self._state.columns:
            self._state.keeps_column = True
            self._read()
        else:
            self._prompt_line.show_reading(reading)

    def begin(self, model: OpenModel) -> None:
        """Take the options by which a model that was just opened is read at first."""
        self._prompt_line.show_reading(self._ask_for(self._services.first_reading(model.name)))

    def _ask_for(self, reading: Reading) -> Reading:
        """Ask for this from now on, but for what the open model does not allow, which is said."""
        model = self._state.model
        assert model is not None
        refused = reading.refused(model.allowed, len(model.rows) - 1)
        self._state.reading = reading.without(refused)
        if refused:
            text = " ".join(refused.values())
            self._services.notify(text, title="Read by default", severity="warning", seconds=10)
        return self._state.reading

    def take_effect(self) -> None:
        """Note that what is on screen is read as asked for."""
        self._state.keeps_column = False
        self._prompt_line.show_reading(self._state.reading)

    def fail(self) -> None:
        """Note that what is on screen is read as before."""
        self._state.keeps_column = False
        self._state.reading = self._state.shown_reading
