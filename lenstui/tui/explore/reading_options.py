"""The options by which Explore's prompt is read: rows, final norm, BOS, chat, sublayers, readout filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.jobs.messages import OpenModel
    from lenstui.readout.reading import Reading
    from lenstui.tui.explore.prompt_line import PromptLine
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.services import Services


class ReadingOptions:
    """The part of Explore with the options by which the prompt is read, as far as the open model allows."""

    def __init__(
        self,
        state: ExploreState,
        services: Services,
        prompt_line: PromptLine,
        read: Callable[[], object],
    ) -> None:
        """Begin with the default options.

        Args:
            state: the state of Explore.
            services: the services of the program.
            prompt_line: shows how the prompt is read.
            read: reads the prompt on screen again.
        """
        self._state = state
        self._services = services
        self._prompt_line = prompt_line
        self._read = read

    def ask(self) -> None:
        """Ask for the options, and read the prompt by them."""
        from lenstui.tui.explore.ask_reading import AskReading  # the first paint can do without

        if self._state.model is None:
            self._services.tell("No model is open yet: how it can be read depends on it.")
        else:
            of_turns = not isinstance(self._state.prompt, str)
            screen = AskReading(self._state.reading, self._state.model, of_turns=of_turns)
            self._services.ask(screen, self.change)

    def toggle_filter(self) -> None:
        """Leave tokens without a letter or digit out of the cells, or put them in again."""
        if self._state.model is None:
            self._services.tell("No model is open yet: its tokens are not known.")
        else:
            reading = self._state.reading
            self.change(replace(reading, words_only=not reading.words_only))

    def change(self, reading: Reading | None) -> None:
        """Read the prompt by other options; None and the current options change nothing."""
        if reading is None or reading == self._state.reading:
            return
        before, reading = self._state.reading, self._ask_for(reading)
        if self._state.ids and (before.bos, before.chat) != (reading.bos, reading.chat):
            self._state.fold()  # scanned tokens stand for themselves: these options cut the text anew
        if self._state.columns:
            self._state.keeps_column = True
            self._read()
        else:
            self._prompt_line.show_reading(reading)

    def begin(self, model: OpenModel) -> None:
        """Set the options by which a model that was just opened is read at first."""
        self._prompt_line.show_reading(self._ask_for(self._services.first_reading(model.label)))

    def _ask_for(self, reading: Reading) -> Reading:
        """Set and return the options, without those that the open model refuses; notify the user of these."""
        model = self._state.model
        assert model is not None
        refused = reading.refused(model.allowed, len(model.rows) - 1)
        self._state.reading = reading.without(refused)
        if refused:
            text = " ".join(refused.values())
            self._services.notify(text, title="Read by default", severity="warning", seconds=10)
        return self._state.reading

    def take_effect(self) -> None:
        """Note that the prompt on screen is read by the current options, and show them."""
        self._state.keeps_column = False
        self._prompt_line.show_reading(self._state.reading)

    def fail(self) -> None:
        """Go back to the options of the prompt on screen, since the new ones could not be followed."""
        self._state.keeps_column = False
        self._state.reading = self._state.shown_reading
