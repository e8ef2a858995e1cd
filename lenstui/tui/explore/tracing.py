"""The part of Explore that goes from its prompts to a causal trace, and from a trace back to a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.edits.edit_list import EditList
from lenstui.jobs.trace_messages import PromptAsked, TraceAsked
from lenstui.tui.explore.reader import nearest
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.edits.edit import Patch
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

GONE = "The clean prompt is on no side any more: there is no cell to go to."
BESIDE = "The corrupted prompt is put beside the clean one now: a once more adds the patch there."


class Tracing:
    """The part of Explore that asks for a causal trace of the prompts on its sides."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._last: TraceAsked | None = None  # the trace that was last asked for

    def ask(self) -> None:
        """Ask what to trace: from the active side's prompt into another one of its model, or under noise."""
        if reason := self.why_not():
            self._services.tell(reason)
            return
        state, place = self._state, self._widgets.panes.shown
        of_side = len(state.sides) > 1 and state.has_prompts
        clean_is = "the side under the cursor" if of_side else "the prompt on screen"
        clean_is += ", without its edits" * bool(state.sides[place].edits)
        columns = tuple(filter(None, state.columns_of(place)))
        self._services.open_trace(self._proposed(place), self, columns=columns, clean_is=clean_is)

    def why_not(self) -> str:
        """Return why there is nothing to trace; nothing where there is."""
        return self._state.elsewhere if self._state.columns else NO_PROMPT

    def _proposed(self, place: int) -> TraceAsked:
        """Return the trace that is proposed for a side: as the last one of its prompt, or by defaults."""
        state, side = self._state, self._state.sides[place]
        clean = self._prompt_of(place)
        asked = TraceAsked(side.model, side.model_number, state.as_asked(state.shown_reading), clean)
        others = (
            self._prompt_of(other)
            for other, each in enumerate(state.sides)
            if each.model_number == side.model_number
        )
        beside = next((other for other in others if other != clean), None)
        if self._last is not None and self._last.clean == clean:
            last = self._last
            asked = replace(last, model=asked.model, number=asked.number, reading=asked.reading)
            return asked if beside is None or beside == last.corrupted else replace(asked, corrupted=beside)
        return asked if beside is None else replace(asked, corrupted=beside)

    def _prompt_of(self, place: int) -> PromptAsked:
        state = self._state
        if (own := state.sides[place].prompt) is not None:
            return PromptAsked(own)
        stem = state.stem if state.shown_tail else ""
        return PromptAsked(state.prompt, stem, state.shown_tail, state.ids)

    def _places_of(self, asked: TraceAsked, prompt: PromptAsked) -> list[int]:
        """Return the places of the sides with a prompt of the traced model, those with edits first."""
        sides = self._state.sides
        places = (
            place
            for place, side in enumerate(sides)
            if side.model_number == asked.number and self._prompt_of(place) == prompt
        )
        return sorted(places, key=lambda place: not sides[place].edits)

    # ── what the screen of the trace asks for: a `TraceHome` ─────────────────────────────────────────────

    def remember(self, asked: TraceAsked) -> None:
        """Remember what was asked for last, so that it is proposed again."""
        self._last = asked

    def go_to(self, asked: TraceAsked, label: str, column: int) -> str:
        """Put the cursor on a row and a column of the clean prompt, and return why that cannot be.

        Args:
            asked: the trace.
            label: the label of the row, also that of a sublayer.
            column: the column of the clean prompt.
        """
        state, panes = self._state, self._widgets.panes
        places = self._places_of(asked, asked.clean)
        if not places or not state.columns:
            return GONE
        gap = panes.grids[places[0]].gap
        on_screen = column + (len(gap) if column >= gap.start else 0)
        if on_screen >= len(state.columns):
            return GONE
        row = label if label in state.rows else label.partition(".")[0]
        panes.focus_grid()
        panes.grids[0].go_to(Cursor(nearest(row, state.rows), on_screen))
        return ""

    def put_patches(self, asked: TraceAsked, patches: Sequence[Patch]) -> str:
        """Have patches done on the side of the corrupted prompt, or take them back where they are.

        Args:
            asked: the trace.
            patches: the patches.

        Returns:
            What came of it, a sentence.
        """
        services, sides = self._services, self._state.sides
        post = services.post_to(self._widgets.screen)
        places = self._places_of(asked, asked.corrupted)
        if not places:
            clean, active = self._places_of(asked, asked.clean), self._widgets.panes.active
            place = active if active in clean else (clean or [0])[-1]
            services.sides.put_prompt_beside(place, asked.corrupted.text, post)
            return BESIDE
        edits = sides[places[0]].edits
        known = [entry.edit for entry in edits.entries]
        texts = "; ".join(patch.text for patch in patches)
        if all(patch in known for patch in patches):
            left = EditList(tuple(entry for entry in edits.entries if entry.edit not in patches))
            services.sides.put_edits(places[0], left, sides, post)
            return f"Taken back: {texts}"
        for patch in patches:
            edits = edits if patch in known else edits.with_edit(patch)
        services.sides.put_edits(places[0], edits, sides, post)
        return f"Added to the edits of the corrupted side: {texts}"
