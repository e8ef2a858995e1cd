"""The growth of Explore's prompt: append a token, generate tokens, take the last token off.

The prompt is a typed text, the stem, and a tail of token ids, which are never tokenised again. Where the text
is edited, the tail becomes a part of that text. Of turns the tail is what the assistant says, one turn, until
a turn is edited.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.model.rows import is_sublayer
from lenstui.tui.explore.ask_generation import AskGeneration
from lenstui.tui.explore.cell_words import why_no_token, why_not_of_all
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.shared.nothing_yet import NO_PROMPT

if TYPE_CHECKING:
    from lenstui.jobs.messages import Grown
    from lenstui.jobs.read_request import Generation
    from lenstui.opening.side_facts import SideFacts
    from lenstui.tui.explore.prompt_line import PromptLine
    from lenstui.tui.explore.reader import Reader
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services

AWAITED = "The prompt is being read anew: press it again."
GENERATING = " · generating, esc stops"
NOT_LONGER = "Several prompts are on screen, and none grows: - removes the second one first."


class Growth:
    """The part of Explore that appends tokens to the prompt, and takes them off again."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        prompt_line: PromptLine,
        reader: Reader,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._prompt_line = prompt_line
        self._reader = reader
        self._generating: int | None = None  # the serial of the reading that generates
        self._seed = 0

    @property
    def is_generating(self) -> bool:
        """Whether tokens are being generated."""
        return self._generating == self._state.serial

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def append(self) -> None:
        """Append to the prompt the likeliest token of the cell under the cursor, on the active side."""
        if reason := self.why_not_append():
            self._services.tell(reason)
            return
        state, panes, token = self._state, self._widgets.panes, self._widgets.panes.token
        assert token is not None
        panes.grids[0].move_to(Cursor(panes.cursor.row, len(state.columns) - 1))
        self.grow((*state.tail, token))

    def why_not_append(self) -> str:
        """Return why the token of the cell under the cursor cannot be appended; nothing where it can."""
        if self._state.has_prompts:
            return NOT_LONGER
        token = self._widgets.panes.token
        if token is None:
            return why_no_token(self._state, self._widgets.panes)
        return why_not_of_all(self._state, token) or self._why_not_grow()

    def step_back(self) -> None:
        """Take the last appended token off the prompt."""
        if self._state.has_prompts:
            self._services.tell(NOT_LONGER)
        elif self._state.is_awaited:
            self._services.tell(AWAITED)
        elif self._state.tail:
            self.grow(self._state.tail[:-1])
        else:
            self._services.tell("No token was appended: i edits the text.")

    def generate(self) -> None:
        """Ask how many tokens to generate, then let the model, or the row under the cursor, generate them."""
        if reason := self.why_not_generate():
            self._services.tell(reason)
            return
        state, row = self._state, self._widgets.panes.cursor.row
        assert state.model is not None
        last = row == len(state.rows) - 1
        screen = AskGeneration(
            row=None if last else row,
            label=state.rows[row],
            kind=self._speaking.kind,
            edits=self._speaking.edits.text,
            seed=self._seed,
            room=None if state.model.context is None else state.model.context - len(state.columns),
            of_turns=state.turns is not None,
        )
        self._services.ask(screen, self.go_on)

    def why_not_generate(self) -> str:
        """Return why the row under the cursor cannot generate tokens; nothing where it can."""
        state = self._state
        if state.has_prompts:
            return NOT_LONGER
        if state.model is None or not state.columns:
            return NO_PROMPT
        if state.elsewhere:
            return state.elsewhere
        if is_sublayer(state.rows[self._widgets.panes.cursor.row]):
            return "A part of a block is no place to stop at: go to a row between two blocks."
        return self._why_not_grow()

    @property
    def _speaking(self) -> SideFacts:
        """The side that goes on: the active one, if of the open model and a lens in use, else the first.

        An edited side goes on under its edits.
        """
        sides = self._state.sides
        side = sides[self._widgets.panes.shown]
        is_edited = bool(side.edits) and side.prompt is None and side.model_number == sides[0].model_number
        return side if side.is_own or is_edited else sides[0]

    def go_on(self, how: Generation | None) -> None:
        """Have tokens generated after the dialog; None generates nothing."""
        if how is None:
            return
        self._seed = how.seed + 1
        how = replace(how, edits=self._speaking.edits.in_force)
        self.grow(self._state.tail, how)

    def stop(self) -> None:
        """Stop generating, or a download. Without either, say nothing: Esc is also pressed to be safe."""
        if self.is_generating:
            self._services.prompts.stop()
            self.end("stopped")
        elif self._state.is_downloading:
            self._services.models.stop_loading()

    def _why_not_grow(self) -> str:
        """Return why no token can be appended now; nothing where one can."""
        state = self._state
        context = None if state.model is None else state.model.context
        if state.is_awaited:
            return AWAITED
        if self.is_generating:
            return "Tokens are being generated: esc stops that."
        if context is not None and len(state.columns) >= context:
            return f"The context of {context} columns is full."
        return ""

    def grow(self, tail: tuple[int, ...], how: Generation | None = None) -> None:
        """Replace the tail of the prompt, and read the new columns.

        Args:
            tail: the token ids behind the stem.
            how: the options for generating further tokens; None generates none.
        """
        state = self._state
        read = [grid.read_columns for grid in self._widgets.grids if grid.display]
        known = min(read, default=0) - 1  # without the last, whose next token changes
        state.stem, state.tail = state.typed, tail
        state.serial += 1
        self._generating = None if how is None else state.serial
        request, post = self._reader.request(1), self._services.post_to(self._widgets.screen)
        if how is None:
            self._services.prompts.grow(request, known, post)
        else:
            self._services.prompts.generate(request, known, how, post)

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def lay_out(self, message: Grown) -> None:
        """Lay out the columns of a prompt that has grown or shrunk; a cursor at the end stays at the end."""
        state, panes, box = self._state, self._widgets.panes, self._widgets.prompt
        at_end = panes.cursor.column == len(state.columns) - 1
        untouched = box.prompt == state.prompt  # else the user is typing
        state.columns, state.prompt, state.turns = message.columns, message.prompt, message.turns
        state.stem, state.tail, state.shown_tail = message.stem, message.tail, message.tail
        last = len(state.columns) - 1
        panes.resize_to(state.columns)
        if at_end:
            panes.grids[0].move_to(Cursor(panes.cursor.row, last))
        counted = f"{last + 1} token{'s' * (last > 0)}"
        if message.tail:
            until = ", kept until turns change" * (message.turns is not None)
            counted += f" · {len(message.tail)} appended{until}"
        self._prompt_line.counted = counted + GENERATING * self.is_generating
        if untouched:
            box.show(message.prompt)
            state.prompt = box.prompt  # which has line ends of its own

    def end(self, reason: str | None) -> None:
        """Note that no more tokens come, and show the reason on the frame of the prompt, if there is one."""
        self._generating = None
        counted = self._prompt_line.counted.partition(GENERATING)[0]
        self._prompt_line.counted = counted + (f" · {reason}" if reason else "")
        self._prompt_line.say_counted()

    def fail(self) -> None:
        """Go back to the tail on screen, since the new tail could not be read."""
        self._state.tail = self._state.shown_tail
