"""The program behind the screens: its threads and services, what is open, and the screens themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.notifications import SeverityLevel
from textual.screen import Screen

from lenstui.jobs.export import ExportService
from lenstui.jobs.fit_messages import FitStatus
from lenstui.jobs.fit_service import FitService
from lenstui.jobs.lenses import LensService
from lenstui.jobs.look_up import LookUpJobs
from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel, Post
from lenstui.jobs.model import ModelJobs, ModelService
from lenstui.jobs.prompts import PromptService
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.sides import SideService
from lenstui.jobs.thread import JobThread
from lenstui.readout.reading import Reading
from lenstui.support.errors import named_line
from lenstui.support.request import Start
from lenstui.tui.explore.screen import Explore
from lenstui.tui.services import Signals
from lenstui.tui.session.history import History

if TYPE_CHECKING:
    from lenstui.jobs.chosen_model import Chosen
    from lenstui.jobs.export_things import Thing
    from lenstui.jobs.sets import SetService
    from lenstui.tui.export.dialog import ExportDialog, Giver
    from lenstui.tui.prompt_sets.screen import PromptSets
    from lenstui.tui.services import ShownPrompt
    from lenstui.tui.training.screen import Train

# The screens that the first paint can do without, and where they are.
_LATE: Mapping[str, str] = {
    "Keys": "lenstui.tui.help.keys",
    "Palette": "lenstui.tui.help.palette",
    "Lenses": "lenstui.tui.lenses.screen",
    "ModelPicker": "lenstui.tui.models.picker",
    "PromptSets": "lenstui.tui.prompt_sets.screen",
    "Train": "lenstui.tui.training.screen",
    "QuitTraining": "lenstui.tui.training.quit",
    "ExportDialog": "lenstui.tui.export.dialog",
}


def late(screen: str) -> Any:
    """Return the class of a screen, which is imported when it is first asked for."""
    return getattr(import_module(_LATE[screen]), screen)


class Answer(Message, bubble=False):
    """A message of a job, on its way to the screen that asked for the job.

    It goes through the queue of the app, so that it comes after what was posted to the app before it.
    """

    def __init__(self, asker: MessagePump, message: Message) -> None:
        self.asker = asker
        self.message = message
        super().__init__()


class Program:
    """The `Services` of the screens. It owns the threads, what is open, and the screens that stay."""

    def __init__(
        self,
        app: App[None],
        start: Start,
        history: History,
        *,
        recent: Callable[[], Sequence[str]],
        first_reading: Callable[[str], Reading],
        prompt: str,
    ) -> None:
        """Prepare the threads and Explore; nothing is loaded yet.

        Args:
            app: hears the messages of the jobs, and shows the screens.
            start: what was asked for.
            history: of the prompts.
            recent: returns names of models that were open before, the last one first.
            first_reading: returns how a model that was just opened is read at first.
            prompt: to begin with.
        """
        self._app = app
        self.start = start
        self.history = history
        self.recent = recent
        self.first_reading = first_reading
        self.model: OpenModel | None = None
        self.loading: str | None = None
        self.signals = Signals(app)
        self.thread = JobThread(self._report)
        self._file_thread = JobThread(self._report)  # files are looked at while the model works
        self.model_jobs = ModelJobs(self.post)
        read_jobs = ReadJobs(self.model_jobs)
        look_up = LookUpJobs(self.model_jobs, read_jobs)
        self.prompts = PromptService(self.thread, read_jobs, look_up)
        self.models = ModelService(self.post, self.thread, self._file_thread, self.model_jobs)
        self.lenses = LensService(self.thread, self._file_thread, self.model_jobs)
        self.sides = SideService(self.post, self.thread, self.model_jobs, read_jobs)
        self.exports = ExportService(read_jobs, self.thread, self._file_thread)
        self.training = FitService(self.post, self.thread, self.model_jobs)
        self.train: Train | None = None  # once it was open
        self.prompt_sets: PromptSets | None = None  # once it was open
        self.explore = Explore(self, prompt, depth=start.top_k)

    @cached_property
    def sets(self) -> SetService:
        """The service that reads prompt sets."""
        from lenstui.jobs.sets import SetService  # the first paint can do without

        return SetService(lambda: self.model_jobs.opened, self.thread, self._file_thread)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────

    def post(self, message: Message) -> None:
        """Give the app a message, on any thread."""
        if self._app.is_running:
            self._app.post_message(message)

    def post_to(self, asker: MessagePump) -> Post:
        """Return what takes answers, on any thread, to a screen; to the app if that screen is gone."""
        return lambda message: self.post(Answer(asker, message))

    def _report(self, error: BaseException) -> None:
        """Post an exception that a job did not handle."""
        self.post(LoadFailed(f"Unexpected: {named_line(error)}"))

    def have_stage(self, stage: LoadStage | LoadFailed) -> None:
        """Store how far loading is, and let all screens know."""
        self.loading = stage.text if isinstance(stage, LoadStage) else None
        self.signals.loading.publish(stage)

    def have_model(self, model: OpenModel) -> None:
        """Store which model is open, and let all screens know."""
        self.model, self.loading = model, None
        self.signals.model_opened.publish(model)

    def have_lens(self, model: OpenModel) -> None:
        """Store which lens the open model has, and let all screens know."""
        self.model = model
        self.signals.lens_opened.publish(model)

    def have_sides(self, model: OpenModel) -> None:
        """Store which sides there are, and let all screens know."""
        self.model = model
        self.signals.sides_changed.publish(model)

    def have_fit(self, status: FitStatus) -> None:
        """Store how far the fit is, and let all screens know."""
        self.training.status = status
        self.signals.fit_changed.publish(status)

    # ── what Explore and the training screen show ────────────────────────────────────────────────────────

    @property
    def shown_prompt(self) -> ShownPrompt | None:
        """The prompt on Explore's screen; None while none is read."""
        return self.explore.shown_prompt

    @property
    def shown_reading(self) -> Reading:
        """How the prompt on Explore's screen is read."""
        return self.explore.state.shown_reading

    @property
    def active_side(self) -> int:
        """The place of Explore's active side."""
        return self.explore.panes.active

    @property
    def training_columns(self) -> int:
        """How many columns of the prompt the training screen shows; 0 while it is not in front."""
        return self.train.page_columns if self.train is not None and self.train.is_current else 0

    def read_case(self, text: str, target: tuple[int, str] | None) -> None:
        """Read a prompt in Explore, with a token pinned: its id and its display text."""
        self.explore.read_case(text, target)

    def put_prompt_beside(self, text: str) -> None:
        """Read a prompt on Explore's active side."""
        self.sides.put_prompt(self.active_side, text, self.post_to(self.explore))

    # ── words to the user ────────────────────────────────────────────────────────────────────────────────

    def tell(self, text: str, *, seconds: float = 4) -> None:
        """Say why a key did nothing, or what it found, in place of earlier notifications."""
        self._app.clear_notifications()
        self._app.notify(text, timeout=seconds)

    def notify(
        self, text: str, *, title: str = "", severity: SeverityLevel = "information", seconds: float = 8
    ) -> None:
        """Say something in a corner, below earlier notifications."""
        self._app.notify(text, title=title, severity=severity, timeout=seconds)

    def clear_notifications(self) -> None:
        """Take all notifications away."""
        self._app.clear_notifications()

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        self._app.copy_to_clipboard(text)

    # ── other screens ────────────────────────────────────────────────────────────────────────────────────

    def ask(self, screen: Screen[Any], answered: Callable[[Any], None] | None = None) -> None:
        """Show a screen on top, and hand over what it returns when it is left."""
        self._app.push_screen(screen, answered)

    def choose_model(self, chosen: Callable[[Chosen | None], None], *, beside: bool = False) -> None:
        """Ask for a model.

        Args:
            chosen: takes it, or None.
            beside: it is to be put on a side, and the open one stays open.
        """
        recent, start = list(self.recent()), self.start
        if self.model is None and start.model is not None:
            recent = [start.model, *recent]  # it was not opened, which may be no fault of its own
        picker = late("ModelPicker")(
            self.models, self.model, recent, device=start.device, dtype=start.dtype, beside=beside
        )
        self.ask(picker, chosen)

    def choose_export(
        self,
        giver: Giver,
        files: Sequence[Thing],
        copies: Sequence[Thing],
        closed: Callable[[Any], None],
    ) -> ExportDialog:
        """Ask for a form to export, and a place for it; return the dialog."""
        dialog: ExportDialog = late("ExportDialog")(giver, files, copies)
        self.ask(dialog, closed)
        return dialog

    def open_lenses(self) -> None:
        """Show the list of lenses."""
        self.ask(late("Lenses")(self))

    def open_prompt_sets(self) -> None:
        """Show the screen of prompt sets; it is kept, with what was read."""
        if self.prompt_sets is None:
            self.prompt_sets = late("PromptSets")(self)
            self._app.install_screen(self.prompt_sets, "prompts")
        self._app.push_screen("prompts")

    def open_training(self) -> None:
        """Show the training screen; it is kept, with what was typed."""
        if self.train is None:
            self.train = late("Train")(self)
            self._app.install_screen(self.train, "train")
        self._app.push_screen("train")
