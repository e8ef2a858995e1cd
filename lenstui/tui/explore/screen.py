"""The screen Explore: the prompt, the sides beside each other, and the cell under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.detail import TOP_K
from lenstui.tui.explore.greeting import Greeting
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.prompt_line import PromptLine
from lenstui.tui.explore.state import ExploreState
from lenstui.tui.explore.widgets import Widgets
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.panes import Panes
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar

if TYPE_CHECKING:
    from lenstui.jobs.evaluation_messages import LensesEvaluated
    from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
    from lenstui.jobs.fit_messages import FitStatus, TrainingRead
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
    from lenstui.tui.explore.greeting import GreetingWords
    from lenstui.tui.explore.parts import Parts
    from lenstui.tui.services import Services, ShownPrompt, Target
    from lenstui.tui.session.session import Look


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

    @cached_property
    def parts(self) -> Parts:
        """The parts that do what keys and messages ask for, made when the first of them does."""
        from lenstui.tui.explore.parts import Parts

        return Parts(self.state, self.widgets, self.services, self.prompt_line, self.read_prompt)

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
        self.watch(self.panes, "value_index", self._follow_value, init=False)
        self.watch(self.panes, "lent", self._take_lines, init=False)
        self.widgets.notice.display = False  # until there is a remark
        if self.services.model is not None:
            self.show_model(self.services.model)

    async def complete(self) -> None:
        """Add the widgets that the first paint did without, all of them hidden."""
        await self.panes.complete()
        await self.panel.complete()

    def _follow_value(self) -> None:
        """Have the panel show the value that colours the cells."""
        self.parts.pins.follow_value()

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
        from lenstui.tui.services import ShownPrompt  # the first paint can do without

        vocabulary = state.model.vocabulary
        return ShownPrompt(state.rows, state.columns, vocabulary, state.shown_reading, grid.value, grid.scale)

    def remark(self, *remarks: str) -> None:
        """Add lasting remarks to the line under the top line."""
        self.parts.model_view.remark(*remarks)

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
        return self.parts.appearance.look()

    def put_back(self, look: Look) -> None:
        """Restore the appearance of an earlier session, and its cursor once the prompt is read."""
        self.parts.appearance.put_back(look)

    def keep_cursor(self) -> None:
        """Keep the cursor in its place when another model is opened."""
        self.state.first_cursor = self.panes.cursor

    def read_case(self, prompt: str | Conversation, targets: Sequence[Target]) -> None:
        """Read the prompt of a case, with its target and foil pinned in place of those of the former case."""
        self.parts.pins.pin_targets(targets)
        self.read_prompt(prompt)
        self.panes.focus_grid()

    def read_prompt(self, prompt: str | Conversation) -> None:
        """Put a prompt into the box, and read it as if it were typed there."""
        self.widgets.prompt.show(prompt)
        self.widgets.prompt.post_message(PromptBox.Submitted(prompt))

    def read_scanned(self, position: Position) -> None:
        """Read a position of a scanned text, as the scan read it."""
        self.parts.scanned.show(position)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_do(self, part: str, method: str, *arguments: object) -> None:
        """Call a method of a part of Explore, as a key names them."""
        getattr(getattr(self.parts, part), method)(*arguments)

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
        self.parts.reader.read(message.prompt)
        if self.state.is_awaited and self.state.columns:
            self.panes.focus_grid()

    @on(Grid.CursorMoved)
    def follow_cursor(self) -> None:
        """Show the cell under the cursor in the panel, once the cursor rests."""
        self.parts.follower.follow()

    @on(Pane.Chosen)
    def go_to_side(self, message: Pane.Chosen) -> None:
        """Make a side the active one, whose name was clicked."""
        self.parts.comparison.go_to(message.place)

    @on(CellPanel.PinsChanged)
    def take_pins(self, message: CellPanel.PinsChanged) -> None:
        """Keep the numbers of the pins that stay, and have those of the others read."""
        self.parts.pins.take_change(message)

    @on(PinList.Left)
    def leave_pins(self) -> None:
        """Go from the list of pins to the grid."""
        self.parts.pins.leave_list()

    # ── signals ──────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show the stage of loading a model, or why no model was opened."""
        self.parts.model_view.show_loading(message)

    def show_model(self, model: OpenModel) -> None:
        """Show another model, and read the prompt with that model."""
        self.parts.instant.forget()
        self.parts.model_view.show_model(model)
        self._greet_anew()

    def show_lens(self, model: OpenModel) -> None:
        """Read the prompt through another lens of the open model."""
        self.parts.model_view.show_lens(model)
        self._greet_anew()

    def show_sides(self, model: OpenModel) -> None:
        """Show other sides, and after that also on the screen of a cell, if that is open."""
        self.parts.cell.take_sides()
        self.parts.model_view.show_sides(model)
        self.prompt_line.show_edits()
        self.parts.comparison.take_sides()
        self._greet_anew()

    def show_fit(self, status: FitStatus) -> None:
        """Show the progress of a fit; after a discarded fit, show the lens in use again."""
        from lenstui.jobs.fit_messages import Phase  # the first paint can do without

        self.parts.training.show_status(status)
        if status.phase is Phase.DISCARDED:
            self.parts.reader.show_lens_in_use()
        self.parts.instant.take_fit(status)

    def show_evaluated(self, message: LensesEvaluated) -> None:
        """Show how far the lenses can be trusted now, if that is shown."""
        self.parts.trust.follow()

    def show_instant(self, status: InstantStatus) -> None:
        """Show how far the instant lens is."""
        self.parts.instant.show_status(status)
        self._greet_anew()

    # ── a reading ────────────────────────────────────────────────────────────────────────────────────────

    def on_sublayers_refused(self, message: SublayersRefused) -> None:
        """Tell the user why the prompt is read without sublayers."""
        if message.serial == self.state.serial:
            self.parts.sublayers.refuse(message)

    def on_read_started(self, message: ReadStarted) -> None:
        """Lay out the columns of a reading, mark its turns, and show the options by which it is read.

        Last it is looked up how far the lenses can be trusted.
        """
        if message.serial == self.state.serial:
            self.parts.reader.lay_out(message)
            self.parts.turns.begin(message)
            self.parts.sublayers.begin(message)
            self.parts.options.take_effect()
            self.parts.trust.follow()

    def on_tile_read(self, message: TileRead) -> None:
        """Show the cells of some columns."""
        if message.serial == self.state.serial:
            self.parts.reader.show_tile(message)
            self.parts.sublayers.add(message)

    def on_read_done(self, message: ReadDone) -> None:
        """Show how long the reading took, read an open cell again, and tell the user about new sublayers.

        Then there is time for an instant lens.
        """
        if message.serial == self.state.serial:
            self.parts.reader.finish(message)
        self.parts.cell.read_anew()
        if message.serial == self.state.serial:
            self.parts.sublayers.say()
            self.parts.finals.compare(message)
            self.parts.instant.consider()

    def on_finals_compared(self, message: FinalsCompared) -> None:
        """Show how far the last rows of the sides part."""
        if message.serial == self.state.serial:
            self.parts.finals.take(message)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Show why the prompt was not read; go back to the tail and the options of the readout on screen."""
        if message.serial == self.state.serial:
            self.parts.reader.fail(message)
            self.parts.cell.fail(message.text)
            self.parts.growth.fail()
            self.parts.options.fail()

    def on_training_read(self, message: TrainingRead) -> None:
        """Show cells that were read through the lens in training, and have pinned words read through it."""
        self.parts.training.show_cells(message)
        self.parts.words.read_anew()

    def on_grown(self, message: Grown) -> None:
        """Lay out the columns of a prompt that has grown or shrunk."""
        if message.serial == self.state.serial:
            self.parts.growth.lay_out(message)
            self.parts.turns.mark()

    def on_generation_ended(self, message: GenerationEnded) -> None:
        """Show why no more tokens come, unless the user has stopped them."""
        if message.serial == self.state.serial and self.parts.growth.is_generating:
            self.parts.growth.end(message.reason)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────

    def on_sides_told(self, message: SidesTold) -> None:
        """Notify the user of a remark on the sides."""
        self.services.notify(message.text, title="Compared", severity="warning", seconds=12)

    def on_sides_refused(self, message: SidesRefused) -> None:
        """Tell the user why the sides stay as they are."""
        self.services.tell(message.text)
        self.parts.comparison.take_sides()

    def on_trust_found(self, message: TrustFound) -> None:
        """Show how far the lenses on the sides can be trusted."""
        self.parts.trust.take(message)

    def on_pins_found(self, message: PinsFound) -> None:
        """Pin the tokens of a word."""
        self.parts.pins.pin_found(message)

    def on_pins_not_found(self, message: PinsNotFound) -> None:
        """Tell the user why a word cannot be pinned."""
        self.services.tell(message.text)

    def on_words_read(self, message: WordsRead) -> None:
        """Show pinned words of several tokens, in the panel and after that in the cell in full."""
        self.parts.words.take(message)
        self.parts.cell.show_words()

    def on_word_found(self, message: WordFound) -> None:
        """Go to the first row where the word is the likeliest token."""
        self.parts.first_row.go(message)

    def on_word_not_found(self, message: WordNotFound) -> None:
        """Tell the user why a word cannot be looked for."""
        self.services.tell(message.text)

    def on_export_progress(self, message: ExportProgress) -> None:
        """Show the progress of an export in its dialog."""
        self.parts.export.show_progress(message)

    def on_file_taken(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self.parts.export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        self.parts.export.copy_text(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why an export failed."""
        self.parts.export.say_failed(message)
