"""The appearance of Explore (value, height and order of rows, marks), which the next session restores."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lenstui.lens.kinds import first_kinds
from lenstui.model.rows import is_whole_stream
from lenstui.support.turns import text_of
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.plotted import PLOTTED
from lenstui.tui.grid.room import Contents
from lenstui.tui.session.model_key import model_key
from lenstui.tui.session.session import LONGEST, Look
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.trust_overlay import TrustOverlay
    from lenstui.tui.explore.turns import Turns
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

NOT_ALL_ROWS = "Where a column settles is known only with all rows read: b, then “all”, reads them."


class Appearance:
    """The part of Explore whose keys change how cells are shown, but not what is read."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        trust: TrustOverlay,
        turns: Turns,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._trust = trust
        self._turns = turns

    def next_value(self, step: int) -> None:
        """Colour the cells by the next value (1), or by the previous value (-1)."""
        self._widgets.panes.next_value(step)

    def deepen(self, step: int) -> None:
        """Make the rows of the grids taller (1) or flatter (-1)."""
        panes = self._widgets.panes
        if not panes.deepen(step):
            what = "have 1 to {} lines" if panes.difference else "show the top 1 to {} tokens"
            self._services.tell(f"Rows {what.format(panes.most_lines)}.")

    def next_contents(self) -> None:
        """Show tokens alone in the cells, or numbers, or both; say which."""
        panes, shown = self._widgets.panes, list(Contents)
        now = panes.shown_grid.column_layout.contents
        panes.contents = shown[(shown.index(now) + 1) % len(shown)]
        self._services.tell(f"Cells show {panes.contents.value}.")

    def flip(self) -> None:
        """Put the last row of the grids on top, or at the bottom again."""
        self._widgets.panes.flip()

    def toggle_crystallization(self) -> None:
        """Mark the row where each column settles, or remove the marks."""
        panes = self._widgets.panes
        if not self._state.columns:
            self._services.tell(NO_PROMPT)
        elif is_whole_stream(self._state.rows) or panes.crystallization:
            panes.crystallization = not panes.crystallization
        else:
            self._services.tell(NOT_ALL_ROWS)

    # ── from one session to the next ─────────────────────────────────────────────────────────────────────

    def look(self) -> Look:
        """Return the current prompt, cursor and appearance, to be restored in another session."""
        state, panes, model = self._state, self._widgets.panes, self._state.model
        prompt, grid = self._widgets.prompt.prompt, panes.grids[0]
        is_kept = len(text_of(prompt)) <= LONGEST
        return Look(
            prompt=prompt if isinstance(prompt, str) and is_kept else "",
            turns=prompt.plain if not isinstance(prompt, str) and is_kept else {},
            row=panes.cursor.row,
            column=panes.cursor.column,
            value=panes.value.key,
            depth=panes.depth or 0,
            bottom_up=grid.bottom_up,
            crystallization=panes.crystallization,
            trust=self._trust.is_on,
            dim_template=self._turns.dims_template,
            fold_reasoning=self._turns.folds_reasoning,
            lens=self._kinds[panes.active],
            plotted=self._widgets.panel.plotted,
            difference=panes.difference and not state.is_compared,
            lens_file="" if model is None or model.chosen_lens is None else str(model.chosen_lens.absolute()),
            other_lenses=[] if model is None else [str(file.absolute()) for file in model.other_lenses],
            revision="" if model is None else model.revision or "",
            base="" if model is None or model.adapter is None else model_key(model.name),
            reading=state.reading.plain(),
            when=time.time(),
        )

    def put_back(self, look: Look) -> None:
        """Restore the appearance of an earlier session, and its cursor once the prompt is read."""
        panes = self._widgets.panes
        panes.value_index = next((i for i, value in enumerate(panes.values) if value.key == look.value), 0)
        if panes.grids[0].bottom_up != look.bottom_up:
            panes.flip()
        panes.crystallization = look.crystallization
        self._trust.is_on = look.trust
        self._turns.dims_template = look.dim_template
        self._turns.folds_reasoning = look.fold_reasoning
        if look.lens in self._kinds:
            panes.active = self._kinds.index(look.lens)
        if look.plotted in PLOTTED:
            self._widgets.panel.plotted = look.plotted
        panes.difference = look.difference
        if look.row >= 0 and look.column >= 0:
            self._state.first_cursor = Cursor(look.row, look.column)

    @property
    def _kinds(self) -> list[str]:
        """The kinds of lens of the sides; before a model is open, those that the first sides will have."""
        return [side.kind for side in self._state.sides] or list(first_kinds())
