"""The lens in training on Explore: the sides that show it, and the readings through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.jobs.fit_messages import BUSY, FitStatus, Phase, TrainingRead
from lenstui.tui.fitted_cells import FittedCells
from lenstui.tui.services import Services
from lenstui.tui.shared.fit_words import outcome
from lenstui.tui.shared.side_names import SideNames

if TYPE_CHECKING:
    from lenstui.tui.explore.cell_follower import CellFollower
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets

LEAST = 1.0  # seconds between two readings
SHARE = 0.1  # of the time that readings may take from the fit


class Repaint:
    """The schedule of readings through the lens in training.

    A reading is due once the lens has changed, the last reading has come, and the fit had its share of time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: Hashable = None
        self._read: Hashable = None
        self._asked = False
        self._next = clock()

    def changed(self, state: Hashable) -> None:
        """Note the current state of the lens, which may be the same as before."""
        self._state = state

    def is_due(self) -> bool:
        """Return whether a reading is due; if so, the caller has to begin one."""
        if self._asked or self._state == self._read or self._clock() < self._next:
            return False
        self._asked, self._read = True, self._state
        return True

    def answered(self, seconds: float) -> None:
        """Note that a reading has come, which took so many seconds."""
        self._asked = False
        self._next = self._clock() + max(LEAST, seconds / SHARE)


class LensInTraining:
    """The part of Explore that shows the lens in training on the sides of its kind.

    Nothing is shown while other models, prompts or lenses are compared.
    """

    def __init__(
        self, state: ExploreState, widgets: Widgets, services: Services, follower: CellFollower
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._follower = follower
        self._kind: str | None = None  # the kind of the lens that is fitted to the open model
        self._repaint = Repaint()

    def show_status(self, status: FitStatus) -> None:
        """Show the progress of a fit in the top line, and read the columns on screen through its lens."""
        self._widgets.status.fit = status if status.phase in BUSY else None
        kind = status.kind_in_training
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
        """Read through the lens the columns on screen, and on the training screen if that is in front."""
        seen, shown = self._widgets.panes.columns_on_screen, self._services.training_columns
        if shown:
            seen = range(max(0, seen.stop - max(len(seen), shown)), seen.stop)
        post = self._services.post_to(self._widgets.screen)
        self._services.prompts.read_in_training(self._state.serial, seen, post)

    def begin_anew(self) -> None:
        """Make a reading through the lens due at once, since other columns are on screen."""
        self._repaint = Repaint()

    def mark(self) -> None:
        """Mark the sides that show the lens in training, and name them accordingly."""
        state, panes, panel = self._state, self._widgets.panes, self._widgets.panel
        kind = self._kind if not state.is_compared else None
        training = frozenset(place for place, side in enumerate(state.sides) if side.kind == kind)
        if training or panes.training:  # a lens in training has another name than the one in use
            named = [
                replace(side, lens=None, is_instant=False) if place in training else side
                for place, side in enumerate(state.sides)
            ]
            panes.names = panel.names = SideNames.of(named)
        panes.training = training

    def show_cells(self, message: TrainingRead) -> None:
        """Show cells that were read through the lens in training."""
        self._repaint.answered(message.seconds)
        state, panes = self._state, self._widgets.panes
        if message.serial != state.serial:
            return
        found = FittedCells(message.kind, message.start, message.cells, message.texts)
        self._services.signals.fitted_cells_read.publish(found)
        if not panes.training or state.model is None:
            return
        state.texts.update(message.texts)
        for place in panes.training:
            if not panes.grids[place].display:
                panes.lay_out(place, state.rows, state.columns, state.model.vocabulary, panes.cursor)
            panes.grids[place].add(message.start, message.cells, message.texts)
        panes.rescale()
        self._follower.show()
