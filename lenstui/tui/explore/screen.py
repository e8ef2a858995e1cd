"""Explore: the prompt, its sides beside each other, and the cell under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer, Static

from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
from lenstui.jobs.fit_messages import FitStatus, Phase, TrainingRead
from lenstui.jobs.messages import (
    GenerationEnded,
    Grown,
    LoadFailed,
    LoadStage,
    OpenModel,
    PinsFound,
    PinsNotFound,
    ReadDone,
    ReadFailed,
    ReadStarted,
    SidesRefused,
    SidesTold,
    SublayersRefused,
    TileRead,
    WordFound,
    WordNotFound,
)
from lenstui.opening.side_facts import SideFacts
from lenstui.readout.reading import Reading
from lenstui.tui.explore.appearance import Appearance
from lenstui.tui.explore.cell import CellInFull
from lenstui.tui.explore.cell_follower import CellFollower
from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.comparison import Comparison
from lenstui.tui.explore.export import Export
from lenstui.tui.explore.find import Find
from lenstui.tui.explore.first_row import FirstRow
from lenstui.tui.explore.growth import Growth
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.lens_in_training import LensInTraining
from lenstui.tui.explore.model_view import ModelView
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.pins import Pins
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.prompt_line import PromptLine
from lenstui.tui.explore.reader import TOP_K, Reader
from lenstui.tui.explore.reading_options import ReadingOptions
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.sublayers import Sublayers
from lenstui.tui.explore.widgets import Widgets
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.panes import Panes
from lenstui.tui.services import Services, ShownPrompt
from lenstui.tui.session.session import Look
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar


class Explore(LeanScreen[None], AppScreen[None]):
    """The first screen.

    It is made of parts, which work on one `ExploreState` and the same `Widgets`. A key does a method of a
    part (`keys.py`); a message has one handler here, which calls the parts in an order that matters.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "PromptBox"
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(self, services: Services, prompt: str, *, depth: int = 1) -> None:
        """Show nothing yet.

        Args:
            services: of the program.
            prompt: to begin with.
            depth: how many tokens each cell shows.
        """
        super().__init__()
        self.services = services
        self.state = state = ExploreState(prompt)
        self.widgets = widgets = Widgets(
            StatusBar(),
            Static(id="notice"),
            PromptBox(prompt, services.history),
            Panes(depth=depth),
            CellPanel(),
        )
        self.prompt_line = PromptLine(state, widgets)
        self.follower = CellFollower(state, widgets)
        self.training = LensInTraining(state, widgets, services, self.follower)
        self.reader = Reader(
            state, widgets, services, prompt_line=self.prompt_line, training=self.training,
            follower=self.follower,
        )  # fmt: skip
        self.options = ReadingOptions(state, services, self.prompt_line, self.reader.read_again)
        self.sublayers = Sublayers(state, services, self.options)
        self.growth = Growth(state, widgets, services, self.prompt_line, self.reader)
        self.pins = Pins(state, widgets, services, self.reader)
        self.comparison = Comparison(state, widgets, services)
        self.appearance = Appearance(state, widgets, services)
        self.find = Find(state, widgets, services)
        self.first_row = FirstRow(state, widgets, services)
        self.cell = CellInFull(state, widgets, services)
        self.export = Export(state, widgets, services)
        self.model_view = ModelView(
            state, widgets, services, prompt_line=self.prompt_line, reader=self.reader, options=self.options,
            pins=self.pins, training=self.training,
        )  # fmt: skip

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield the widgets from top to bottom."""
        self.take_size()
        yield self.widgets.status
        yield self.widgets.notice
        yield self.widgets.prompt
        yield self.widgets.panes
        yield self.widgets.panel
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is open, hear of what changes, and have the detail follow what colours the cells."""
        signals = self.services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.show_lens)
        signals.sides_changed.subscribe(self, self.show_sides)
        signals.fit_changed.subscribe(self, self.show_fit)
        self.watch(self.panes, "value_index", self.pins.follow_value, init=False)
        self.remark()
        if self.services.model is not None:
            self.show_model(self.services.model)

    def on_resize(self) -> None:
        """Share the room, once the screen has the classes of its size."""
        self.call_after_refresh(self._share_room)

    def _share_room(self) -> None:
        """Make the panes tabs where it is narrow; list more tokens in the detail where it is taller."""
        self.panes.tabs = self.has_class("-narrow")
        self.panel.set_lines(min(max((self.size.height - 12) * 2 // 5, 6), TOP_K + 3))

    # ── what others ask ──────────────────────────────────────────────────────────────────────────────────

    @property
    def panes(self) -> Panes:
        """The sides."""
        return self.widgets.panes

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of the sides, in their order."""
        return self.panes.grids

    @property
    def panel(self) -> CellPanel:
        """The pins, and the cell under the cursor in detail."""
        return self.widgets.panel

    @property
    def model(self) -> OpenModel | None:
        """The open model, as far as it is shown."""
        return self.state.model

    @property
    def sides(self) -> tuple[SideFacts, ...]:
        """What is on the sides; nothing while no model is open."""
        return self.state.sides

    @property
    def reading(self) -> Reading:
        """How the prompt is read from now on."""
        return self.state.reading

    @property
    def is_compared(self) -> bool:
        """Whether something else than the lenses of the open model is on the sides."""
        return self.state.is_compared

    @property
    def shown_prompt(self) -> ShownPrompt | None:
        """The prompt on screen; None while none is read."""
        state, grid = self.state, self.grids[0]
        if state.model is None or not state.columns:
            return None
        vocabulary = state.model.vocabulary
        return ShownPrompt(state.rows, state.columns, vocabulary, state.shown_reading, grid.value, grid.scale)

    def remark(self, *remarks: str) -> None:
        """Add to the line under the top line, for what stays true."""
        self.model_view.remark(*remarks)

    def look(self) -> Look:
        """Return how the open model is looked at now."""
        return self.appearance.look()

    def put_back(self, look: Look) -> None:
        """Look at the open model in this way again, once it is read."""
        self.appearance.put_back(look)

    def keep_cursor(self) -> None:
        """Have the cursor stay where it is when another model is open."""
        self.state.first_cursor = self.panes.cursor

    def read_case(self, text: str, target: tuple[int, str] | None) -> None:
        """Read the prompt of a case, with its target pinned in place of that of the case before.

        Args:
            text: the prompt.
            target: id and display text of the token to pin, or None.
        """
        self.pins.pin_target(target)
        self.widgets.prompt.show(text)
        self.widgets.prompt.post_message(PromptBox.Submitted(text))
        self.panes.focus_grid()

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_do(self, part: str, method: str, *arguments: object) -> None:
        """Do what a key says: a method of one of the parts."""
        getattr(getattr(self, part), method)(*arguments)

    # ── the prompt box, the grids, the panel ─────────────────────────────────────────────────────────────

    @on(PromptBox.Entered)
    def enter_prompt(self) -> None:
        """Note that the prompt has the focus."""
        self.prompt_line.enter()

    @on(PromptBox.Left)
    def leave_prompt(self) -> None:
        """Go to the grid."""
        self.prompt_line.leave()

    @on(PromptBox.Changed)
    def mark_unread(self) -> None:
        """Say whether the box holds what the grid shows."""
        self.prompt_line.edited()

    @on(PromptBox.Submitted)
    def submit_prompt(self, message: PromptBox.Submitted) -> None:
        """Read a prompt; one that is being read is dropped. What is typed next is meant for the grid."""
        self.prompt_line.submit()
        self.reader.read(message.text)
        if self.state.is_awaited and self.state.columns:
            self.panes.focus_grid()

    @on(Grid.CursorMoved)
    def follow_cursor(self) -> None:
        """Show the cell under the cursor once it rests."""
        self.follower.follow()

    @on(CellPanel.PinsChanged)
    def take_pins(self, message: CellPanel.PinsChanged) -> None:
        """Keep the numbers of the pins that stay, and have the others read."""
        self.pins.take_change(message)

    @on(PinList.Left)
    def leave_pins(self) -> None:
        """Go from the list of pins to the grid."""
        self.pins.leave_list()

    # ── what everybody hears ─────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Say how far loading is, or why no model was opened."""
        self.model_view.show_loading(message)

    def show_model(self, model: OpenModel) -> None:
        """Show another model, and read the prompt with it."""
        self.model_view.show_model(model)

    def show_lens(self, model: OpenModel) -> None:
        """Read the prompt through another lens of the open model."""
        self.model_view.show_lens(model)

    def show_sides(self, model: OpenModel) -> None:
        """Show other sides; the cell in full follows once they are there."""
        self.cell.take_sides()
        self.model_view.show_sides(model)

    def show_fit(self, status: FitStatus) -> None:
        """Say how far a fit is; where it was discarded the lens in use comes back."""
        self.training.show_status(status)
        if status.phase is Phase.DISCARDED:
            self.reader.show_lens_in_use()

    # ── a reading ────────────────────────────────────────────────────────────────────────────────────────

    def on_sublayers_refused(self, message: SublayersRefused) -> None:
        """Say why the prompt is read without sublayers."""
        if message.serial == self.state.serial:
            self.sublayers.refuse(message)

    def on_read_started(self, message: ReadStarted) -> None:
        """Lay out the columns; only then are they marked as read in another way."""
        if message.serial == self.state.serial:
            self.reader.lay_out(message)
            self.sublayers.begin(message)
            self.options.take_effect()

    def on_tile_read(self, message: TileRead) -> None:
        """Put the cells in."""
        if message.serial == self.state.serial:
            self.reader.show_tile(message)
            self.sublayers.add(message)

    def on_read_done(self, message: ReadDone) -> None:
        """Say how long it took, then what else is to be said of it."""
        if message.serial == self.state.serial:
            self.reader.finish(message)
        self.cell.read_anew()
        if message.serial == self.state.serial:
            self.sublayers.say()

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say why the prompt was not read; what is on screen is as it was."""
        if message.serial == self.state.serial:
            self.reader.fail(message)
            self.growth.fail()
            self.options.fail()

    def on_training_read(self, message: TrainingRead) -> None:
        """Put cells in, as the lens in training has them."""
        self.training.show_cells(message)

    def on_grown(self, message: Grown) -> None:
        """Have more columns at the end of the prompt, or fewer."""
        if message.serial == self.state.serial:
            self.growth.lay_out(message)

    def on_generation_ended(self, message: GenerationEnded) -> None:
        """Say why no more tokens come, unless somebody stopped them."""
        if message.serial == self.state.serial and self.growth.is_generating:
            self.growth.end(message.reason)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────

    def on_sides_told(self, message: SidesTold) -> None:
        """Say what has happened to the sides without being asked for."""
        self.services.notify(message.text, title="Compared", severity="warning", seconds=12)

    def on_sides_refused(self, message: SidesRefused) -> None:
        """Say why the sides stay as they are."""
        self.services.tell(message.text)

    def on_pins_found(self, message: PinsFound) -> None:
        """Pin the tokens of a word."""
        self.pins.pin_found(message)

    def on_pins_not_found(self, message: PinsNotFound) -> None:
        """Say why a word cannot be pinned."""
        self.services.tell(message.text)

    def on_word_found(self, message: WordFound) -> None:
        """Go to the first row that has a word on top."""
        self.first_row.go(message)

    def on_word_not_found(self, message: WordNotFound) -> None:
        """Say why a word cannot be looked for."""
        self.services.tell(message.text)

    def on_export_progress(self, message: ExportProgress) -> None:
        """Say how far an export is."""
        self.export.show_progress(message)

    def on_file_taken(self, message: FileTaken) -> None:
        """Say which file was written."""
        self.export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put a text into the clipboard."""
        self.export.copy_text(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Say why an export failed."""
        self.export.say_failed(message)
