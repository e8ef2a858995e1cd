"""Train: a form for a fit, then the fit as it runs. The app owns the fit: going back does not end it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.widgets import ContentSwitcher, Footer

from lenstui.jobs.fit_messages import (
    BUSY,
    FitChanged,
    Phase,
    TextCounted,
    TextRefused,
    TrainingRead,
    UnfinishedFound,
)
from lenstui.jobs.messages import (
    LensNotSaved,
    LensOpened,
    LensSaved,
    LoadStage,
    ModelLoaded,
    OpenModel,
    TileRead,
)
from lenstui.lens.kinds import TUNED
from lenstui.readout.cells import Cells
from lenstui.tui.lenses.saving import LensSaving
from lenstui.tui.shared.file_dialogs import OpenText
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.question import Question
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.training.form import TrainForm
from lenstui.tui.training.view import FitView, in_footer


class Train(LeanScreen[None], LensSaving):
    """The form, or the fit. There is one such screen: it remembers what it was shown."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (36, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q", "back", "Explore", key_display="esc q", tooltip="Back to Explore", id="train.back"
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="train.commands",
        ),
    ]  # fmt: skip

    def __init__(self, model: OpenModel | None) -> None:
        super().__init__()
        self._model = model
        self._phase = Phase.NONE

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """The form or the fit, between the status bar and the footer."""
        yield StatusBar()
        with ContentSwitcher(initial="form"):
            yield TrainForm()
            yield FitView()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the open model."""
        self._show_model()

    def on_screen_resume(self) -> None:
        """Look for unfinished fits again, which may have changed in the meantime."""
        if self._switcher.current == "form" and self._model is not None:
            self._app.training.find_unfinished()
            self.query_one(TrainForm).start()

    @property
    def _switcher(self) -> ContentSwitcher:
        return self.query_one(ContentSwitcher)

    @property
    def _form(self) -> TrainForm:
        return self.query_one(TrainForm)

    @property
    def _view(self) -> FitView:
        return self.query_one(FitView)

    @property
    def part(self) -> TrainForm | FitView:
        """The form or the fit, whichever is shown."""
        return self._form if self._switcher.current == "form" else self._view

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The active bindings, labelled by what they do in the current phase of the fit."""
        return {
            key: active._replace(binding=in_footer(active.binding, self._phase))
            for key, active in super().active_bindings.items()
        }

    @property
    def page_columns(self) -> int:
        """How many columns of the prompt are on screen."""
        return self._view.page_columns if self._switcher.current == "fit" else 0

    def _show_model(self) -> None:
        self.query_one(StatusBar).model = self._model
        self._form.model = self._model

    # ── the form ─────────────────────────────────────────────────────────────────────────────────────────

    @on(TrainForm.Edited)
    def count(self, message: TrainForm.Edited) -> None:
        """Have the text counted for the request in the form."""
        self._app.training.count(message.request)

    def on_text_counted(self, message: TextCounted) -> None:
        """Show it."""
        self._form.show_size(message)

    def on_text_refused(self, message: TextRefused) -> None:
        """Show why."""
        self._form.show_refusal(message)

    def on_unfinished_found(self, message: UnfinishedFound) -> None:
        """Offer to go on with it."""
        self._form.offer(message.found)

    @on(TrainForm.Submitted)
    def begin(self, message: TrainForm.Submitted) -> None:
        """Begin, or say why not."""
        if self._may_begin():
            self._app.training.begin(message.request)

    @on(TrainForm.Resumed)
    def resume(self, message: TrainForm.Resumed) -> None:
        """Go on with what was not finished."""
        if self._may_begin():
            unfinished = message.unfinished
            self._app.training.resume(unfinished.path, unfinished.preset)

    def action_browse(self) -> None:
        """Choose a file with text."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._form.add_file(path)

        self.app.push_screen(OpenText(Path.cwd()), chosen)

    def _may_begin(self) -> bool:
        if self._model is None:
            self._tell("No model is open yet: a lens is fitted to one.")
        elif self._app.training.is_busy:
            self._tell("A lens is in training already.")
        else:
            return True
        return False

    # ── the fit ──────────────────────────────────────────────────────────────────────────────────────────

    def on_fit_changed(self, message: FitChanged) -> None:
        """Show it; the form comes back where nothing came of it."""
        status, before = message.status, self._phase
        self._phase = status.phase
        if status.phase is not before:
            self.refresh_bindings()
        self.query_one(StatusBar).fit = status if status.phase in BUSY else None
        if status.phase in BUSY and before not in BUSY:
            self._view.start()
            self._lay_out()
        if status.phase in BUSY or status.phase is Phase.KEPT:
            self._view.show_status(status)
            self._show("fit")
        else:
            self._show("form")
            if status.trouble is not None:
                self._form.complain(status.trouble)

    def _show(self, part: str) -> None:
        if self._switcher.current == part:
            return
        self._switcher.current = part
        (self.query_one("KlBars") if part == "fit" else self._form.start_button).focus()
        if part == "form" and self._model is not None:
            self._app.training.find_unfinished()

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self) -> None:
        """The prompt that Explore shows."""
        explore = self._app.explore
        if self._model is not None and explore.columns:
            mark = explore.shown_reading.mark
            self._view.lay_out(explore.rows, explore.columns, self._model.vocabulary, mark)

    def on_training_read(self, message: TrainingRead) -> None:
        """The prompt as the lens has it now."""
        if message.serial == self._app.explore.serial:
            self._show_cells(message.start, message.cells, message.texts)

    def on_tile_read(self, message: TileRead) -> None:
        """The prompt, as it was read for Explore."""
        explore, tile = self._app.explore, message.tile
        if message.serial != explore.serial or explore.is_compared:
            return
        for place, side in enumerate(explore.sides):
            if side.kind == TUNED and place in tile.sides:
                self._show_cells(tile.start, tile.sides[place], message.texts)

    def _show_cells(self, start: int, cells: Cells, texts: Mapping[int, str]) -> None:
        explore = self._app.explore
        fits = len(cells.entropy) == len(explore.rows) and start + cells.columns <= len(explore.columns)
        if fits:  # else Explore is about to show another prompt, or the same in another way
            self._lay_out()
            grid = explore.grids[0]  # of one value and scale with the others
            self._view.show_cells(start, cells, texts, grid.value, grid.scale)

    # ── its keys ─────────────────────────────────────────────────────────────────────────────────────────

    def action_pause(self) -> None:
        """Pause, or go on."""
        training = self._app.training
        match self._phase:
            case Phase.RUNNING:
                training.pause()
            case Phase.PAUSED:
                training.go_on()
            case Phase.READING:
                self._tell("The text is being read: there is nothing to pause yet.")
            case Phase.KEEPING:
                self._tell("The lens is being measured and saved.")
            case _:
                self._tell("The fit is over: n begins another.")

    def action_keep(self) -> None:
        """Stop and keep it; at the end save it elsewhere."""
        training = self._app.training
        progress = training.status.progress
        match self._phase:
            case Phase.RUNNING | Phase.PAUSED if progress is not None and progress.tokens:
                training.keep()
            case Phase.KEPT:
                self._save_in_use()
            case Phase.KEEPING:
                self._tell("The lens is being measured and saved already.")
            case _:
                self._tell("Nothing has been learned yet: there is nothing to keep. x stops it.")

    def action_discard(self) -> None:
        """Stop and drop it, if that is meant."""

        def answered(yes: bool | None) -> None:
            if yes and self._phase in BUSY:
                self._app.training.discard()

        match self._phase:
            case Phase.READING:
                self._app.training.discard()
            case Phase.RUNNING | Phase.PAUSED | Phase.KEEPING:
                text = "Stop, and discard what was learned?"
                self.app.push_screen(Question("discard the lens?", text), answered)
            case _:
                self._tell("The lens is saved and in use: o lists the lenses.")

    def action_again(self) -> None:
        """Back to the form."""
        if self._phase in BUSY:
            self._tell("This fit is not over: s stops and keeps it, x discards it.")
        else:
            self._show("form")

    def action_back(self) -> None:
        """To Explore; what is over has been seen."""
        self.dismiss()
        if self._phase not in BUSY:
            self._show("form")

    def _save_in_use(self) -> None:
        if self._model is None or self._model.lens is None:
            self._tell("No lens is in use.")
        else:
            self._ask_for_file(self._model.lens)

    def on_lens_saved(self, message: LensSaved) -> None:
        """Say so."""
        if self.is_current:
            self.notify(str(message.path), title="Saved", timeout=8, markup=False)

    def on_lens_not_saved(self, message: LensNotSaved) -> None:
        """Say why; nothing is lost, another place can be chosen."""
        if self.is_current:
            self.notify(message.text, title="Not saved", severity="error", timeout=15, markup=False)

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def on_load_stage(self, message: LoadStage) -> None:
        """Say how far loading is."""
        self.query_one(StatusBar).stage = message.text

    def on_model_loaded(self, message: ModelLoaded) -> None:
        """Another model: its text and what was not finished of it are to be looked up again."""
        self._model = message.model
        self.query_one(StatusBar).stage = None
        self._show_model()
        self._show("form")
        if self.is_current:
            self.on_screen_resume()

    def on_lens_opened(self, message: LensOpened) -> None:
        """Name the lens in the status bar."""
        self._model = message.model
        self.query_one(StatusBar).model = message.model
