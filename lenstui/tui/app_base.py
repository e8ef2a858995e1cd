"""What every part of the app works on: the model, the threads that do its work, who hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from textual.filter import LineFilter
from textual.message import Message
from textual.notifications import SeverityLevel

from lenstui.jobs.export import ExportService
from lenstui.jobs.files import FileJobs
from lenstui.jobs.fit_messages import FitChanged
from lenstui.jobs.look_up import LookUpJobs
from lenstui.jobs.messages import LoadFailed
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.model_thread import ModelThread, Work
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.sides import SideService
from lenstui.support.errors import named_line
from lenstui.support.printable import printable
from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui import keymap
from lenstui.tui.explore.screen import Explore
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Session
from lenstui.tui.shared.shown import Unprintable
from lenstui.tui.shared.type_ahead import TypeAheadApp
from lenstui.tui.training.service import FitService

if TYPE_CHECKING:
    from lenstui.jobs.sets import SetService
    from lenstui.tui.lenses.screen import Lenses
    from lenstui.tui.training.quit import QuitTraining
    from lenstui.tui.training.screen import Train

TAKEN = "A lens is in training for this model: end that first (t, then s or x)."
FIRST_PROMPT = "The trees are green and the sky is"


class AppBase(TypeAheadApp):
    """An app that does model work. Each thing that it does for its screens may be a class of its own."""

    def __init__(self, start: Start, settings: Settings, history: History, session: Session) -> None:
        """Prepare the threads; nothing is loaded yet.

        Args:
            start: what was asked for.
            settings: the user's.
            history: of the prompts.
            session: what is kept from one session to the next.
        """
        super().__init__()
        self.settings = replace(settings, keys=keymap.by_todays_ids(settings.keys))
        self._start = start
        self._history = history
        self._session = session
        self._work = ModelJobs(self._hand_on)
        self._reading = ReadJobs(self._hand_on, self._work)
        self._look_up = LookUpJobs(self._hand_on, self._work, self._reading)
        self._thread = ModelThread(self._report)
        self._files = FileJobs(self._hand_on, lambda: self._work.opened)
        self._file_thread = ModelThread(self._report)  # files are looked at while the model works
        self.training = FitService(self._hand_on, self._thread, self._work)
        self.exports = ExportService(self._hand_on, self._reading, self._thread, self._file_thread)
        self.sides = SideService(self._hand_on, self._thread, self._work, self._reading, self._session.recent)
        self.last_words: str | None = None
        self._unprintable = Unprintable()
        self._lenses: Lenses | None = None  # while it is open
        self._train: Train | None = None  # once it was open
        self._quit_training: QuitTraining | None = None  # while it is asked
        prompt = FIRST_PROMPT if start.prompt is None else start.prompt
        self._history.begin(prompt)
        self.explore = Explore(prompt, depth=start.top_k, history=self._history)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the line filters, the last of which removes control characters from all that is painted."""
        return [*super().get_line_filters(), self._unprintable]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something in a corner. It may quote what is not ours: nothing in it is markup, nothing raw."""
        said, head = printable(message, kept="\n"), printable(title)
        super().notify(said, title=head, severity=severity, timeout=timeout, markup=False)

    @cached_property
    def sets(self) -> SetService:
        """What reads prompt sets."""
        from lenstui.jobs.sets import SetService  # the first paint can do without

        return SetService(lambda: self._work.opened, self._thread, self._file_thread)

    @property
    def start(self) -> Start:
        """What was asked for last."""
        return self._start

    def look_at_files(self, kind: str, work: Work) -> None:
        """Do a job on files, while the model works; an older one of its kind stops."""
        self._file_thread.submit(kind, work)

    def _hand_on(self, message: Message) -> None:
        """Called on the model thread: give a message to Explore, which may be below other screens."""
        if self.is_running:
            if isinstance(message, FitChanged):
                self.post_message(message)  # before a screen asks what may be done
            prompts = self.explore.prompts
            for screen in (self.explore, self._lenses, self._train, prompts, self._quit_training):
                if screen is not None:
                    screen.post_message(message)

    def _report(self, error: BaseException) -> None:
        """Called on the model thread when a job failed in a way that nobody foresaw."""
        self._hand_on(LoadFailed(f"Unexpected: {named_line(error)}"))

    def on_fit_changed(self, message: FitChanged) -> None:
        """What may be done depends on it."""
        self.training.status = message.status

    def _tell(self, text: str) -> None:
        """Why a key did nothing; only the last such message stays."""
        self.clear_notifications()
        self.notify(text, timeout=6, markup=False)
