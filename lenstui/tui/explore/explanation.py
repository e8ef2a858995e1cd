"""The part of Explore that goes from the cell under the cursor to what wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.jobs.why_messages import CellAsked
from lenstui.model.rows import is_sublayer
from lenstui.readout.alignment import in_prompt
from lenstui.tui.explore.cell_words import place_text, why_no_token
from lenstui.tui.explore.growth import AWAITED
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.tui.explore.comparison import Comparison
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

NOT_A_PART = "What one part adds is not taken apart any more: go to a row between two blocks."


class Explanation:
    """The part of Explore that shows why a cell says what it says."""

    def __init__(
        self, state: ExploreState, widgets: Widgets, services: Services, comparison: Comparison
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._comparison = comparison

    def open(self) -> None:
        """Show what wrote the likeliest token of the cell under the cursor, on the active side."""
        if reason := self.why_not():
            self._services.tell(reason)
            return
        state, panes = self._state, self._widgets.panes
        cursor, place = panes.cursor, panes.shown
        column = in_prompt(cursor.column, panes.grids[place].gap)
        asked = CellAsked(state.serial, place, cursor.row, column)
        words = place_text(state, panes.count, cursor.row, cursor.column)
        edits = state.sides[place].edits
        self._services.open_why(asked, words, edits, self._comparison.put_edits)

    def why_not(self) -> str:
        """Return why the cell under the cursor cannot be explained; nothing where it can."""
        state, panes = self._state, self._widgets.panes
        if not state.columns:
            return NO_PROMPT
        if state.elsewhere:
            return state.elsewhere
        if state.is_awaited:  # the columns on screen are those of the prompt before
            return AWAITED
        if is_sublayer(state.rows[panes.cursor.row]):
            return NOT_A_PART
        return "" if panes.token is not None else why_no_token(state, panes)
