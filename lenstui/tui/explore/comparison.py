"""The keys of Explore about its sides: change one, add one, take one away, show a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.opening.side_count import MOST_SIDES, NO_MORE, ONE_STAYS
from lenstui.opening.side_facts import is_edited_run
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.edit_dialog import EditDialog
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.room import ROOM_FOR_MOST
from lenstui.tui.shared.nothing_yet import NO_MODEL, NO_PROMPT, NO_SECOND_SIDE

if TYPE_CHECKING:
    from lenstui.edits.edit_list import EditList
    from lenstui.jobs.chosen_model import Chosen
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

NO_ROOM = f"{MOST_SIDES} sides need a screen of {ROOM_FOR_MOST} columns."
UNREAD = "The other side is not read yet: there is no difference to show."
OF_BOTH = "The difference is of both sides: d goes back to each of them."


class Comparison:
    """The part of Explore that changes, adds and takes away sides, and shows the difference of two."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._dialog: EditDialog | None = None  # while the edits of a side are changed

    # ── what is on the active side ───────────────────────────────────────────────────────────────────────

    def why_no_model(self) -> str:
        """Return that no model is open, and so there are no sides to change; nothing where one is."""
        return NO_MODEL if self._state.model is None else ""

    def choose_model(self) -> None:
        """Ask for a model to put on the active side."""
        if reason := self.why_no_model():
            self._services.tell(reason)
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
        if reason := self.why_no_prompt():
            self._services.tell(reason)
            return
        sides = self._state.sides
        places = [self._widgets.panes.active, *range(len(sides))]
        typed = self._state.prompt if isinstance(self._state.prompt, str) else ""
        before = next((text for place in places if (text := sides[place].prompt)), typed)
        beside_turns = not isinstance(self._state.prompt, str)
        dialog = AskPrompt(before, self._services.history, beside_turns=beside_turns)
        self._services.ask(dialog, self._put_prompt)

    def why_no_prompt(self) -> str:
        """Return why there can be no second prompt; nothing where there can."""
        return "" if self._state.columns else NO_PROMPT

    def why_no_edit(self) -> str:
        """Return why nothing can be edited; nothing where something can."""
        return self.why_no_prompt() or self._state.elsewhere

    def _put_prompt(self, text: str | None) -> None:
        if text is not None:
            self._services.put_prompt_beside(text)

    def edit(self) -> None:
        """Show the edits of the active side, to be changed."""
        if reason := self.why_no_edit():
            self._services.tell(reason)
            return
        side = self._edited_side()
        name = self._widgets.panes.names.spoken[side]
        dialog = EditDialog(self._state.sides[side].edits, name, self._services, self.put_edits)
        self._dialog = dialog
        self._services.ask(dialog, self._end_editing)

    def _end_editing(self, _: None) -> None:
        """Go from a clean side to its edited run, so that what is pressed next is about that."""
        self._dialog = None
        if (place := self._edited_side()) != self._widgets.panes.active:
            self.go_to(place)

    def _edited_side(self) -> int:
        """Return the place of the side whose edits are changed: the active one, or its edited run."""
        sides, active = self._state.sides, self._widgets.panes.active
        if sides[active].edits:
            return active
        edited = (place for place, side in enumerate(sides) if is_edited_run(side, sides[active]))
        return next(edited, active)

    def put_edits(self, edits: EditList) -> None:
        """Have other edits done on the active side, or on its edited run."""
        post = self._services.post_to(self._widgets.screen)
        self._services.sides.put_edits(self._edited_side(), edits, self._state.sides, post)

    def take_sides(self) -> None:
        """Show the edits that a side has now in the dialog about them, if that is open."""
        if self._dialog is not None:
            self._dialog.show_edits(self._state.sides[self._edited_side()].edits)

    def next_lens(self) -> None:
        """Read the active side through the next lens."""
        if reason := self.why_no_model():
            self._services.tell(reason)
        else:
            post = self._services.post_to(self._widgets.screen)
            self._services.sides.next_lens(self._widgets.panes.active, self._state.sides, post)

    def add_side(self) -> None:
        """Add a side, which becomes the active one."""
        if reason := self.why_no_more():
            self._services.tell(reason)
        else:
            self._services.sides.add(self._services.post_to(self._widgets.screen))

    def why_no_more(self) -> str:
        """Return why no side can be added; nothing where one can."""
        if reason := self.why_no_model():
            return reason
        if len(self._state.sides) == MOST_SIDES:
            return NO_MORE
        has_room = self._widgets.screen.size.width >= ROOM_FOR_MOST
        return "" if has_room or len(self._state.sides) < MOST_SIDES - 1 else NO_ROOM

    def take_away(self) -> None:
        """Take the active side away."""
        if reason := self.why_no_less():
            self._services.tell(reason)
        else:
            post = self._services.post_to(self._widgets.screen)
            self._services.sides.take_away(self._widgets.panes.active, self._state.sides, post)

    def why_no_less(self) -> str:
        """Return why no side can be taken away; nothing where one can."""
        return self.why_no_model() or (ONE_STAYS if len(self._state.sides) == 1 else "")

    # ── which side is looked at ──────────────────────────────────────────────────────────────────────────

    def go_to_next(self) -> None:
        """Make the next side the active one."""
        panes = self._widgets.panes
        if panes.difference and panes.count < MOST_SIDES:
            self._services.tell(OF_BOTH)
            return
        if panes.count == 1:
            self._services.tell(NO_SECOND_SIDE)
            return
        there = panes.sides_with_room
        if len(there) < 2:
            self._services.tell(next(iter(panes.missing.values()), NO_SECOND_SIDE))
        else:
            self.go_to(next((place for place in there if place > panes.active), there[0]))

    def go_to(self, place: int) -> None:
        """Make the side of a place the active one, if it has anything to show."""
        panes = self._widgets.panes
        if place not in panes.sides_with_room:
            self._services.tell(panes.missing[place])
            return
        panes.active = place
        if isinstance(self._widgets.focused, Grid | None):
            panes.focus_grid()

    def toggle_difference(self) -> None:
        """Show the difference of two sides in place of the sides, or the sides again."""
        if reason := self.why_no_difference():
            self._services.tell(reason)
        else:
            self._widgets.panes.difference = not self._widgets.panes.difference

    def why_no_difference(self) -> str:
        """Return why there is no difference of two sides; nothing where there is one."""
        panes, state = self._widgets.panes, self._state
        second = panes.pair[1]
        if panes.difference or (second < panes.count and panes.grids[second].display):
            return ""
        if state.model is None or not state.columns:
            return NO_PROMPT
        if panes.count == 1:
            return NO_SECOND_SIDE
        if not state.sides[second].has_lens:
            return state.no_lens(state.sides[second].kind)
        return UNREAD
