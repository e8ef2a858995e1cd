"""The keys of Explore about its sides: change one, add one, take one away, show a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.opening.sides import MOST_SIDES
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.widgets import Widgets
from lenstui.tui.grid.grid import Grid
from lenstui.tui.services import NO_PROMPT, Services

if TYPE_CHECKING:
    from lenstui.jobs.chosen_model import Chosen

NO_MODEL = "No model is open yet: m opens one."
ROOM_FOR_MOST = 150  # columns
NO_ROOM = f"{MOST_SIDES} sides need a screen of {ROOM_FOR_MOST} columns."
NOTHING_READ = "Nothing is read yet: there is no difference to show."
NO_LENS = "No {} lens for this model, so there is no difference: t trains one, o opens one."
UNREAD = "The other side is not read yet: there is no difference to show."
ONE_SIDE = "There is one side, and so no difference: + adds another."
OF_BOTH = "The difference is of both sides: d goes back to each of them."


class Comparison:
    """The part of Explore that changes, adds and takes away sides, and shows the difference of two."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services

    # ── what is on the active side ───────────────────────────────────────────────────────────────────────

    def choose_model(self) -> None:
        """Ask for a model to put on the active side."""
        if self._state.model is None:
            self._services.tell(NO_MODEL)
        else:
            self._services.choose_model(self._open, beside=True)

    def _open(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        self._widgets.status.stage = "looking for the model"
        start = chosen.start(self._services.start, self._state.model)
        self._services.sides.open(self._widgets.panes.active, start)

    def ask_for_prompt(self) -> None:
        """Ask for a prompt to put on the active side."""
        sides = self._state.sides
        if not self._state.columns:
            self._services.tell(NO_PROMPT)
            return
        places = [self._widgets.panes.active, *range(len(sides))]
        before = next((text for place in places if (text := sides[place].prompt)), self._state.prompt)
        self._services.ask(AskPrompt(before, self._services.history), self._put_prompt)

    def _put_prompt(self, text: str | None) -> None:
        if text is not None:
            self._services.put_prompt_beside(text)

    def next_lens(self) -> None:
        """Read the active side through the next lens."""
        if self._state.model is None:
            self._services.tell(NO_MODEL)
        else:
            post = self._services.post_to(self._widgets.screen)
            self._services.sides.next_lens(self._widgets.panes.active, self._state.sides, post)

    def add_side(self) -> None:
        """Add a side, which becomes the active one."""
        width = self._widgets.screen.size.width
        if self._state.model is None:
            self._services.tell(NO_MODEL)
        elif len(self._state.sides) == MOST_SIDES - 1 and width < ROOM_FOR_MOST:
            self._services.tell(NO_ROOM)
        else:
            self._services.sides.add(self._services.post_to(self._widgets.screen))

    def take_away(self) -> None:
        """Take the active side away."""
        if self._state.model is None:
            self._services.tell(NO_MODEL)
        else:
            post = self._services.post_to(self._widgets.screen)
            self._services.sides.take_away(self._widgets.panes.active, self._state.sides, post)

    # ── which side is looked at ──────────────────────────────────────────────────────────────────────────

    def go_to_next(self) -> None:
        """Make the next side the active one."""
        panes = self._widgets.panes
        if panes.difference and panes.count < MOST_SIDES:
            self._services.tell(OF_BOTH)
            return
        if panes.count == 1:
            self._services.tell(ONE_SIDE)
            return
        there = panes.sides_with_room
        if len(there) < 2:
            self._services.tell(next(iter(panes.missing.values()), ONE_SIDE))
            return
        panes.active = next((place for place in there if place > panes.active), there[0])
        if isinstance(self._widgets.focused, Grid | None):
            panes.focus_grid()

    def toggle_difference(self) -> None:
        """Show the difference of two sides in place of the sides, or the sides again."""
        panes, state = self._widgets.panes, self._state
        second = panes.pair[1]
        if panes.difference or (second < panes.count and panes.grids[second].display):
            panes.difference = not panes.difference
        elif state.model is None or not state.columns:
            self._services.tell(NOTHING_READ)
        elif panes.count == 1:
            self._services.tell(ONE_SIDE)
        elif not state.sides[second].has_lens:
            self._services.tell(NO_LENS.format(state.sides[second].kind))
        else:
            self._services.tell(UNREAD)
