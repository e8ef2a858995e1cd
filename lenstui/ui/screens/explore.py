"""Explore: the prompt, both lenses side by side, and the cell under the cursor."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Footer, Static

from lenstui.export.values import VALUES, Scale
from lenstui.ui.fit_messages import BUSY, UNDER_WAY, FitChanged, Phase, TunedRead
from lenstui.ui.fit_words import outcome
from lenstui.ui.lean_screen import LeanScreen
from lenstui.ui.messages import (
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
from lenstui.ui.repaint import Repaint
from lenstui.ui.widgets.detail import CellFacts, Detail
from lenstui.ui.widgets.grid import MAX_DEPTH, Cursor, Grid
from lenstui.ui.widgets.legend import Legend
from lenstui.ui.widgets.pane import Pane
from lenstui.ui.widgets.prompt_box import PromptBox
from lenstui.ui.widgets.status_bar import StatusBar

TOP_K = 10  # tokens that each cell keeps, for the detail
REST = 0.05  # seconds that the cursor must rest before the detail follows
EMPTY = "empty: type a text, then Enter"
UNREAD = "not read yet: press Enter"
NO_LENS = """\
No tuned lens for this model.

t trains one,
o opens one."""


class Explore(LeanScreen[None]):
    """The first thing one sees.

    The screen knows what is shown; what is read comes in messages from the model thread, which the app hands
    on. `request_read` is the app's.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "PromptBox"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="app.help"),
        Binding("i", "edit_prompt", "Prompt", tooltip="Edit the prompt", id="explore.prompt"),
        Binding("v", "next_value(1)", "Value", tooltip="Colour by the next value", id="explore.value"),
        Binding(
            "V", "next_value(-1)", "Value back", show=False, tooltip="Colour by the value before",
            id="explore.value_back",
        ),
        Binding(
            "right_square_bracket", "deepen(1)", "Taller", key_display="]",
            tooltip="Taller rows: more of the top tokens", id="explore.taller",
        ),
        Binding(
            "left_square_bracket", "deepen(-1)", "Flatter", key_display="[", show=False,
            tooltip="Flatter rows: fewer of the top tokens", id="explore.flatter",
        ),
        Binding("r", "flip", "Flip", tooltip="Last row on top, or at the bottom", id="explore.flip"),
        Binding(
            "tab", "other_pane", "Other lens", show=False, tooltip="Go to the other lens",
            id="explore.other",
        ),
        Binding("t", "app.train", "Train", tooltip="Train a tuned lens for the open model", id="app.train"),
        Binding("o", "app.show_lenses", "Lenses", tooltip="Choose, open and save lenses", id="app.lenses"),
        Binding("m", "app.open_model", "Model", tooltip="Open another model", id="app.model"),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="app.commands",
        ),
        Binding("q", "app.quit", "Quit", id="app.quit"),
    ]  # fmt: skip

    value_index: reactive[int] = reactive(0, init=False)
    shown_lens: reactive[str] = reactive("logit", init=False)

    def __init__(self, prompt: str, *, depth: int = 1) -> None:
        super().__init__()
        self._prompt = prompt
        self._depth = depth
        self._model: OpenModel | None = None
        self._serial = 0
        self._columns: tuple[str, ...] = ()
        self._texts: dict[int, str] = {}
        self._rest: Timer | None = None
        self._leave_prompt = True  # for the grid, once the columns are known
        self._keeps_place = False  # only the lens has changed: cursor and logit lens stay as they are
        self._in_training = False  # the lens that the tuned pane shows
        self._repaint = Repaint()
        self._counted = ""  # how many columns the prompt has, in words

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Top to bottom, as it is on screen."""
        yield StatusBar()
        yield Static(id="notice")
        yield PromptBox(self._prompt)
        with Horizontal(id="panes"):
            yield Pane("logit")
            yield Pane("tuned")
        yield Legend()
        yield Detail()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Nothing is open yet."""
        self._note("")
        self._title_panes()
        for pane in self.query(Pane):
            pane.grid.depth = self._depth
            pane.say("starting …")
        self.grids["logit"].pair(self.grids["tuned"])

    def on_resize(self) -> None:
        """Titles say more where the panes are tabs."""
        self.call_after_refresh(self._title_panes)
        self.call_after_refresh(self._share_room)

    def _share_room(self) -> None:
        """The detail lists more tokens where the screen is taller."""
        self.query_one(Detail).styles.height = min(max((self.size.height - 12) * 2 // 5, 6), TOP_K + 3)

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The grids by lens name."""
        return {pane.lens: pane.grid for pane in self.query(Pane)}

    @property
    def _narrow(self) -> bool:
        return self.has_class("-narrow")

    def _title_panes(self) -> None:
        """Where the panes are tabs, each names both."""
        value = VALUES[self.value_index]
        for pane in self.query(Pane):
            pane.set_class(pane.lens == self.shown_lens, "-shown")
            names = [pane.lens]
            if self._narrow:
                names = ["logit", "tuned"]
            title = Text(" │ ").join(
                Text(f"{name} lens", style="bold" if name == pane.lens else "dim") for name in names
            )
            if self._in_training and (self._narrow or pane.lens == "tuned"):
                title.append(" in training", style="italic")
            pane.border_title = title.append(f" · {value.label}")

    def _note(self, text: str) -> None:
        """One line under the top line, for what stays true; nothing takes no room."""
        notice = self.query_one("#notice", Static)
        notice.update(Text(text))
        notice.tooltip = Text(text) if text else None
        notice.display = bool(text)

    @property
    def model(self) -> OpenModel | None:
        """What is open."""
        return self._model

    @property
    def serial(self) -> int:
        """Of the reading that is shown."""
        return self._serial

    @property
    def columns(self) -> tuple[str, ...]:
        """Display texts of its input tokens."""
        return self._columns

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def on_load_stage(self, message: LoadStage) -> None:
        """Say how far loading is."""
        self.query_one(StatusBar).stage = message.text
        if self._model is None:
            for pane in self.query(Pane):
                pane.say(f"{message.text} …")

    def on_load_failed(self, message: LoadFailed) -> None:
        """Say why; what was open stays open."""
        self.query_one(StatusBar).stage = None
        if self._model is None:
            for pane in self.query(Pane):
                pane.say(f"{message.text}\n\nPress m to open another model.")
            self.grids["logit"].focus()
        else:
            self.notify(message.text, title="Not opened", severity="error", timeout=15, markup=False)

    def on_model_loaded(self, message: ModelLoaded) -> None:
        """Show the new model, and read the prompt with it."""
        model = message.model
        self._describe(model)
        self._texts.clear()
        self.grids["logit"].start(model.rows, (), model.vocabulary)
        self.grids["tuned"].start(model.rows, (), model.vocabulary)
        self.query_one("#pane-tuned", Pane).say("" if model.lens else NO_LENS)
        self._columns = ()
        self.query_one(Detail).show("", None, None)
        gc.freeze()  # torch brought so many objects that a full collection takes longer than a frame
        untouched = self.query_one(PromptBox).prompt == self._prompt  # else somebody is typing
        self._read(self._prompt, leave_prompt=untouched)

    def on_lens_opened(self, message: LensOpened) -> None:
        """Read the prompt again, with the cursor where it is; of the grids only the tuned one changes."""
        self._describe(message.model)
        if self._columns:
            self._read(self._prompt, leave_prompt=False, keep_place=True)

    def _describe(self, model: OpenModel) -> None:
        """What the lines above the prompt say of the model and its lens."""
        self._model = model
        self.app.clear_notifications()
        status = self.query_one(StatusBar)
        status.model, status.stage = model, None
        status.tooltip = Text("\n".join(("Wiring check", *model.wiring)))
        self._note(" · ".join(model.remarks))

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────

    def action_edit_prompt(self) -> None:
        """Go to the prompt."""
        self.query_one(PromptBox).focus()

    @on(PromptBox.Left)
    def leave_prompt(self) -> None:
        """Go to the grid."""
        self._focus_grid()

    @on(PromptBox.Submitted)
    def submit_prompt(self, message: PromptBox.Submitted) -> None:
        """Read a prompt; one that is being read is dropped."""
        self._read(message.text)

    def _read(self, text: str, *, leave_prompt: bool = True, keep_place: bool = False) -> None:
        self._leave_prompt, self._keeps_place = leave_prompt, keep_place
        if not text:
            self.query_one(PromptBox).border_subtitle = EMPTY
            if not self._columns:
                for pane in self.query(Pane):
                    pane.say("Type a prompt and press Enter.")
            self.query_one(PromptBox).focus()
            return
        self._prompt = text
        if self._model is None:
            self.query_one(PromptBox).border_subtitle = "will be read when the model is open"
            return
        self._serial += 1
        self.query_one(PromptBox).border_subtitle = "reading …"
        self.app.request_read(self._serial, text, self._page_columns())  # type: ignore[attr-defined]

    @on(PromptBox.Changed)
    def mark_unread(self) -> None:
        """Say when the box holds something else than what the grid shows."""
        box = self.query_one(PromptBox)
        if box.prompt == self._prompt:
            box.border_subtitle = self._counted
        else:
            box.border_subtitle = UNREAD if box.prompt else EMPTY

    def _page_columns(self) -> int:
        """How many columns fit on the screen: the last ones of a prompt are read first."""
        grid = self.grids["logit"]
        return max(1, self.size.width // (1 if self._narrow else 2) // grid.column_width)

    def on_read_started(self, message: ReadStarted) -> None:
        """Lay out the columns, and go to the last one: there the model speaks."""
        if message.serial != self._serial or self._model is None:
            return
        keeps_place = self._keeps_place and self._has_cells and self._columns == message.columns
        self._columns = message.columns
        self._repaint = Repaint()
        box = self.query_one(PromptBox)
        count = f"{len(message.columns)} token{'s' * (len(message.columns) != 1)}"
        if message.dropped:
            count += f" · {message.dropped} dropped from the front: the context is {self._model.context}"
        self._counted = count
        box.border_subtitle = f"{count} · reading …"
        row = self._cursor.row if self._has_cells else len(self._model.rows) - 1
        cursor = self._cursor if keeps_place else Cursor(row, len(message.columns) - 1)
        for lens, pane in ((pane.lens, pane) for pane in self.query(Pane)):
            if lens == "tuned" and self._model.lens is None and not self._in_training:
                pane.say(NO_LENS)
                continue
            if lens == "logit" and keeps_place:
                continue
            pane.grid.start(self._model.rows, message.columns, self._model.vocabulary)
            pane.show_grid()
            pane.grid.move_to(cursor)
        if not keeps_place:
            self._rescale()
        if self._leave_prompt:
            self._focus_grid()

    def on_tile_read(self, message: TileRead) -> None:
        """Put the cells in."""
        if message.serial != self._serial:
            return
        self._texts.update(message.texts)
        grids = self.grids
        for lens, cells in message.tile.lenses.items():
            grids[lens].add(message.tile.start, cells, message.texts)
        self._rescale()
        self._show_detail()

    def on_read_done(self, message: ReadDone) -> None:
        """Say how long it took."""
        if message.serial == self._serial:
            self._counted += f" · {message.seconds:.2f} s"
            self.mark_unread()
            self._rescale()

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say why; the prompt can be changed and tried again."""
        if message.serial == self._serial:
            self.query_one(PromptBox).border_subtitle = "not read"
            self.notify(message.text, title="Not read", severity="error", timeout=10, markup=False)

    # ── the lens in training ─────────────────────────────────────────────────────────────────────────────

    def on_fit_changed(self, message: FitChanged) -> None:
        """The top line says how far it is; the columns on screen follow the lens."""
        status = message.status
        bar = self.query_one(StatusBar)
        bar.fit = status if status.phase in BUSY else None
        in_training = status.phase in UNDER_WAY
        if in_training != self._in_training:
            self._in_training = in_training
            self._repaint = Repaint()
            self._title_panes()
        if status.phase is Phase.DISCARDED:
            self._show_lens_in_use()
        elif status.phase is Phase.KEPT:
            self.notify(outcome(status), title="Trained", timeout=15, markup=False)
        elif in_training and status.progress is not None and self._columns:
            self._repaint.changed((status.progress.stage, status.progress.step))
            if self._repaint.is_due():
                self.app.request_tuned(self._serial, self._seen)  # type: ignore[attr-defined]

    @property
    def _seen(self) -> range:
        """The columns on screen."""
        shown = self.grids[self.shown_lens]
        return (shown if shown.display else self.grids["logit"]).visible_columns()

    def on_tuned_read(self, message: TunedRead) -> None:
        """Put the cells in, as the lens in training has them."""
        self._repaint.answered(message.seconds)
        if message.serial != self._serial or not self._in_training or self._model is None:
            return
        pane = self.query_one("#pane-tuned", Pane)
        if not pane.grid.display:
            pane.grid.start(self._model.rows, self._columns, self._model.vocabulary)
            pane.show_grid()
            pane.grid.move_to(self._cursor)
        self._texts.update(message.texts)
        pane.grid.add(message.start, message.cells, message.texts)
        self._rescale()
        self._show_detail()

    def _show_lens_in_use(self) -> None:
        """After a fit that came to nothing."""
        assert self._model is not None
        if self._model.lens is not None:
            self._read(self._prompt, leave_prompt=False, keep_place=True)
            return
        self.grids["tuned"].start(self._model.rows, (), self._model.vocabulary)
        self.query_one("#pane-tuned", Pane).say(NO_LENS)
        self._rescale()
        self._show_detail()
        if isinstance(self.focused, Grid):
            self._focus_grid()

    # ── one cursor, one scroll ───────────────────────────────────────────────────────────────────────────

    @property
    def _cursor(self) -> Cursor:
        return self.grids["logit"].cursor

    @property
    def _has_cells(self) -> bool:
        return self.grids["logit"].cells is not None

    @on(Grid.CursorMoved)
    def follow_cursor(self) -> None:
        """The detail follows when the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._show_detail)

    def _show_detail(self) -> None:
        if self._model is None or not self._columns:
            return
        row, column = self._cursor.row, self._cursor.column
        label = self._model.rows[row]
        follows = f' → next "{self._columns[column + 1]}"' if column + 1 < len(self._columns) else ""
        facts = {
            lens: None if grid.cells is None else CellFacts.of(lens, grid.cells, row, column, self._texts)
            for lens, grid in self.grids.items()
        }
        title = f'row {label} · column {column} "{self._columns[column]}"{follows}'
        self.query_one(Detail).show(title, facts["logit"], facts["tuned"])

    def _focus_grid(self) -> None:
        pane = self.query_one(f"#pane-{self.shown_lens}", Pane)
        (pane.grid if pane.grid.display else self.query_one("#grid-logit")).focus()

    def action_other_pane(self) -> None:
        """Go to the other lens."""
        other = "tuned" if self.shown_lens == "logit" else "logit"
        if not self.grids[other].display:
            self._tell(" ".join(NO_LENS.split()))
        self.shown_lens = other
        if isinstance(self.focused, Grid | None):
            self._focus_grid()

    def watch_shown_lens(self) -> None:
        """In the narrow layout only one pane shows."""
        self._title_panes()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The focused pane is the shown one."""
        if isinstance(event.widget, Grid):
            self.shown_lens = "tuned" if event.widget.id == "grid-tuned" else "logit"

    # ── how it looks ─────────────────────────────────────────────────────────────────────────────────────

    def action_next_value(self, step: int) -> None:
        """Colour by another value."""
        self.value_index = (self.value_index + step) % len(VALUES)

    def watch_value_index(self) -> None:
        """Both panes show the same value on the same scale."""
        for grid in self.grids.values():
            grid.value = VALUES[self.value_index]
        self._title_panes()
        self._rescale()

    def _rescale(self) -> None:
        """One scale for both panes, from what has been read so far."""
        value = VALUES[self.value_index]
        vocabulary = self._model.vocabulary if self._model else 0
        read = [grid.values for grid in self.grids.values() if grid.cells is not None]
        scale: Scale = value.scale(read, vocabulary)
        for grid in self.grids.values():
            grid.scale = scale
        legend = self.query_one(Legend)
        legend.value, legend.scale = value, scale

    def action_deepen(self, step: int) -> None:
        """Taller or flatter rows."""
        depth = self.grids["logit"].depth + step
        if not 1 <= depth <= MAX_DEPTH:
            self._tell(f"Rows show the top 1 to {MAX_DEPTH} tokens.")
            return
        for grid in self.grids.values():
            grid.depth = depth

    def _tell(self, text: str) -> None:
        """Why a key did nothing; only the last such message stays."""
        self.app.clear_notifications()
        self.notify(text, timeout=4, markup=False)

    def action_flip(self) -> None:
        """Last row on top, or at the bottom."""
        for grid in self.grids.values():
            grid.bottom_up = not grid.bottom_up
