"""The lens in training on Explore: which sides show it, and when columns are read through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace

from lenstui.jobs.fit_messages import BUSY, UNDER_WAY, FitStatus, Phase, TrainingRead
from lenstui.lens.kinds import TUNED
from lenstui.tui.explore.cell_follower import CellFollower
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.widgets import Widgets
from lenstui.tui.services import Services, TunedCells
from lenstui.tui.shared.fit_words import outcome
from lenstui.tui.shared.side_names import SideNames

LEAST = 1.0  # seconds between two readings
SHARE = 0.1  # of the time that they may take from the fit


class Repaint:
    """Says when to read anew: the lens has changed, the last reading has come, and it is worth its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: Hashable = None
        self._read: Hashable = None
        self._asked = False
        self._next = clock()

    def changed(self, state: Hashable) -> None:
        """Note the state of the lens, which may be as it was."""
        self._state = state

    def is_due(self) -> bool:
        """Return whether to read now, which the caller then does."""
        if self._asked or self._state == self._read or self._clock() < self._next:
            return False
        self._asked, self._read = True, self._state
        return True

    def answered(self, seconds: float) -> None:
        """Note that a reading has come, and how long it took."""
        self._asked = False
        self._next = self._clock() + max(LEAST, seconds / SHARE)


class LensInTraining:
    """Shows the lens in training on the sides of its kind, unless something else is compared."""

    def __init__(
        self, state: ExploreState, widgets: Widgets, services: Services, follower: CellFollower
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._follower = follower
        self._kind: str | None = None  # of the lens that is fitted to the open model
        self._repaint = Repaint()

    def show_status(self, status: FitStatus) -> None:
        """Say in the top line how far the fit is, and have the columns on screen follow the lens."""
        self._widgets.status.fit = status if status.phase in BUSY else None
        kind = TUNED if status.phase in UNDER_WAY else None
        if kind != self._kind:
            self._kind = kind
            self.mark()
            self._repaint = Repaint()
        if status.phase is Phase.KEPT:
            self._services.notify(outcome(status), title="Trained", seconds=15)
        elif kind and status.progress is not None and self._state.columns:
            self._repaint.changed((status.progress.stage, status.progress.step))
            if self._repaint.is_due():
                self._read()

    def _read(self) -> None:
        """Read the columns on screen anew, and those of the training screen where that is in front."""
        seen, shown = self._widgets.panes.columns_on_screen, self._services.training_columns
        if shown:
            seen = range(max(0, seen.stop - max(len(seen), shown)), seen.stop)
        post = self._services.post_to(self._widgets.screen)
        self._services.prompts.read_in_training(self._state.serial, seen, post)

    def begin_anew(self) -> None:
        """Other columns are on screen: they are to be read through the lens."""
        self._repaint = Repaint()

    def mark(self) -> None:
        """Name the sides that show the lens in training."""
        state, panes, panel = self._state, self._widgets.panes, self._widgets.panel
        kind = self._kind if not state.is_compared else None
        training = frozenset(place for place, side in enumerate(state.sides) if side.kind == kind)
        if training or panes.training:  # a lens in training has another name than the one in use
            named = [
                replace(side, lens=None) if place in training else side
                for place, side in enumerate(state.sides)
            ]
            panes.names = panel.names = SideNames.of(named)
        panes.training = training

    def show_cells(self, message: TrainingRead) -> None:
        """Put cells in, as the lens in training has them."""
        self._repaint.answered(message.seconds)
        state, panes = self._state, self._widgets.panes
        if message.serial != state.serial:
            return
        found = TunedCells(message.start, message.cells, message.texts)
        self._services.signals.tuned_cells_read.publish(found)
        if not panes.training or state.model is None:
            return
        state.texts.update(message.texts)
        for place in panes.training:
            if not panes.grids[place].display:
                panes.lay_out(place, state.rows, state.columns, state.model.vocabulary, panes.cursor)
            panes.grids[place].add(message.start, message.cells, message.texts)
        panes.rescale()
        self._follower.show()
