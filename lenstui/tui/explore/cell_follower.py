"""The follower that keeps the panel under the grids at the cell under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

from lenstui.tui.explore.cell_words import NO_COLUMN, place_text

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.explore.words import Words

REST = 0.05  # seconds that the cursor must rest before the detail follows


class CellFollower:
    """The part of Explore that shows the cell under the cursor in the panel under the grids."""

    def __init__(self, state: ExploreState, widgets: Widgets, words: Words) -> None:
        self._state = state
        self._widgets = widgets
        self._words = words
        self._rest: Timer | None = None

    def follow(self) -> None:
        """Show the cell under the cursor in the panel, once the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self._widgets.panes.set_timer(REST, self.show)

    def show(self) -> None:
        """Show the cell under the cursor in the panel now."""
        state, panes, panel = self._state, self._widgets.panes, self._widgets.panel
        if state.model is None or not state.columns:
            return
        row, column = panes.cursor.row, panes.cursor.column
        cells = [grid.cells for grid in panes.grids]
        missing = {place: NO_COLUMN for place, grid in enumerate(panes.grids) if column in grid.gap}
        title = place_text(state, panes.count, row, column)
        panel.words = self._words.read
        panel.show(
            title,
            cells,
            panes.cursor,
            [state.rows_of(place) for place in range(panes.count)],
            state.texts,
            missing=missing,
            words_only=panes.words_only,
        )
        self._words.follow()
