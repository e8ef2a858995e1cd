"""Explore: the prompt, its sides beside each other, and the cell under the cursor."""

from __future__ import annotations

import gc
from collections.abc import Collection, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.timer import Timer
from textual.widgets import Footer, Static

from lenstui.jobs.fit_messages import BUSY, UNDER_WAY, FitChanged, Phase, TrainingRead
from lenstui.jobs.messages import (
    LensOpened,
    LoadFailed,
    LoadStage,
    ModelLoaded,
    OpenModel,
    ReadDone,
    ReadFailed,
    ReadStarted,
    TileRead,
)
from lenstui.lens.kinds import TUNED
from lenstui.model.not_finite import not_numbers_remark
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.sides import MOST_SIDES
from lenstui.tui.explore.base import NO_COLUMN
from lenstui.tui.explore.cell import ExploreCell
from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.comparison import ExploreComparison
from lenstui.tui.explore.crystallization import ExploreCrystallization
from lenstui.tui.explore.decompose import ExploreDecompose
from lenstui.tui.explore.difference import OF_BOTH, ONE_SIDE
from lenstui.tui.explore.first_row import ExploreFirstRow
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.prompt_set import ExplorePromptSet
from lenstui.tui.explore.repaint import Repaint
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.panes import Panes
from lenstui.tui.session.history import History
from lenstui.tui.shared.fit_words import outcome
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.side_names import SideNames
from lenstui.tui.shared.status_bar import StatusBar

TOP_K = 10  # tokens that each cell keeps, for the detail
REST = 0.05  # seconds that the cursor must rest before the detail follows
EMPTY = "empty: type a text, then Enter"
UNREAD = "not read yet: press Enter"
NO_LENS = """\
No {} lens for this model.

t trains one,
o opens one."""


def no_lens(side: SideFacts) -> str:
    """Return what a side says that has no lens of its kind."""
    return NO_LENS.format(side.kind)


class Explore(
    ExploreCell,
    ExploreComparison,
    ExploreFirstRow,
    ExploreCrystallization,
    ExplorePromptSet,
    ExploreDecompose,
):
    """The first thing one sees.

    The screen knows what is shown; what is read comes in messages from the model thread, which the app hands
    on. `request_read` is the app's.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "PromptBox"
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(self, prompt: str, *, depth: int = 1, history: History | None = None) -> None:
        super().__init__()
        self._history = history
        self._prompt = prompt
        self._depth = depth
        self._remarks: tuple[str, ...] = ()  # of the program itself, not of a model
        self._not_numbers: list[int] = []  # the columns that were warned of
        self._rest: Timer | None = None
        self._leave_prompt = True  # for the grid, once the columns are known
        self._is_asked_for: bool | None = None  # the prompt, by the user; None: it has the focus at first
        self._kept: Collection[int] = ()  # sides whose cells stay, and the cursor with them
        self._repaint = Repaint()

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Top to bottom, as it is on screen."""
        self.take_size()
        yield StatusBar()
        yield Static(id="notice")
        yield PromptBox(self._prompt, self._history)
        yield Panes(depth=self._depth)
        yield CellPanel()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Nothing is open yet."""
        self.remark()

    def on_resize(self) -> None:
        """Known after the screen has its classes."""
        self.call_after_refresh(self._share_room)

    def _share_room(self) -> None:
        """The panes are tabs where it is narrow; the detail lists more tokens where it is taller."""
        self.panes.tabs = self.has_class("-narrow")
        self.panel.set_lines(min(max((self.size.height - 12) * 2 // 5, 6), TOP_K + 3))

    def remark(self, *remarks: str) -> None:
        """One line under the top line, for what stays true; nothing takes no room."""
        self._remarks += remarks
        text = " · ".join((*self._remarks, *(self._model.remarks if self._model else ())))
        notice = self.query_one("#notice", Static)
        notice.update(shown(text))
        notice.tooltip = shown(text) if text else None
        notice.display = bool(text)

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def on_load_stage(self, message: LoadStage) -> None:
        """Say how far loading is."""
        self._downloading = message.is_download
        self.query_one(StatusBar).stage = message.text + " · esc stops" * message.is_download
        if self._model is None:
            self.panes.say(f"{message.text} …" + "\n\nEsc stops it." * message.is_download)

    def on_load_failed(self, message: LoadFailed) -> None:
        """Say why; what was open stays open."""
        self._downloading = False
        self.query_one(StatusBar).stage = None
        if message.no_device:
            self._app.take_any_device()
        if self._model is None:
            what = "a model on the device that there is" if message.no_device else "another model"
            keys = "Esc, then m," if self._is_at_prompt else "m"
            self.panes.say(f"{message.text}\n\nPress {keys} to open {what}.")
            if not self._is_at_prompt:
                self.panes.focus_grid()
        else:
            self.notify(message.text, title="Not opened", severity="error", timeout=15, markup=False)

    def on_model_loaded(self, message: ModelLoaded) -> None:
        """Show the new model, and read the prompt with it."""
        model, before = message.model, self._model
        self._downloading = False
        self._describe(model)
        self.begin_reading(model)
        self._texts.clear()
        if before is None or (before.name, before.vocabulary) != (model.name, model.vocabulary):
            self.panel.pins = ()  # they are tokens of another model
        self.fold()
        for place, side in enumerate(model.sides):
            message_there = "" if side.has_lens else no_lens(side)
            self.panes.empty(place, model.rows, model.vocabulary, message_there)
        self._rows, self._columns, self._others = model.rows, (), {}
        self.panel.forget()
        gc.freeze()  # torch brought so many objects that a full collection takes longer than a frame
        self._read(self._prompt)

    def on_lens_opened(self, message: LensOpened) -> None:
        """Read the prompt again, with the cursor where it is; of the grids only one changes."""
        self._describe(message.model)
        if self._columns:
            self._read(self._prompt, leave_prompt=False, kept=self._not_through_lens_in_use)

    @property
    def _not_through_lens_in_use(self) -> Sequence[int]:
        """The sides whose cells stay as they are where the open model gets another fitted lens."""
        return [place for place, side in enumerate(self.sides) if not (side.is_own and side.is_fitted)]

    def _describe(self, model: OpenModel) -> None:
        """What the lines above the prompt say of the model and its lens."""
        self._model = model
        self.panes.names = self.panel.names = SideNames.of(model.sides)
        self.panel.kinds = [side.kind for side in model.sides]
        self.app.clear_notifications()
        status = self.query_one(StatusBar)
        status.model, status.stage = model, None
        status.tooltip = shown("\n".join(("Wiring check", *model.wiring)))
        self.remark()

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────

    def action_edit_prompt(self) -> None:
        """Go to the prompt."""
        self._is_asked_for = True
        self.query_one(PromptBox).focus()

    @on(PromptBox.Entered)
    def enter_prompt(self) -> None:
        """Note that the prompt has the focus: from the second time on because the user went there."""
        self._is_asked_for = self._is_asked_for is not None

    @property
    def _is_at_prompt(self) -> bool:
        """Whether the user has gone to the prompt, in which case only the user leaves it."""
        return bool(self._is_asked_for) and isinstance(self.focused, PromptBox)

    @on(PromptBox.Left)
    def leave_prompt(self) -> None:
        """Go to the grid."""
        self._is_asked_for = False
        self.panes.focus_grid()

    @on(PromptBox.Submitted)
    def submit_prompt(self, message: PromptBox.Submitted) -> None:
        """Read a prompt; one that is being read is dropped. What is typed next is meant for the grid."""
        self._is_asked_for = False
        self._read(message.text)
        if self._awaited and self._columns:
            self.panes.focus_grid()

    def _read(self, text: str, *, leave_prompt: bool = True, kept: Collection[int] = ()) -> None:
        self._leave_prompt = leave_prompt
        self._kept = () if self._awaited else kept  # cells that are about to go are not kept
        if not text:
            self.query_one(PromptBox).border_subtitle = EMPTY
            if not self._columns:
                self.panes.say("Type a prompt and press Enter.")
            self.query_one(PromptBox).focus()
            return
        if text != self._prompt:
            self.fold()
        self._prompt = text
        if self._model is None:
            self.query_one(PromptBox).border_subtitle = "will be read when the model is open"
            return
        self._serial += 1
        self._awaited = True
        self.query_one(PromptBox).border_subtitle = "reading …"
        self._app.request_read(self._serial, self.stem, self.panes.page_columns)

    @on(PromptBox.Changed)
    def mark_unread(self) -> None:
        """Say when the box holds something else than what the grid shows."""
        box = self.query_one(PromptBox)
        if box.prompt == self._prompt:
            box.border_subtitle = self._counted
        else:
            box.border_subtitle = UNREAD if box.prompt else EMPTY
            self._is_asked_for = True

    def on_read_started(self, message: ReadStarted) -> None:
        """Lay out the columns, and go to the last one: there the model speaks."""
        if message.serial != self._serial or self._model is None:
            return
        panes, model = self.panes, self._model
        self._awaited = False
        now = (message.rows, message.columns, message.others)
        as_before = (self._rows, self._columns, self._others) == now
        kept = self._kept if panes.has_cells and as_before else ()
        cursor = panes.cursor if kept else self.place_in(message)
        self._rows, self._columns, self._others = now
        self._repaint = Repaint()
        box = self.query_one(PromptBox)
        counts = [len(message.columns_of(i)) - len(message.gap_of(i)) for i in (0, *message.others)]
        count = " and ".join(map(str, counts))
        count += f" token{'s' * (count != '1')}"
        if message.dropped:
            count += f" · {message.dropped} dropped from the front: the context is {self._model.context}"
        self._counted = count
        box.border_subtitle = f"{count} · reading …"
        cursor, self.first_cursor = self.first_cursor or cursor, None
        for place, side in enumerate(self.sides):
            if not side.has_lens and place not in panes.training:
                if panes.grids[place].columns:  # of a prompt before, through a lens that is no more
                    panes.empty(place, message.rows, model.vocabulary, no_lens(side))
                panes.pane(place).say(no_lens(side))
            elif place not in kept or not panes.grids[place].display:
                columns, gap = message.columns_of(place), message.gap_of(place)
                panes.lay_out(place, message.rows, columns, model.vocabulary, cursor, gap=gap)
        if not kept:
            panes.rescale()
        if (self._leave_prompt and not self._is_at_prompt) or isinstance(self.focused, Grid):
            panes.focus_grid()

    def on_tile_read(self, message: TileRead) -> None:
        """Put the cells in."""
        if message.serial != self._serial:
            return
        self._texts.update(message.texts)
        grids = self.grids
        for place, cells in message.tile.sides.items():
            # A fit has a lens before the screen hears of it: there is no grid for its cells yet.
            if place < len(grids) and message.tile.stop <= len(grids[place].columns):
                grids[place].add(message.tile.start, cells, message.texts)
        self.panes.rescale()
        self._show_detail()

    def on_read_done(self, message: ReadDone) -> None:
        """Say how long it took."""
        if message.serial == self._serial:
            self._counted += f" · {message.seconds:.2f} s"
            self.mark_unread()
            self.panes.rescale()
            self._warn_of_not_numbers()

    def _warn_of_not_numbers(self) -> None:
        """Name the columns that have cells without a number, once."""
        before, self._not_numbers = self._not_numbers, self.panes.not_numbers
        if self._model is not None and self._not_numbers and self._not_numbers != before:
            remark = not_numbers_remark(self._not_numbers, len(self._columns), self._model.dtype)
            self.notify(remark, title="Not a number", severity="warning", timeout=15, markup=False)

    def _read_pins(self) -> None:
        self._read(self._prompt, leave_prompt=False, kept=range(len(self.sides)))

    def _read_again(self) -> None:
        self._read(self._prompt, leave_prompt=False, kept=[])

    def _read_anew(self) -> None:
        self._read(self._prompt, leave_prompt=False)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say why; the prompt can be changed and tried again."""
        if message.serial == self._serial:
            self._awaited = False
            self.query_one(PromptBox).border_subtitle = "not read"
            self.notify(message.text, title="Not read", severity="error", timeout=10, markup=False)

    # ── the lens in training ─────────────────────────────────────────────────────────────────────────────

    def on_fit_changed(self, message: FitChanged) -> None:
        """The top line says how far it is; the columns on screen follow the lens."""
        status = message.status
        bar = self.query_one(StatusBar)
        bar.fit = status if status.phase in BUSY else None
        in_training = TUNED if status.phase in UNDER_WAY else None
        if in_training != self._in_training:
            self._in_training = in_training
            self._mark_training()
            self._repaint = Repaint()
        if status.phase is Phase.DISCARDED:
            self._show_lens_in_use()
        elif status.phase is Phase.KEPT:
            self.notify(outcome(status), title="Trained", timeout=15, markup=False)
        elif in_training and status.progress is not None and self._columns:
            self._repaint.changed((status.progress.stage, status.progress.step))
            if self._repaint.is_due():
                self._app.request_in_training(self._serial, self.panes.columns_on_screen)

    def on_training_read(self, message: TrainingRead) -> None:
        """Put the cells in, as the lens in training has them."""
        self._repaint.answered(message.seconds)
        panes, model = self.panes, self._model
        if message.serial != self._serial or not panes.training or model is None:
            return
        self._texts.update(message.texts)
        for place in panes.training:
            if not panes.grids[place].display:
                panes.lay_out(place, self._rows, self._columns, model.vocabulary, panes.cursor)
            panes.grids[place].add(message.start, message.cells, message.texts)
        panes.rescale()
        self._show_detail()

    def _show_lens_in_use(self) -> None:
        """After a fit that came to nothing."""
        assert self._model is not None
        if self.is_compared:
            return
        if all(side.has_lens for side in self.sides):
            self._read(self._prompt, leave_prompt=False, kept=self._not_through_lens_in_use)
            return
        for place, side in enumerate(self.sides):
            if not side.has_lens:
                self.panes.empty(place, self._rows, self._model.vocabulary, no_lens(side))
        self.panes.rescale()
        self._show_detail()
        if isinstance(self.focused, Grid):
            self.panes.focus_grid()

    # ── one cursor, one scroll ───────────────────────────────────────────────────────────────────────────

    @on(Grid.CursorMoved)
    def follow_cursor(self) -> None:
        """The detail follows when the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._show_detail)

    def _show_detail(self) -> None:
        if self._model is None or not self._columns:
            return
        row, column = self.panes.cursor.row, self.panes.cursor.column
        cells = [grid.cells for grid in self.grids]
        self.panel.missing = {place: NO_COLUMN for place, grid in enumerate(self.grids) if column in grid.gap}
        self.panel.show(self.place_text(row, column), cells, self.panes.cursor, self._rows, self._texts)

    def action_other_pane(self) -> None:
        """Go to the next side."""
        panes = self.panes
        if panes.difference and panes.count < MOST_SIDES:
            self._tell(OF_BOTH)
            return
        if panes.count == 1:
            self._tell(ONE_SIDE)
            return
        other = (panes.active + 1) % panes.count
        if self.sides and not self.sides[other].has_lens and not panes.grids[other].display:
            self._tell(" ".join(no_lens(self.sides[other]).split()))
        panes.active = other
        if isinstance(self.focused, Grid | None):
            panes.focus_grid()

    # ── how it looks ─────────────────────────────────────────────────────────────────────────────────────

    def action_next_value(self, step: int) -> None:
        """Colour by another value."""
        self.panes.next_value(step)

    def action_deepen(self, step: int) -> None:
        """Taller or flatter rows."""
        if not self.panes.deepen(step):
            what = "have 1 to {} lines" if self.panes.difference else "show the top 1 to {} tokens"
            self._tell(f"Rows {what.format(self.panes.most_lines)}.")

    def action_flip(self) -> None:
        """Last row on top, or at the bottom."""
        self.panes.flip()
