"""The program behind the screens: its threads and services, the open model, and the screens themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump
from textual.notifications import SeverityLevel
from textual.screen import Screen

from lenstui.support.errors import named_line
from lenstui.support.typed_path import current_folder
from lenstui.tui.explore.screen import Explore
from lenstui.tui.grid.room import ROOM_FOR_MOST
from lenstui.tui.shared.nothing_yet import NO_MODEL, elsewhere
from lenstui.tui.signals import Signals

if TYPE_CHECKING:
    from lenstui.edits.edit_list import EditList
    from lenstui.jobs.chosen_model import Chosen
    from lenstui.jobs.evaluation import EvaluationService
    from lenstui.jobs.evaluation_messages import EvaluationAsked, LensesEvaluated
    from lenstui.jobs.export import ExportService
    from lenstui.jobs.export_things import Thing
    from lenstui.jobs.fit_messages import FitStatus
    from lenstui.jobs.fit_service import FitService
    from lenstui.jobs.instant import InstantService
    from lenstui.jobs.instant_messages import InstantStatus
    from lenstui.jobs.lenses import LensService
    from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel, Post
    from lenstui.jobs.model import ModelJobs, ModelService
    from lenstui.jobs.prompts import PromptService
    from lenstui.jobs.published import PublishedService
    from lenstui.jobs.published_messages import PublishedStatus
    from lenstui.jobs.read import ReadJobs
    from lenstui.jobs.scan import ScanService
    from lenstui.jobs.scan_messages import Position
    from lenstui.jobs.sets import SetService
    from lenstui.jobs.sides import SideService
    from lenstui.jobs.thread import JobThread
    from lenstui.jobs.trace import TraceService
    from lenstui.jobs.trace_messages import TraceAsked
    from lenstui.jobs.why import WhyService
    from lenstui.jobs.why_messages import CellAsked
    from lenstui.opening.opened import Opened
    from lenstui.readout.reading import Reading
    from lenstui.support.lens_repository import LensRepository
    from lenstui.support.request import Start
    from lenstui.support.turns import Conversation
    from lenstui.tui.evaluation.screen import Evaluation
    from lenstui.tui.export.dialog import ExportDialog, Giver
    from lenstui.tui.keymap import Keys
    from lenstui.tui.prompt_sets.screen import PromptSets
    from lenstui.tui.scan.screen import Scan
    from lenstui.tui.services import ShownPrompt, Target, TraceHome
    from lenstui.tui.session.fit_texts import FitTexts
    from lenstui.tui.session.history import History
    from lenstui.tui.training.screen import Train

# The screens that the first paint can do without, and their modules.
_LATE: Mapping[str, str] = {
    "Keys": "lenstui.tui.help.keys",
    "Menu": "lenstui.tui.help.menu",
    "Palette": "lenstui.tui.help.palette",
    "Lenses": "lenstui.tui.lenses.screen",
    "ModelPicker": "lenstui.tui.models.picker",
    "PromptSets": "lenstui.tui.prompt_sets.screen",
    "Train": "lenstui.tui.training.screen",
    "QuitTraining": "lenstui.tui.training.quit",
    "ExportDialog": "lenstui.tui.export.dialog",
    "Why": "lenstui.tui.why.screen",
    "AskTrace": "lenstui.tui.trace.ask_trace",
    "Trace": "lenstui.tui.trace.screen",
    "AskEvaluation": "lenstui.tui.evaluation.ask_evaluation",
    "Evaluation": "lenstui.tui.evaluation.screen",
    "Scan": "lenstui.tui.scan.screen",
}


def late(screen: str) -> Any:
    """Return the class of a screen, whose module is imported when the screen is first asked for."""
    current_folder()  # the dialogs ask where they are
    return getattr(import_module(_LATE[screen]), screen)


class Answer(Message, bubble=False):
    """A message of a job, on its way to the screen that asked for the job.

    An answer goes through the queue of the app, and so comes after what was posted to the app before.
    """

    def __init__(self, asker: MessagePump, message: Message) -> None:
        self.asker = asker
        self.message = message
        super().__init__()


class Program:
    """The `Services` of the screens: the owner of the threads, the open model, and the screens that stay.

    Attributes:
        keys: the user's keys in place of the default ones, by binding id.
        lenses_by_kl: whether the list of lenses is ordered by their last evaluation, not by date.
    """

    def __init__(
        self,
        app: App[None],
        start: Start,
        history: History,
        fit_texts: FitTexts,
        eval_texts: FitTexts,
        *,
        recent: Callable[[], Sequence[str]],
        first_reading: Callable[[str], Reading],
        prompt: str | Conversation,
        depth: int | None,
        lens_repositories: Sequence[LensRepository] = (),
        lenses_by_kl: bool = False,
    ) -> None:
        """Prepare the threads and Explore; nothing is loaded yet.

        Args:
            app: the app, which gets the messages of the jobs, and shows the screens.
            start: the request that the program was started with.
            history: the prompts that were read before.
            fit_texts: the text that a lens of each model was last fitted on.
            eval_texts: the text that lenses were last evaluated on, by model.
            recent: returns the names of models that were open before, the last one first.
            first_reading: returns the options by which a model that was just opened is read at first.
            prompt: the prompt to begin with.
            depth: how many lines each row of the grids has; None for as many as fill the room.
            lens_repositories: the user's own repositories of lenses on the hub.
            lenses_by_kl: whether the list of lenses is ordered by their last evaluation at first.
        """
        self._app = app
        self.start = start
        self.history = history
        self.fit_texts = fit_texts
        self._eval_texts = eval_texts
        self.lenses_by_kl = lenses_by_kl
        self.recent = recent
        self.first_reading = first_reading
        self.model: OpenModel | None = None
        self.loading: str | None = None
        self.keys: Keys = {}
        self.signals = Signals(app)
        self._lens_repositories = lens_repositories
        self.train: Train | None = None  # None before the screen is first opened
        self.prompt_sets: PromptSets | None = None  # None before the screen is first opened
        self.evaluation: Evaluation | None = None  # None before the first evaluation
        self.scan: Scan | None = None  # None before the screen is first opened
        self.explore = Explore(self, prompt, depth=depth)

    # ── threads and services, each made when it is first asked for: the first paint asks for none ────────

    @cached_property
    def thread(self) -> JobThread:
        """The model thread."""
        from lenstui.jobs.thread import JobThread

        return JobThread(self._report)

    @cached_property
    def _file_thread(self) -> JobThread:
        """The thread that looks at files while the model works."""
        from lenstui.jobs.thread import JobThread

        return JobThread(self._report)

    @cached_property
    def model_jobs(self) -> ModelJobs:
        """The jobs with the open model."""
        from lenstui.jobs.model import ModelJobs

        return ModelJobs(self.post)

    @cached_property
    def _read_jobs(self) -> ReadJobs:
        """The jobs that read prompts."""
        from lenstui.jobs.read import ReadJobs

        return ReadJobs(self.model_jobs)

    @cached_property
    def models(self) -> ModelService:
        """The service that opens models."""
        from lenstui.jobs.model import ModelService

        return ModelService(self.post, self.thread, self._file_thread, self.model_jobs)

    @cached_property
    def prompts(self) -> PromptService:
        """The service that reads the prompt, generates tokens, and looks up words and cells."""
        from lenstui.jobs.look_up import LookUpJobs
        from lenstui.jobs.prompts import PromptService

        return PromptService(self.thread, self._read_jobs, LookUpJobs(self.model_jobs, self._read_jobs))

    @cached_property
    def lenses(self) -> LensService:
        """The service that lists, opens and saves lenses."""
        from lenstui.jobs.lenses import LensService

        return LensService(self.thread, self._file_thread, self.model_jobs, self._lens_repositories)

    @cached_property
    def published(self) -> PublishedService:
        """The service that looks for lenses on the hub, and downloads them."""
        from lenstui.jobs.published import PublishedService

        return PublishedService(self.post, self._report, self.model_jobs, self._lens_repositories)

    @cached_property
    def sides(self) -> SideService:
        """The service that changes what is on the sides."""
        from lenstui.jobs.sides import SideService

        return SideService(self.post, self.thread, self.model_jobs, self._read_jobs)

    @cached_property
    def exports(self) -> ExportService:
        """The service that writes what is on screen."""
        from lenstui.jobs.export import ExportService

        return ExportService(self._read_jobs, self.thread, self._file_thread)

    @cached_property
    def training(self) -> FitService:
        """The service of the fit that may be under way."""
        from lenstui.jobs.fit_service import FitService

        return FitService(
            self.post, self.thread, self.model_jobs, lambda: self._app.size.width >= ROOM_FOR_MOST
        )

    @cached_property
    def instant(self) -> InstantService:
        """The service that makes an instant lens of the open model."""
        from lenstui.jobs.instant import InstantService

        return InstantService(
            self.post, self.thread, self._file_thread, self.model_jobs, lambda: self.training.is_busy
        )

    @cached_property
    def sets(self) -> SetService:
        """The service that reads prompt sets."""
        from lenstui.jobs.sets import SetService

        jobs = self.model_jobs

        def at_hand() -> list[Opened]:
            return [] if jobs.sides is None else [side.opened for side in jobs.sides.sides]

        return SetService(lambda: jobs.opened, at_hand, self.thread, self._file_thread)

    @cached_property
    def why(self) -> WhyService:
        """The service that explains cells."""
        from lenstui.jobs.why import WhyService

        return WhyService(self.thread, self._file_thread, self.model_jobs, self._read_jobs)

    @cached_property
    def traces(self) -> TraceService:
        """The service that makes causal traces."""
        from lenstui.jobs.trace import TraceService

        return TraceService(self.thread, self._file_thread, self.model_jobs)

    @cached_property
    def evaluations(self) -> EvaluationService:
        """The service that evaluates lenses on a text."""
        from lenstui.jobs.evaluation import EvaluationService

        return EvaluationService(self.post, self.thread, self._file_thread, self.model_jobs)

    @cached_property
    def scans(self) -> ScanService:
        """The service that scans texts, and searches their records."""
        from lenstui.jobs.scan import ScanService

        return ScanService(self.thread, self._file_thread, self.model_jobs)

    def open_why(
        self, asked: CellAsked, place: str, edits: EditList, put_edits: Callable[[EditList], None]
    ) -> None:
        """Show the screen that explains a cell."""
        self.ask(late("Why")(asked, self, place=place, edits=edits, put_edits=put_edits))

    def open_trace(
        self, asked: TraceAsked, home: TraceHome, *, columns: Sequence[str], clean_is: str
    ) -> None:
        """Ask what to trace, and then show the screen of the trace."""

        def answered(chosen: TraceAsked | None) -> None:
            if chosen is not None:
                screen = late("Trace")(chosen, self, home, columns=columns, clean_is=clean_is)
                self.ask(screen, home.remember)

        self.ask(late("AskTrace")(asked, columns, clean_is, history=self.history), answered)

    def _is_elsewhere(self) -> bool:
        """Tell the user, and return, that the open model's weights are not here, if so."""
        if reason := elsewhere(self.model):
            self.tell(reason)
        return bool(reason)

    def open_evaluation(self) -> None:
        """Show the evaluation of a model on screen, or ask for one where there is none."""
        if self._is_elsewhere():
            return
        screen = self.evaluation
        if screen is not None and screen.is_about(self.evaluations.offered):
            self._show_evaluation()
        else:
            self.ask_evaluation()

    def ask_evaluation(self, wrong: str = "") -> None:
        """Ask for an evaluation, and then show it."""
        from lenstui.tui.evaluation.ask_evaluation import last_text  # the first paint can do without

        if not (offered := self.evaluations.offered):
            self.tell(NO_MODEL)
            return

        def answered(asked: EvaluationAsked | None) -> None:
            if asked is not None:
                self._eval_texts.keep(asked.model.name, last_text(asked))
                self._show_evaluation().begin(asked)

        before = None if self.evaluation is None else self.evaluation.asked
        before = before if before is not None and before.model in offered else None
        text = self._eval_texts.of(offered[0].name) if before is None else last_text(before)
        self.ask(late("AskEvaluation")(offered, text, before, wrong=wrong), answered)

    def _show_evaluation(self) -> Evaluation:
        """Show the screen of the evaluation, which keeps it, and return that screen."""
        if self.evaluation is None:
            self.evaluation = late("Evaluation")(self)
            self._app.install_screen(self.evaluation, "evaluation")
        if self.evaluation not in self._app.screen_stack:
            self._app.push_screen("evaluation")
        return self.evaluation

    def open_scan(self) -> None:
        """Show the screen of error analysis, which keeps what was found."""
        if self._is_elsewhere():
            return
        if self.scan is None:
            self.scan = late("Scan")(self)
            self._app.install_screen(self.scan, "scan")
        self._app.push_screen("scan")

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────

    def post(self, message: Message) -> None:
        """Post a message to the app if that is running; callable on any thread."""
        if self._app.is_running:
            self._app.post_message(message)

    def post_to(self, asker: MessagePump) -> Post:
        """Return a function that takes messages, on any thread, to a screen; to the app if that is gone."""
        return lambda message: self.post(Answer(asker, message))

    def _report(self, error: BaseException) -> None:
        """Post an exception that a job did not handle."""
        from lenstui.jobs.messages import LoadFailed
        from lenstui.support.crash_log import note_crash

        note_crash(error)
        self.post(LoadFailed(f"Unexpected: {named_line(error)}"))

    def load_model(self) -> None:
        """Open the model that `start` asks for, on as many sides as have room."""
        self.models.load(self.start, has_room=self._app.size.width >= ROOM_FOR_MOST)

    def have_stage(self, stage: LoadStage | LoadFailed) -> None:
        """Store the stage of loading a model, and let all screens know."""
        from lenstui.jobs.messages import LoadStage

        self.loading = stage.text if isinstance(stage, LoadStage) else None
        self.signals.loading.publish(stage)

    def have_model(self, model: OpenModel) -> None:
        """Store which model is open, and let all screens know."""
        self.model, self.loading = model, None
        self.signals.model_opened.publish(model)

    def have_lens(self, model: OpenModel) -> None:
        """Store which lens of the open model is in use, and let all screens know."""
        self.model = model
        self.signals.lens_opened.publish(model)

    def have_sides(self, model: OpenModel) -> None:
        """Store which sides there are, and let all screens know."""
        self.model = model
        self.signals.sides_changed.publish(model)

    def have_fit(self, status: FitStatus) -> None:
        """Store the status of the fit, and let all screens know."""
        self.training.status = status
        self.signals.fit_changed.publish(status)

    def have_evaluations(self, message: LensesEvaluated) -> None:
        """Let all screens know that lenses have another last evaluation."""
        self.signals.lenses_evaluated.publish(message)

    def have_instant(self, status: InstantStatus) -> None:
        """Let all screens know the status of the instant lens."""
        self.signals.instant_changed.publish(status)

    def have_published(self, status: PublishedStatus) -> None:
        """Let all screens know what is known of the lenses on the hub."""
        self.signals.published_changed.publish(status)

    # ── what Explore and the training screen show ────────────────────────────────────────────────────────

    @property
    def shown_prompt(self) -> ShownPrompt | None:
        """The prompt on Explore's screen; None while none is read."""
        return self.explore.shown_prompt

    @property
    def shown_reading(self) -> Reading:
        """The options by which the prompt on Explore's screen is read."""
        return self.explore.state.shown_reading

    @property
    def active_side(self) -> int:
        """The place of Explore's active side."""
        return self.explore.panes.active

    @property
    def training_columns(self) -> int:
        """The number of columns of the prompt that the training screen shows; 0 while it is not in front."""
        return self.train.page_columns if self.train is not None and self.train.is_current else 0

    def read_case(self, prompt: str | Conversation, targets: Sequence[Target]) -> None:
        """Read the prompt of a case in Explore, with its target and its foil pinned, if it has them."""
        self.explore.read_case(prompt, targets)

    def read_scanned(self, position: Position) -> None:
        """Read a position of a scanned text in Explore, as the scan read it."""
        self.explore.read_scanned(position)

    def put_prompt_beside(self, text: str) -> None:
        """Read a prompt on Explore's active side."""
        self.sides.put_prompt(self.active_side, text, self.post_to(self.explore))

    # ── words to the user ────────────────────────────────────────────────────────────────────────────────

    def tell(self, text: str, *, seconds: float = 4) -> None:
        """Notify the user why a key did nothing, or what it found, in place of earlier notifications."""
        self._app.clear_notifications()
        self._app.notify(text, timeout=seconds)

    def notify(
        self, text: str, *, title: str = "", severity: SeverityLevel = "information", seconds: float = 8
    ) -> None:
        """Notify the user in a corner of the screen, below earlier notifications."""
        self._app.notify(text, title=title, severity=severity, timeout=seconds)

    def clear_notifications(self) -> None:
        """Remove all notifications from the screen."""
        self._app.clear_notifications()

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        self._app.copy_to_clipboard(text)

    # ── other screens ────────────────────────────────────────────────────────────────────────────────────

    def ask(self, screen: Screen[Any], answered: Callable[[Any], None] | None = None) -> None:
        """Show a screen on top, and pass its result to `answered` when the user leaves the screen."""
        self._app.push_screen(screen, answered)

    def choose_model(self, chosen: Callable[[Chosen | None], None], *, beside: bool = False) -> None:
        """Ask the user for a model.

        Args:
            chosen: takes the chosen model, or None.
            beside: whether the model is to be put on a side, so that the open model stays open.
        """
        recent, start = list(self.recent()), self.start
        if self.model is None and start.model is not None:
            recent = [start.model, *recent]  # it could not be opened, which may be no fault of its own
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
        """Ask the user for a form to export and a file for it, and return the dialog that asks."""
        dialog: ExportDialog = late("ExportDialog")(giver, files, copies)
        self.ask(dialog, closed)
        return dialog

    def show_menu(self, title: str, nodes: Sequence[DOMNode], why_not: Mapping[str, str]) -> None:
        """Show a menu of what can be done here, and do what the user chooses.

        Args:
            title: the name of the cell or the line of a list that it is about.
            nodes: the screens and widgets whose actions are in the menu.
            why_not: in the order of the menu, by binding id, why it cannot be done now; empty where it can.
        """
        from lenstui.tui.help.commands import entries

        async def chosen(run: Callable[[], Awaitable[object]] | None) -> None:
            if run is not None:
                await run()

        app = self._app
        lines = entries(nodes, why_not, app.get_key_display, self.keys, app.run_action)
        app.push_screen(late("Menu")(title, lines), chosen)

    def open_lenses(self) -> None:
        """Show the list of lenses."""
        self.ask(late("Lenses")(self))

    def open_prompt_sets(self) -> None:
        """Show the screen of prompt sets, which keeps the cases that were read."""
        if self._is_elsewhere():
            return
        if self.prompt_sets is None:
            self.prompt_sets = late("PromptSets")(self)
            self._app.install_screen(self.prompt_sets, "prompts")
        self._app.push_screen("prompts")

    def open_training(self) -> None:
        """Show the training screen, which keeps the typed options."""
        if self._is_elsewhere():
            return
        if self.train is None:
            self.train = late("Train")(self)
            self._app.install_screen(self.train, "train")
        self._app.push_screen("train")
