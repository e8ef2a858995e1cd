"""What Explore does to let the prompt go on: append a token, generate many, step back.

The prompt is a text that was typed, the stem, and a tail of token ids, which are never tokenised again. Where
the text is edited, the tail is folded into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lenstui.jobs.messages import GenerationEnded, Grown, ReadFailed
from lenstui.model.rows import is_sublayer
from lenstui.tui.explore.ask_generation import AskGeneration
from lenstui.tui.explore.base import GridScreen
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Cursor

if TYPE_CHECKING:
    from lenstui.jobs.read_request import Generation

AWAITED = "The prompt is being read anew: press it again."
GENERATING = " · generating, esc stops"


class ExploreGrowth(GridScreen):
    """Explore with a prompt that goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a", "append", "Append", show=False, id="explore.append",
            tooltip="Append the cell's likeliest token to the prompt",
        ),
        Binding(
            "G", "generate", "Generate", show=False, id="explore.generate",
            tooltip="Let the model, or the row under the cursor, go on",
        ),
        Binding(
            "backspace,U", "step_back", "Step back", show=False, id="explore.step_back",
            tooltip="Take the last appended token off again",
        ),
        Binding(
            "escape", "stop", "Stop", show=False, id="explore.stop",
            tooltip="Stop generating, or a download; what came stays",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._stem = ""
        self._tail: tuple[int, ...] = ()  # as it was asked for
        self._shown_tail: tuple[int, ...] = ()  # as it is on screen
        self._generating: int | None = None  # serial of that reading
        self._seed = 0

    @property
    def stem(self) -> str:
        """The part of the prompt that was typed."""
        return self._stem if self._tail or self._shown_tail else self._prompt

    @property
    def tail(self) -> tuple[int, ...]:
        """The token ids that were put behind it."""
        return self._tail

    def fold(self) -> None:
        """From now on all of the prompt is text."""
        self._tail = self._shown_tail = ()

    @property
    def is_generating(self) -> bool:
        """Whether tokens are coming."""
        return self._generating == self.serial

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_append(self) -> None:
        """Append the likeliest token of the cell under the cursor, on the active side."""
        token = self.panes.token
        if token is None:
            self._tell(self._why_no_token)
        elif self._can_grow():
            self.grids[0].move_to(Cursor(self.panes.cursor.row, len(self.columns) - 1))
            self._grow((*self._tail, token))

    def action_step_back(self) -> None:
        """Take the last token of the tail off."""
        if self._awaited:
            self._tell(AWAITED)
        elif self._tail:
            self._grow(self._tail[:-1])
        else:
            self._tell("No token was appended: i edits the text.")

    def action_generate(self) -> None:
        """Ask how much, then go on."""
        if self.model is None or not self.columns:
            self._tell("Nothing is read yet: there is nothing to go on from.")
        elif is_sublayer(self.rows[self.panes.cursor.row]):
            self._tell("A part of a block is no place to stop at: go to a row between two blocks.")
        elif self._can_grow():
            row = self.panes.cursor.row
            last = row == len(self.rows) - 1
            room = None if self.model.context is None else self.model.context - len(self.columns)
            screen = AskGeneration(
                row=None if last else row,
                label=self.rows[row],
                kind=self._speaking_kind,
                seed=self._seed,
                room=room,
            )
            self.app.push_screen(screen, self._generate)

    @property
    def _speaking_kind(self) -> str:
        """The kind of lens by which a row of the open model speaks: the active side's, if it is of that."""
        side = self.sides[self.panes.shown]
        return (side if side.is_own else self.sides[0]).kind

    def _generate(self, how: Generation | None) -> None:
        if how is None:
            return
        self._seed = how.seed + 1
        self._grow(self._tail, how)

    def action_stop(self) -> None:
        """Stop generating, or a download. Esc is pressed to be safe, too: else nothing is said."""
        if self.is_generating:
            self._app.stop_reading()
            self._end("stopped")
        elif self._downloading:
            self._app.stop_loading()

    def _can_grow(self) -> bool:
        """Whether there is room for a token and nothing else puts any there; if not, it is said."""
        context = None if self.model is None else self.model.context
        if self._awaited:
            self._tell(AWAITED)
        elif self.is_generating:
            self._tell("Tokens are being generated: esc stops that.")
        elif context is not None and len(self.columns) >= context:
            self._tell(f"The context of {context} columns is full.")
        else:
            return True
        return False

    def _grow(self, tail: tuple[int, ...], how: Generation | None = None) -> None:
        read = [grid.read_columns for grid in self.grids if grid.display]
        self._stem, self._tail = self.stem, tail
        self._serial += 1
        self._generating = None if how is None else self._serial
        # What comes next changes for the last of them.
        self._app.request_growth(self._serial, self._stem, min(read, default=0) - 1, how)

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def on_grown(self, message: Grown) -> None:
        """Have these columns; a cursor on the last one stays on the last one."""
        if message.serial != self._serial:
            return
        panes, box = self.panes, self.query_one(PromptBox)
        at_end = panes.cursor.column == len(self._columns) - 1
        untouched = box.prompt == self._prompt  # else somebody is typing
        self._columns, self._prompt = message.columns, message.text
        self._stem, self._tail, self._shown_tail = message.stem, message.tail, message.tail
        last = len(self._columns) - 1
        panes.resize_to(self._columns)
        if at_end:
            self.grids[0].move_to(Cursor(panes.cursor.row, last))
        self._counted = f"{last + 1} token{'s' * (last > 0)}"
        if message.tail:
            self._counted += f" · {len(message.tail)} appended"
        if self.is_generating:
            self._counted += GENERATING
        if untouched:
            box.show(message.text)
            self._prompt = box.prompt  # which has line ends of its own

    def on_generation_ended(self, message: GenerationEnded) -> None:
        """Say why, where it was not asked for."""
        if message.serial == self._serial and self.is_generating:
            self._end(message.reason)

    def _end(self, reason: str | None) -> None:
        self._generating = None
        self._counted = self._counted.partition(GENERATING)[0] + (f" · {reason}" if reason else "")
        self.query_one(PromptBox).border_subtitle = self._counted

    def on_read_failed(self, message: ReadFailed) -> None:
        """The tail is as it was."""
        if message.serial == self._serial:
            self._tail = self._shown_tail
