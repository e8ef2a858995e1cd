"""The screen Explore: the prompt, the sides beside each other, and the cell under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from lenstui.jobs.evaluation_messages import LensesEvaluated
from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
from lenstui.jobs.fit_messages import FitStatus, Phase, TrainingRead
from lenstui.jobs.instant_messages import InstantStatus
from lenstui.jobs.messages import (
    FinalsCompared,
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
    TrustFound,
    WordFound,
    WordNotFound,
    WordsRead,
)
from lenstui.jobs.scan_messages import Position
from lenstui.opening.side_facts import SideFacts
from lenstui.readout.reading import Reading
from lenstui.support.turns import Conversation
from lenstui.tui.explore.appearance import Appearance
from lenstui.tui.explore.cell import CellInFull, CellScreen
from lenstui.tui.explore.cell_follower import CellFollower
from lenstui.tui.explore.cell_menu import CellMenu
from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.comparison import Comparison
from lenstui.tui.explore.explanation import Explanation
from lenstui.tui.explore.export import Export
from lenstui.tui.explore.finals import Finals
from lenstui.tui.explore.find import Find
from lenstui.tui.explore.first_row import FirstRow
from lenstui.tui.explore.greeting import Greeting, GreetingWords
from lenstui.tui.explore.growth import Growth
from lenstui.tui.explore.instant_lens import InstantLens
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.lens_in_training import LensInTraining
from lenstui.tui.explore.model_view import ModelView
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.pins import Pins
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.prompt_line import PromptLine
from lenstui.tui.explore.reader import TOP_K, Reader
from lenstui.tui.explore.reading_options import ReadingOptions
from lenstui.tui.explore.scanned import Scanned
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.sublayers import Sublayers
from lenstui.tui.explore.tracing import Tracing
from lenstui.tui.explore.trust_overlay import TrustOverlay
from lenstui.tui.explore.turns import Turns
from lenstui.tui.explore.widgets import Widgets
from lenstui.tui.explore.words import Words
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.panes import Panes
from lenstui.tui.services import Services, ShownPrompt, Target
from lenstui.tui.session.session import Look
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar


class Explore(LeanScreen[None], AppScreen[None]):
    """The main screen: a prompt, and its readout on every side.

    The screen is made of parts, which share one `ExploreState` and one `Widgets`. A key calls a method of a
    part (`keys.py`); a message has one handler here, which calls the parts in an order that matters.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "PromptBox.-text"  # turns are edited by a key of the screen
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(self, services: Services, prompt: str | Conversation, *, depth: int | None = None) -> None:
        """Prepare the screen; nothing is read yet.

        Args:
            services: the services of the program.
            prompt: the prompt to begin with.
            depth: how many lines each row has; None for as many as fill the room.
        """
        super().__init__()
        self.services = services
        self._greeting: Greeting | None = None  # until a key is pressed
        self.state = state = ExploreState(prompt)
        self.widgets = widgets = Widgets(
            StatusBar(),
            Static(id="notice"),
            PromptBox(prompt, services.history, takes_turns=True),
            Panes(depth=depth),
            CellPanel(),
        )
        self._least_lines = 0  # of the panel
        self.prompt_line = PromptLine(state, widgets)
        self.words = Words(state, widgets, services)
        self.follower = CellFollower(state, widgets, self.words)
        self.training = LensInTraining(state, widgets, services, self.follower)
        self.reader = Reader(
            state, widgets, services, prompt_line=self.prompt_line, training=self.training,
            follower=self.follower,
        )  # fmt: skip
        self.options = ReadingOptions(state, services, self.prompt_line, self.reader.read_again)
        self.sublayers = Sublayers(state, services, self.options)
        self.turns = Turns(state, widgets, services, prompt_line=self.prompt_line, read=self.read_prompt)
        self.growth = Growth(state, widgets, services, self.prompt_line, self.reader)
        self.pins = Pins(state, widgets, services, self.reader)
        self.scanned = Scanned(
            state, widgets, services, reader=self.reader, pins=self.pins, growth=self.growth
        )
        self.comparison = Comparison(state, widgets, services)
        self.explanation = Explanation(state, widgets, services, self.comparison)
        self.tracing = Tracing(state, widgets, services)
        self.finals = Finals(state, widgets, services, self.follower)
        self.trust = TrustOverlay(state, widgets, services)
        self.appearance = Appearance(state, widgets, services, self.trust, self.turns)
        self.find = Find(state, widgets, services)
        self.first_row = FirstRow(state, widgets, services)
        self.instant = InstantLens(state, widgets, services)
        self.export = Export(state, widgets, services)
        self.cell = CellInFull(state, widgets, services, self.words, self.show_cell_menu)
        self.menu = CellMenu(
            state, widgets, services, cell=self.cell, pins=self.pins, first_row=self.first_row,
            growth=self.growth, comparison=self.comparison, export=self.export, explanation=self.explanation,
            tracing=self.tracing,
        )  # fmt: skip
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
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the open model, subscribe to signals, and have the detail follow the value of the colours."""
        signals = self.services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.show_lens)
        signals.sides_changed.subscribe(self, self.show_sides)
        signals.fit_changed.subscribe(self, self.show_fit)
        signals.lenses_evaluated.subscribe(self, self.show_evaluated)
        signals.instant_changed.subscribe(self, self.show_instant)
        self.watch(self.panes, "value_index", self.pins.follow_value, init=False)
        self.watch(self.panes, "lent", self._take_lines, init=False)
        self.remark()
        if self.services.model is not None:
            self.show_model(self.services.model)

    def on_resize(self) -> None:
        """Share the room among the widgets, once the screen has the classes of its new size."""
        self.call_after_refresh(self._share_room)

    def _share_room(self) -> None:
        """Make the panes tabs on a narrow screen; give the detail more lines on a taller one."""
        self.panes.tabs = self.has_class("-narrow")
        most = TOP_K + 3  # its frame, and a line of numbers
        self._least_lines = min(max((self.size.height - 12) * 2 // 5, 6), most)
        self.panes.lendable = most - self._least_lines
        self._take_lines()

    def _take_lines(self) -> None:
        """Give the panel the lines that the grids do not need."""
        self.panel.set_lines(self._least_lines + self.panes.lent)

    # ── what others ask ──────────────────────────────────────────────────────────────────────────────────

    @property
    def panes(self) -> Panes:
        """The panes of the sides, and their legend."""
        return self.widgets.panes

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of the sides, in their order."""
        return self.panes.grids

    @property
    def panel(self) -> CellPanel:
        """The panel with the pins, and the cell under the cursor in detail."""
        return self.widgets.panel

    @property
    def model(self) -> OpenModel | None:
        """The open model that this screen shows, or None."""
        return self.state.model

    @property
    def sides(self) -> tuple[SideFacts, ...]:
        """Descriptions of the sides; empty while no model is open."""
        return self.state.sides

    @property
    def reading(self) -> Reading:
        """The options by which the prompt is to be read from now on."""
        return self.state.reading

    @property
    def is_compared(self) -> bool:
        """Whether any side shows anything but the open model, the typed prompt, and a lens in use."""
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
        """Add lasting remarks to the line under the top line."""
        self.model_view.remark(*remarks)

    def greet(self, words: GreetingWords) -> None:
        """Show lines above the prompt, until a key is pressed.

        Args:
            words: returns the lines for the open model, if any, and the status of its instant lens.
        """
        self._greeting = Greeting(words)
        self._greet_anew()
        self.mount(self._greeting, before=self.widgets.prompt)

    def end_greeting(self) -> None:
        """Take the lines above the prompt away, if there are any."""
        if self._greeting is not None:
            self._greeting.remove()
            self._greeting = None

    def _greet_anew(self) -> None:
        """Say in the lines above the prompt, if there are any, what is open by now."""
        if self._greeting is not None:
            self._greeting.say(self.state.model, self.state.instant)

    def look(self) -> Look:
        """Return the current prompt, cursor and appearance, to be restored in another session."""
        return self.appearance.look()

    def put_back(self, look: Look) -> None:
        """Restore the appearance of an earlier session, and its cursor once the prompt is read."""
        self.appearance.put_back(look)

    def keep_cursor(self) -> None:
        """Keep the cursor in its place when another model is opened."""
        self.state.first_cursor = self.panes.cursor

    def read_case(self, prompt: str | Conversation, targets: Sequence[Target]) -> None:
        """Read the prompt of a case, with its target and foil pinned in place of those of the former case."""
        self.pins.pin_targets(targets)
        self.read_prompt(prompt)
        self.panes.focus_grid()

    def read_prompt(self, prompt: str | Conversation) -> None:
        """Put a prompt into the box, and read it as if it were typed there."""
        self.widgets.prompt.show(prompt)
        self.widgets.prompt.post_message(PromptBox.Submitted(prompt))

    def read_scanned(self, position: Position) -> None:
        """Read a position of a scanned text, as the scan read it."""
        self.scanned.show(position)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_do(self, part: str, method: str, *arguments: object) -> None:
        """Call a method of a part of Explore, as a key names them."""
        getattr(getattr(self, part), method)(*arguments)

    def show_cell_menu(self, screen: CellScreen) -> None:
        """Show what can be done with the cell on the screen of a cell in full."""
        self.menu.show_in_full(screen)

    # ── the prompt box, the grids, the panel ─────────────────────────────────────────────────────────────

    @on(PromptBox.Entered)
    def enter_prompt(self) -> None:
        """Note that the prompt has the focus."""
        self.prompt_line.enter()

    @on(PromptBox.Left)
    def leave_prompt(self) -> None:
        """Put the focus on the grid."""
        self.prompt_line.leave()

    @on(PromptBox.Changed)
    def mark_unread(self) -> None:
        """Write on the frame whether the box holds the prompt that the grid shows."""
        self.prompt_line.edited()

    @on(PromptBox.Submitted)
    def submit_prompt(self, message: PromptBox.Submitted) -> None:
        """Read the submitted prompt in place of one that is being read; keys pressed next go to the grid."""
        self.prompt_line.submit()
        self.reader.read(message.prompt)
        if self.state.is_awaited and self.state.columns:
            self.panes.focus_grid()

    @on(Grid.CursorMoved)
    def follow_cursor(self) -> None:
        """Show the cell under the cursor in the panel, once the cursor rests."""
        self.follower.follow()

    @on(Pane.Chosen)
    def go_to_side(self, message: Pane.Chosen) -> None:
        """Make a side the active one, whose name was clicked."""
        self.comparison.go_to(message.place)

    @on(CellPanel.PinsChanged)
    def take_pins(self, message: CellPanel.PinsChanged) -> None:
        """Keep the numbers of the pins that stay, and have those of the others read."""
        self.pins.take_change(message)

    @on(PinList.Left)
    def leave_pins(self) -> None:
        """Go from the list of pins to the grid."""
        self.pins.leave_list()

    # ── signals ──────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show the stage of loading a model, or why no model was opened."""
        self.model_view.show_loading(message)

    def show_model(self, model: OpenModel) -> None:
        """Show another model, and read the prompt with that model."""
        self.instant.forget()
        self.model_view.show_model(model)
        self._greet_anew()

    def show_lens(self, model: OpenModel) -> None:
        """Read the prompt through another lens of the open model."""
        self.model_view.show_lens(model)
        self._greet_anew()

    def show_sides(self, model: OpenModel) -> None:
        """Show other sides, and after that also on the screen of a cell, if that is open."""
        self.cell.take_sides()
        self.model_view.show_sides(model)
        self.prompt_line.show_edits()
        self.comparison.take_sides()
        self._greet_anew()

    def show_fit(self, status: FitStatus) -> None:
        """Show the progress of a fit; after a discarded fit, show the lens in use again."""
        self.training.show_status(status)
        if status.phase is Phase.DISCARDED:
            self.reader.show_lens_in_use()
        self.instant.take_fit(status)

    def show_evaluated(self, message: LensesEvaluated) -> None:
        """Show how far the lenses can be trusted now, if that is shown."""
        self.trust.follow()

    def show_instant(self, status: InstantStatus) -> None:
        """Show how far the instant lens is."""
        self.instant.show_status(status)
        self._greet_anew()

    # ── a reading ────────────────────────────────────────────────────────────────────────────────────────

    def on_sublayers_refused(self, message: SublayersRefused) -> None:
        """Tell the user why the prompt is read without sublayers."""
        if message.serial == self.state.serial:
            self.sublayers.refuse(message)

    def on_read_started(self, message: ReadStarted) -> None:
        """Lay out the columns of a reading, mark its turns, and show the options by which it is read.

        Last it is looked up how far the lenses can be trusted.
        """
        if message.serial == self.state.serial:
            self.reader.lay_out(message)
            self.turns.begin(message)
            self.sublayers.begin(message)
            self.options.take_effect()
            self.trust.follow()

    def on_tile_read(self, message: TileRead) -> None:
        """Show the cells of some columns."""
        if message.serial == self.state.serial:
            self.reader.show_tile(message)
            self.sublayers.add(message)

    def on_read_done(self, message: ReadDone) -> None:
        """Show how long the reading took, read an open cell again, and tell the user about new sublayers.

        Then there is time for an instant lens.
        """
        if message.serial == self.state.serial:
            self.reader.finish(message)
        self.cell.read_anew()
        if message.serial == self.state.serial:
            self.sublayers.say()
            self.finals.compare(message)
            self.instant.consider()

    def on_finals_compared(self, message: FinalsCompared) -> None:
        """Show how far the last rows of the sides part."""
        if message.serial == self.state.serial:
            self.finals.take(message)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Show why the prompt was not read; go back to the tail and the options of the readout on screen."""
        if message.serial == self.state.serial:
            self.reader.fail(message)
            self.growth.fail()
            self.options.fail()

    def on_training_read(self, message: TrainingRead) -> None:
        """Show cells that were read through the lens in training, and have pinned words read through it."""
        self.training.show_cells(message)
        self.words.read_anew()

    def on_grown(self, message: Grown) -> None:
        """Lay out the columns of a prompt that has grown or shrunk."""
        if message.serial == self.state.serial:
            self.growth.lay_out(message)
            self.turns.mark()

    def on_generation_ended(self, message: GenerationEnded) -> None:
        """Show why no more tokens come, unless the user has stopped them."""
        if message.serial == self.state.serial and self.growth.is_generating:
            self.growth.end(message.reason)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────

    def on_sides_told(self, message: SidesTold) -> None:
        """Notify the user of a remark on the sides."""
        self.services.notify(message.text, title="Compared", severity="warning", seconds=12)

    def on_sides_refused(self, message: SidesRefused) -> None:
        """Tell the user why the sides stay as they are."""
        self.services.tell(message.text)
        self.comparison.take_sides()

    def on_trust_found(self, message: TrustFound) -> None:
        """Show how far the lenses on the sides can be trusted."""
        self.trust.take(message)

    def on_pins_found(self, message: PinsFound) -> None:
        """Pin the tokens of a word."""
        self.pins.pin_found(message)

    def on_pins_not_found(self, message: PinsNotFound) -> None:
        """Tell the user why a word cannot be pinned."""
        self.services.tell(message.text)

    def on_words_read(self, message: WordsRead) -> None:
        """Show pinned words of several tokens, in the panel and after that in the cell in full."""
        self.words.take(message)
        self.cell.show_words()

    def on_word_found(self, message: WordFound) -> None:
        """Go to the first row where the word is the likeliest token."""
        self.first_row.go(message)

    def on_word_not_found(self, message: WordNotFound) -> None:
        """Tell the user why a word cannot be looked for."""
        self.services.tell(message.text)

    def on_export_progress(self, message: ExportProgress) -> None:
        """Show the progress of an export in its dialog."""
        self.export.show_progress(message)

    def on_file_taken(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self.export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        self.export.copy_text(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why an export failed."""
        self.export.say_failed(message)
