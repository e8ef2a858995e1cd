"""The reading of Explore's prompt: ask for it, lay out the columns, and show the cells as they come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from lenstui.jobs.read_request import ReadRequest
from lenstui.lens.kinds import made_lens
from lenstui.model.not_finite import not_numbers_remark
from lenstui.model.rows import Row
from lenstui.model.turns import turns_named
from lenstui.tui.explore.detail import TOP_K
from lenstui.tui.explore.prompt_line import EMPTY, PromptLine
from lenstui.tui.fitted_cells import FittedCells
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.services import Services

if TYPE_CHECKING:
    from lenstui.jobs.messages import ReadDone, ReadFailed, ReadStarted, TileRead
    from lenstui.support.turns import Conversation
    from lenstui.tui.explore.cell_follower import CellFollower
    from lenstui.tui.explore.lens_in_training import LensInTraining
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets


class Reader:
    """The part of Explore that reads the prompt on all sides. A new reading replaces the former one."""

    def __init__(
        self,
        state: ExploreState,
        widgets: Widgets,
        services: Services,
        *,
        prompt_line: PromptLine,
        training: LensInTraining,
        follower: CellFollower,
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._prompt_line = prompt_line
        self._training = training
        self._follower = follower
        self._leaves_prompt = True  # whether the focus goes to the grid once the columns are known
        self._kept: Collection[int] = ()  # the places of sides whose cells stay, and with them the cursor
        self._is_to_fit = False  # the columns, by the first tile of the reading
        self._not_numbers: list[int] = []  # the columns that the user was warned of

    # ── asking for it ────────────────────────────────────────────────────────────────────────────────────

    def read(self, text: str | Conversation) -> None:
        """Read a prompt, a text or turns, and put the focus on the grid once the columns are known."""
        self._read(text, leaves_prompt=True, kept=())

    def read_again(self, kept: Collection[int] = ()) -> None:
        """Read the prompt on screen once more.

        Args:
            kept: the places of the sides whose cells stay on screen until new ones come.
        """
        self._read(self._state.prompt, leaves_prompt=False, kept=kept)

    def read_lens_in_use(self) -> None:
        """Read the prompt once more on the sides with the open model's fitted lens, in use or in training."""
        kept = [place for place, side in enumerate(self._state.sides) if not (side.is_own and side.is_fitted)]
        self.read_again(kept)

    def read_pins(self) -> None:
        """Read the prompt once more, for the numbers of new pins; all other numbers stay on screen."""
        self.read_again(range(len(self._state.sides)))

    def _read(self, text: str | Conversation, *, leaves_prompt: bool, kept: Collection[int]) -> None:
        state, prompt_line = self._state, self._prompt_line
        self._leaves_prompt = leaves_prompt
        self._kept = () if state.is_awaited else kept  # cells that are about to go are not kept
        if not text and not state.ids:
            prompt_line.say(EMPTY)
            if not state.columns:
                self._widgets.panes.say("No prompt yet: type one, Enter reads it.")
            self._widgets.prompt.focus()
            return
        if text != state.prompt:
            state.fold()
        state.prompt = text
        if state.model is None:
            prompt_line.say("will be read when the model is open")
            return
        state.serial += 1
        state.is_awaited = True
        prompt_line.say("reading …")
        request = self.request(self._widgets.panes.page_columns)
        self._services.prompts.read(request, self._services.post_to(self._widgets.screen))

    def request(self, page_columns: int) -> ReadRequest:
        """Return the request to read the prompt with the current options and pins.

        Args:
            page_columns: the number of columns at the end that are read first.
        """
        state = self._state
        pins = tuple(pin.id for pin in self._widgets.panel.pins)
        top_k = max(self._services.start.top_k, TOP_K)
        words = {place: pin.word for place, pin in enumerate(self._widgets.panel.pins) if pin.word}
        reading = state.as_asked(state.reading)
        return ReadRequest(
            state.serial, state.typed, page_columns, top_k, reading, pins, state.tail, words, state.ids
        )

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def lay_out(self, message: ReadStarted) -> None:
        """Lay out the columns of a reading; at first the cursor goes to the last, where the model speaks."""
        state, panes, model = self._state, self._widgets.panes, self._state.model
        if model is None:
            return
        state.is_awaited = False
        now = (message.rows, message.columns, message.others, message.other_rows)
        as_before = (state.rows, state.columns, state.others, state.other_rows) == now
        kept = self._kept if panes.has_cells and as_before else ()
        cursor = panes.cursor if kept else self._place_in(message)
        state.rows, state.columns, state.others, state.other_rows = now
        state.turns = message.turns
        self._training.begin_anew()
        self._prompt_line.counted = self._count(message, model.context)
        self._prompt_line.say(f"{self._prompt_line.counted} · reading …")
        cursor, state.first_cursor = state.first_cursor or cursor, None
        self._is_to_fit = not kept
        panes.words_only = state.reading.words_only
        if not kept:
            panes.begin_reading()
        for place, side in enumerate(state.sides):
            if not side.has_lens and place not in panes.training:
                if panes.grids[place].columns:  # from an earlier prompt, through a lens that is gone
                    panes.empty(place, message.rows_of(place), model.vocabulary, state.no_lens(side.kind))
                panes.pane(place).say(state.no_lens(side.kind))
            elif place not in kept or not panes.grids[place].display:
                columns, gap = message.columns_of(place), message.gap_of(place)
                panes.lay_out(place, message.rows_of(place), columns, model.vocabulary, cursor, gap=gap)
        if not kept:
            panes.rescale()
        if (self._leaves_prompt and not self._prompt_line.is_at_prompt) or self._widgets.is_in_grid:
            panes.focus_grid()

    @staticmethod
    def _count(message: ReadStarted, context: int | None) -> str:
        """Return, in words, how many tokens each prompt has, and how many do not fit in the context."""
        counts = [len(message.columns_of(i)) - len(message.gap_of(i)) for i in (0, *message.others)]
        count = " and ".join(map(str, counts))
        count += f" token{'s' * (count != '1')}"
        if message.turns is not None and message.turns.left_out:
            count += f" · {turns_named(message.turns.left_out)} left out: the context is {context}"
        elif message.dropped:
            count += f" · {message.dropped} dropped from the front: the context is {context}"
        return count

    def _place_in(self, message: ReadStarted) -> Cursor:
        """Return the new place of the cursor: in the nearest row, and in the last column.

        The cursor stays in its column if the prompt is read in another way, and the tokens from the cursor on
        are unchanged.
        """
        rows, last, panes = message.rows, len(message.columns) - 1, self._widgets.panes
        if not panes.has_cells:
            return Cursor(len(rows) - 1, last)
        here = panes.cursor
        row = nearest(self._state.rows[here.row], rows)
        behind = [text for text in self._state.columns[here.column :] if text]
        places = [place for place, text in enumerate(message.columns) if text][-len(behind) :]
        if self._state.keeps_column and [message.columns[place] for place in places] == behind:
            return Cursor(row, places[0])
        return Cursor(row, last)

    def show_tile(self, message: TileRead) -> None:
        """Show the cells of some columns."""
        state, grids = self._state, self._widgets.grids
        state.texts.update(message.texts)
        if self._is_to_fit:  # by the first tile: the columns on screen
            self._is_to_fit = False
            self._widgets.panes.fit_tokens(_top_tokens(message))
        for place, cells in message.tile.sides.items():
            # A fit has a lens before the screen hears of it: there is no grid for its cells yet.
            if place < len(grids) and message.tile.stop <= len(grids[place].columns):
                grids[place].add(message.tile.start, cells, message.texts)
        self._widgets.panes.rescale()
        self._follower.show()
        for place, side in enumerate(state.sides):
            if made_lens(side.kind) is None and place in message.tile.sides and not state.is_compared:
                found = FittedCells(side.kind, message.tile.start, message.tile.sides[place], message.texts)
                self._services.signals.fitted_cells_read.publish(found)

    def finish(self, message: ReadDone) -> None:
        """Show how long the reading took, and warn of cells that are not a number."""
        self._prompt_line.counted += f" · {message.seconds:.2f} s"
        self._prompt_line.edited()
        self._widgets.panes.rescale()
        self._warn_of_not_numbers()

    def _warn_of_not_numbers(self) -> None:
        """Warn of columns with cells that are not a number, unless the last warning was of the same ones."""
        state, before = self._state, self._not_numbers
        self._not_numbers = self._widgets.panes.not_numbers
        if state.model is not None and self._not_numbers and self._not_numbers != before:
            remark = not_numbers_remark(self._not_numbers, len(state.columns), state.model.dtype)
            self._services.notify(remark, title="Not a number", severity="warning", seconds=15)

    def fail(self, message: ReadFailed) -> None:
        """Show why the prompt was not read."""
        self._state.is_awaited = False
        self._prompt_line.say("not read")
        self._services.notify(message.text, title="Not read", severity="error", seconds=10)

    # ── the lens in use ──────────────────────────────────────────────────────────────────────────────────

    def show_lens_in_use(self) -> None:
        """Show the lens in use again, after a fit that was discarded."""
        state, panes = self._state, self._widgets.panes
        assert state.model is not None
        if state.is_compared:
            return
        if all(side.has_lens for side in state.sides):
            self.read_lens_in_use()
            return
        for place, side in enumerate(state.sides):
            if not side.has_lens:
                panes.empty(place, state.rows_of(place), state.model.vocabulary, state.no_lens(side.kind))
        panes.rescale()
        self._follower.show()
        if self._widgets.is_in_grid:
            panes.focus_grid()


def _top_tokens(message: TileRead) -> set[str]:
    """Return the display texts of all top-1 tokens of a tile."""
    ids = {token for cells in message.tile.sides.values() for token in cells.top_ids[..., 0].ravel().tolist()}
    return {message.texts[token] for token in ids if token >= 0}


def nearest(label: str, rows: Sequence[str]) -> int:
    """Return the index among `rows` of the row with this label, or else of the row nearest in the model."""
    if label in rows:
        return rows.index(label)
    here = Row.of(label).h
    return min(range(len(rows)), key=lambda place: abs(Row.of(rows[place]).h - here))
