"""The turns of Explore's prompt: the dialog that edits them, and the marks of their columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.model.chat_template import NO_TEMPLATE
from lenstui.model.reasoning import reasoning_in
from lenstui.support.turns import Conversation
from lenstui.tui.grid.column_marks import FOLDED, NO_MARKS, ColumnMarks

if TYPE_CHECKING:
    from lenstui.jobs.messages import ReadStarted
    from lenstui.tui.explore.prompt_line import PromptLine
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

NO_TURNS = "The prompt is one text, without a template's tokens between: I makes turns of it."
NO_REASONING = "The prompt has no reasoning, between marks such as <think> and </think>."
OTHER_TOKENS = "The chat template has other tokens now for what was generated, from column {} on."


class Turns:
    """The part of Explore with the turns of a chat."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        *,
        prompt_line: PromptLine,
        read: Callable[[Conversation], object],
    ) -> None:
        """Prepare the part.

        Args:
            state: the state of Explore.
            widgets: the widgets of Explore.
            services: the services of the program.
            prompt_line: where a text is typed in place of turns.
            read: puts turns into the prompt box, and reads them.
        """
        self._state = state
        self._widgets = widgets
        self._services = services
        self._prompt_line = prompt_line
        self._read = read
        self.dims_template = False
        self.folds_reasoning = False
        self._unknown = ""  # why it is unknown which columns are of which turn, as the user was told
        self._generated: tuple[str, ...] = ()  # the columns before the turns were put into the template again

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def edit_prompt(self) -> None:
        """Edit the prompt in its box, or its turns in their dialog."""
        if isinstance(self._widgets.prompt.prompt, str):
            self._prompt_line.edit()
        else:
            self.edit()

    def edit(self) -> None:
        """Edit the turns of the prompt; a text is one turn of the user at first."""
        if reason := self.why_not_edit():
            self._services.tell(reason)
            return
        from lenstui.tui.explore.turns_dialog import TurnsDialog  # the first paint can do without

        assert self._state.model is not None
        has_switch = self._state.model.allowed.thinking
        dialog = TurnsDialog(self._widgets.prompt.prompt, has_switch=has_switch)
        self._services.ask(dialog, self._take)

    def why_not_edit(self) -> str:
        """Return why the prompt cannot be turns; nothing where it can."""
        if self._state.model is None:
            return "No model is open yet: whether it reads turns depends on its chat template."
        is_text = isinstance(self._widgets.prompt.prompt, str)
        return NO_TEMPLATE if is_text and not self._state.model.allowed.chat else ""

    def _take(self, result: Conversation | str | None) -> None:
        """Read the turns that the dialog returns, or go to the prompt box for a text in their place."""
        if result is None:
            return
        if isinstance(result, str):
            self._prompt_line.edit()
            return
        before = self._state.prompt
        goes_on = isinstance(before, Conversation) and result.turns[: len(before.turns)] == before.turns
        is_generated = bool(self._state.shown_tail) and result != before
        self._generated = self._state.columns if is_generated and goes_on else ()
        self._read(result)

    def toggle_template(self) -> None:
        """Dim the columns of the chat template's tokens, or show them as any other."""
        if self._state.turns is None:
            self._services.tell(NO_TURNS)
            return
        self.dims_template = not self.dims_template
        self.mark()
        self._services.tell(f"Tokens of the chat template are {'dim' if self.dims_template else 'plain'}.")

    def toggle_reasoning(self) -> None:
        """Fold the columns of reasoning, of which the last stays, or show all of them again."""
        if not self._reasoning():
            self._services.tell(NO_REASONING)
            return
        self.folds_reasoning = not self.folds_reasoning
        self.mark()
        count = sum(len(run) - 1 for run in self._reasoning())
        folded = f"{count} columns of reasoning are folded: the last one stays, behind {FOLDED}."
        self._services.tell(folded if self.folds_reasoning else "Reasoning is shown.")

    def _reasoning(self) -> list[range]:
        """Return the runs of reasoning among the columns on screen."""
        return [run.columns for run in reasoning_in(self._state.columns) if run.columns]

    # ── the columns ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self, message: ReadStarted) -> None:
        """Mark the columns of a reading, and tell the user what is not known of them, or has changed."""
        self.mark()
        unknown = "" if message.turns is None else message.turns.unknown
        if unknown and unknown != self._unknown:
            text = f"Which columns are of which turn is unknown: {unknown}."
            self._services.notify(text, title="Turns", severity="warning", seconds=10)
        self._unknown = unknown
        before, self._generated = self._generated, ()
        pairs = zip(before, message.columns, strict=False)
        if (other := next((i for i, (old, new) in enumerate(pairs) if old != new), None)) is not None:
            self._services.notify(OTHER_TOKENS.format(other), title="Turns", seconds=10)

    def mark(self) -> None:
        """Mark the columns with which turns begin; dim template tokens, fold reasoning, if that is wanted."""
        state, marks = self._state, NO_MARKS
        folded = self._reasoning() if self.folds_reasoning else []
        behind = frozenset(run[-1] for run in folded if len(run) > 1)
        if state.turns is not None:
            dim = (column for column, is_template in enumerate(state.turns.template) if is_template)
            begins = frozenset(state.turns.begins.values())
            marks = ColumnMarks(begins, frozenset(dim) if self.dims_template else frozenset())
        if behind:
            marks = replace(marks, folded=behind)
        places = [place for place, side in enumerate(state.sides) if side.prompt is None]
        self._widgets.panes.mark_columns(marks, places)
        self._widgets.panes.fold(frozenset(column for run in folded for column in run[:-1]))
