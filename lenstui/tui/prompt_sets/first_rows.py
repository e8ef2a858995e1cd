"""The rows that the last columns of a prompt set show: where the top-1 settles, where the target leads, …"""

from __future__ import annotations

from dataclasses import replace

from lenstui.jobs.set_messages import ReadCase
from lenstui.jobs.sets import first_places
from lenstui.readout.sets.first_rows import limit_of, limit_text
from lenstui.support.errors import LensError
from lenstui.tui.prompt_sets.painter import SetPainter
from lenstui.tui.prompt_sets.state import SetState
from lenstui.tui.prompt_sets.view import ROWS, rows_label
from lenstui.tui.services import Services
from lenstui.tui.shared.ask_word import AskWord

HINT = """\
A probability from 0 to below 1. The last columns then have the row where the target's is first above it."""


class SetFirstRows:
    """The part of the screen that chooses the rows of the last columns."""

    def __init__(self, state: SetState, services: Services, painter: SetPainter) -> None:
        """Prepare the part.

        Args:
            state: the state of the screen.
            services: the services of the program.
            painter: draws the state.
        """
        self._state = state
        self._services = services
        self._painter = painter

    def next(self) -> None:
        """Show the next kind of rows in the last columns."""
        self._state.rows = ROWS[(ROWS.index(self._state.rows) + 1) % len(ROWS)]
        self._painter.draw()
        label = rows_label(self._state.rows, self._state.above).removesuffix(": {}")
        self._services.tell(f"The last columns, one for each lens: {label.format('lens')}.")

    def ask_limit(self) -> None:
        """Ask for the probability that a target has to be above."""
        now = limit_text(self._state.above)
        self._services.ask(
            AskWord("first row with p(target) > x", "takes x", HINT, f"x, now {now}"), self._take_limit
        )

    def _take_limit(self, typed: str | None) -> None:
        if typed is None:
            return
        try:
            above = limit_of(typed.strip())
        except LensError as error:
            self._services.tell(str(error))
            return
        state, run = self._state, self._state.run
        state.rows, state.above = "above", above
        if run is not None:
            run.source = None if run.source is None else run.source.with_above(above)
            run.cases = [
                ReadCase(replace(case.line, above=first_places(case.readout, "above", above)), case.readout)
                for case in run.cases
            ]
        self._painter.draw()
