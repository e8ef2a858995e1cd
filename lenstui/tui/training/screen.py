"""The Train screen: a form for a fit, then the fit as it runs, which goes on when the screen is left."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from lenstui.jobs.fit_messages import (
    BUSY,
    FitsElsewhere,
    FitStatus,
    Phase,
    TextCounted,
    TextRefused,
    UnfinishedFound,
)
from lenstui.jobs.messages import LensNotSaved, LensSaved, LoadFailed, LoadStage, OpenModel
from lenstui.lens.kinds import TUNED
from lenstui.support.typed_path import current_folder
from lenstui.texts.bundled import text_for
from lenstui.texts.documents import Documents
from lenstui.tui.fitted_cells import FittedCells
from lenstui.tui.lenses.saving import LensSaving
from lenstui.tui.services import Services
from lenstui.tui.session.fit_texts import LastText
from lenstui.tui.shared.file_dialogs import OpenText
from lenstui.tui.shared.fit_words import mean
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.question import Question
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.training.form import TrainForm
from lenstui.tui.training.view import FitView, in_footer

_LOOK_EVERY = 2.0  # seconds, at fits of other processes


class Train(LeanScreen[None], AppScreen[None]):
    """The screen of the form, or of the fit. There is only one such screen, which keeps what it shows."""

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

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._saving = LensSaving(services, self)
        self._phase = Phase.NONE
        self._next_look: Timer | None = None  # at fits of other processes

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield the form and the fit, one of which is shown, between the status bar and the footer."""
        yield StatusBar()
        with ContentSwitcher(initial="form"):
            yield TrainForm()
            yield FitView()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the open model, and subscribe to the signals of what changes."""
        signals = self._services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.show_lens)
        signals.fit_changed.subscribe(self, self.show_fit)
        signals.fitted_cells_read.subscribe(self, self.show_cells)
        self._show_model()
        self.query_one(StatusBar).stage = self._services.loading
        if self._services.training.is_busy:
            self.show_fit(self._services.training.status)

    @property
    def _model(self) -> OpenModel | None:
        return self._services.model

    def on_screen_resume(self) -> None:
        """Look for unfinished fits again, which may have changed in the meantime."""
        if self._switcher.current == "form" and self._model is not None:
            self._find_unfinished()
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
        """The number of columns of the prompt that there is room for; 0 while the form is shown."""
        return self._view.page_columns if self._switcher.current == "fit" else 0

    def _find_unfinished(self) -> None:
        self._services.training.find_unfinished(self._services.post_to(self))
        self._find_elsewhere()

    def _find_elsewhere(self) -> None:
        if self.is_current and self._switcher.current == "form":
            self._services.training.find_elsewhere(self._services.post_to(self))

    def _show_model(self) -> None:
        self.query_one(StatusBar).model = self._model
        self._form.model = self._model
        if self._model is not None:
            self._form.propose(self._services.fit_texts.of(self._model.name))

    # ── the form ─────────────────────────────────────────────────────────────────────────────────────────

    @on(TrainForm.Edited)
    def count(self, message: TrainForm.Edited) -> None:
        """Have the text counted for the request in the form."""
        self._services.training.count(message.request, self._services.post_to(self))

    def on_text_counted(self, message: TextCounted) -> None:
        """Show how much text there is for the request."""
        self._form.show_size(message)

    def on_text_refused(self, message: TextRefused) -> None:
        """Show why the text cannot be used."""
        self._form.show_refusal(message)

    def on_unfinished_found(self, message: UnfinishedFound) -> None:
        """Offer to go on with a fit that was not finished."""
        self._form.offer(message.found)

    def on_fits_elsewhere(self, message: FitsElsewhere) -> None:
        """Show how far the fits of other processes are, and look again while there are any."""
        self._form.show_elsewhere(message.found)
        if self._next_look is not None:
            self._next_look.stop()
        self._next_look = self.set_timer(_LOOK_EVERY, self._find_elsewhere) if message.found else None

    @on(TrainForm.Submitted)
    def begin(self, message: TrainForm.Submitted) -> None:
        """Begin the fit of the form, or notify the user why it cannot begin."""
        if self._may_begin():
            self._keep_text(message.request.documents)
            self._services.training.begin(message.request)

    def _keep_text(self, documents: Documents) -> None:
        """Remember the text of a fit, to be proposed for the same model again."""
        assert self._model is not None
        name = self._model.name
        is_bundled = documents.paths == (str(text_for(name).path),)
        text = LastText() if is_bundled else LastText.of(documents.paths, documents.column)
        self._services.fit_texts.keep(name, text)

    @on(TrainForm.Resumed)
    def resume(self, message: TrainForm.Resumed) -> None:
        """Go on with a fit that was not finished, or notify the user why that is not possible."""
        if self._may_begin():
            self._services.training.resume(message.unfinished)

    def action_browse(self) -> None:
        """Ask for a file with text, and add it to the form."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._form.add_file(path)

        self._services.ask(OpenText(current_folder()), chosen)

    def _may_begin(self) -> bool:
        if self._model is None:
            self._tell("No model is open yet: a lens is fitted to one.")
        elif self._services.training.is_busy:
            self._tell("A lens is in training already.")
        else:
            return True
        return False

    # ── the fit ──────────────────────────────────────────────────────────────────────────────────────────

    def show_fit(self, status: FitStatus) -> None:
        """Show how far the fit is; the form shows again where nothing came of the fit."""
        before = self._phase
        self._phase = status.phase
        if status.phase is not before:
            self.refresh_bindings()
        self.query_one(StatusBar).fit = status if status.phase in BUSY else None
        if status.phase in BUSY and before not in BUSY:
            self._view.start(status.kind)
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
        (self.query_one("RowBars") if part == "fit" else self._form.start_button).focus()
        if part == "form" and self._model is not None:
            self._find_unfinished()

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self) -> None:
        """Lay out the grid for the prompt that Explore shows."""
        prompt = self._services.shown_prompt
        if prompt is not None:
            self._view.lay_out(prompt.rows, prompt.columns, prompt.vocabulary, prompt.reading.mark)

    def show_cells(self, found: FittedCells) -> None:
        """Show some columns of the prompt, as Explore has read them through a lens of the kind of the fit."""
        prompt, cells = self._services.shown_prompt, found.cells
        if prompt is None or found.kind != self._services.training.status.kind:
            return
        # Otherwise Explore is about to show another prompt, or to read this prompt in another way.
        fits = len(cells.entropy) == len(prompt.rows) and found.start + cells.columns <= len(prompt.columns)
        if fits:
            self._lay_out()
            self._view.show_cells(found.start, cells, found.texts, prompt.value, prompt.scale)

    # ── its keys ─────────────────────────────────────────────────────────────────────────────────────────

    def action_pause(self) -> None:
        """Pause the fit, or go on with it."""
        training = self._services.training
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
        """Stop the fit and keep its lens; where the fit is over, save the lens elsewhere."""
        training = self._services.training
        progress = training.status.progress
        match self._phase:
            case Phase.RUNNING | Phase.PAUSED if progress is not None and progress.tokens:
                self._keep(mean(progress.held_out_kl))
            case Phase.KEPT:
                self._save_in_use()
            case Phase.KEEPING:
                self._tell("The lens is being measured and saved already.")
            case _:
                self._tell("Nothing has been learned yet: there is nothing to keep. x stops it.")

    def _keep(self, kl: float | None) -> None:
        """Stop and keep what was learned; ask first if a tuned lens in use is better.

        Args:
            kl: the mean held-out KL of what was learned, when last measured, nats; None of a Jacobian lens,
                which is not judged by KL.
        """
        before = None if self._model is None else self._model.lens_kl

        def answered(yes: bool | None) -> None:
            if yes:
                self._services.training.keep()

        if kl is None or before is None or kl <= before:
            answered(True)
        else:
            text = f"The lens in use has a KL of {before:.2f} nats, this one {kl:.2f} so far. Keep this one?"
            self._services.ask(Question("a worse lens?", text), answered)

    def action_discard(self) -> None:
        """Stop the fit and discard its lens, after a question unless the text is still being read."""

        def answered(yes: bool | None) -> None:
            if yes and self._phase in BUSY:
                self._services.training.discard()

        match self._phase:
            case Phase.READING:
                self._services.training.discard()
            case Phase.RUNNING | Phase.PAUSED | Phase.KEEPING:
                text = "Stop, and discard what was learned?"
                self._services.ask(Question("discard the lens?", text), answered)
            case _:
                self._tell("The lens is saved and in use: o lists the lenses.")

    def action_again(self) -> None:
        """Go back to the form, if the fit is over."""
        if self._phase in BUSY:
            self._tell("This fit is not over: s stops and keeps it, x discards it.")
        else:
            self._show("form")

    def action_back(self) -> None:
        """Go back to Explore; a fit that is over has been seen, and the form takes its place."""
        self.dismiss()
        if self._phase not in BUSY:
            self._show("form")

    def _save_in_use(self) -> None:
        """Save the lens of the fit that is over elsewhere: it is the one of its kind in use."""
        status = self._services.training.status
        if status.kind != TUNED:
            self._saving.ask_for_file(status.preset if status.path is None else status.path.stem, status.kind)
        elif self._model is None or self._model.lens is None:
            self._tell("No lens is in use.")
        else:
            self._saving.ask_for_file(self._model.lens)

    def on_lens_saved(self, message: LensSaved) -> None:
        """Notify the user that the lens was saved, and where."""
        if self.is_current:
            self.notify(str(message.path), title="Saved", timeout=8, markup=False)

    def on_lens_not_saved(self, message: LensNotSaved) -> None:
        """Notify the user why the lens was not saved; another place can be chosen."""
        if self.is_current:
            self.notify(message.text, title="Not saved", severity="error", timeout=15, markup=False)

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show in the status bar how far the loading of a model is."""
        self.query_one(StatusBar).stage = message.text if isinstance(message, LoadStage) else None

    def show_model(self, model: OpenModel) -> None:
        """Show another model in the form, and look up its text and its unfinished fits."""
        self.query_one(StatusBar).stage = None
        self._show_model()
        self._show("form")
        if self.is_current:
            self.on_screen_resume()

    def show_lens(self, model: OpenModel) -> None:
        """Name the lens in the status bar, and offer to start from it in the form if it is an instant one."""
        self.query_one(StatusBar).model = self._form.model = model
