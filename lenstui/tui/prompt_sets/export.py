"""The export of a prompt set: the files of the command line, and the command that repeats the reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.names import proposed_path, shown_path
from lenstui.jobs.export_things import SET_COPIES, SET_FILES, Thing
from lenstui.jobs.messages import Post
from lenstui.jobs.set_messages import SetNotWritten, SetSource, SetWritten
from lenstui.jobs.sets import SetOrder
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.tui.explore.export import KEEPING, KEEPING_SECONDS
from lenstui.tui.prompt_sets.state import SetRun, SetState
from lenstui.tui.services import Services
from lenstui.tui.shared.nothing_yet import NO_PROMPTS

if TYPE_CHECKING:
    from lenstui.tui.export.dialog import ExportDialog

STILL = "It is still being read: s stops it, and what was read stays."


class SetExport:
    """The part of the screen that exports a prompt set, or copies its command; the dialog's `Giver`."""

    def __init__(self, state: SetState, services: Services, post: Post) -> None:
        """Prepare the part; nothing is exported yet.

        Args:
            state: the state of the screen.
            services: the services of the program.
            post: takes the messages of the jobs to the screen.
        """
        self._state = state
        self._services = services
        self._post = post
        self._dialog: ExportDialog | None = None  # while the dialog is open

    def ask(self) -> None:
        """Open the dialog that asks which form to export, and to which file."""

        def closed(_: None) -> None:
            self._dialog = None

        if reason := self.why_not():
            self._services.tell(reason)
        else:
            self._dialog = self._services.choose_export(self, SET_FILES, SET_COPIES, closed)

    def copy_command(self) -> None:
        """Copy the command that repeats the reading of the prompt set."""
        if reason := self.why_not():
            self._services.tell(reason)
        else:
            self._copy_command()

    def keep(self) -> None:
        """Keep the prompt set in the lab notebook."""
        if reason := self.why_not():
            self._services.tell(reason)
        else:
            self._services.tell(KEEPING, seconds=KEEPING_SECONDS)
            self._order("md", None)

    def why_not(self) -> str:
        """Return why there is nothing to export; nothing where there is."""
        run = self._state.run
        if run is None or run.source is None or not run.cases:
            return NO_PROMPTS
        return STILL if self._state.is_reading else ""

    def _taken(self) -> tuple[SetRun, SetSource]:
        """Return the prompt set to export and its source; to be called only where `why_not` says nothing."""
        run = self._state.run
        assert run is not None
        assert run.source is not None
        return run, run.source if run.normal is None else run.source.with_normal(run.normal)

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Return the file that a form is written to, unless the user names another one."""
        run, source = self._taken()
        return proposed_path(source.heading.source.model, f"prompts {Path(run.name).stem}", thing.ending)

    def take(self, thing: Thing, path: Path | None) -> None:
        """Write a form to a file, or copy the command if `path` is None; the outcome is shown to the user."""
        if path is None:
            self._copy_command()
            return
        self._order(thing.key, path)

    def give_up(self) -> None:
        """Do nothing, since a file that is begun is written to its end in no time to speak of."""

    def _order(self, form: str, path: Path | None) -> None:
        run, source = self._taken()
        cases = tuple(case.readout for case in run.cases)
        order = SetOrder(cases, source, dict(run.texts), form, self._state.mean.key, path)
        self._services.sets.write(order, self._post)

    def _copy_command(self) -> None:
        try:
            command = self._taken()[1].command(self._state.mean.key)
        except LensError as error:
            self._fail(str(error))
            return
        self._finish()
        self._services.copy(command)
        self._services.tell(f"Copied the command: {command}", seconds=6)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def say_written(self, message: SetWritten) -> None:
        """Notify the user which file was written."""
        self._finish()
        self._services.notify(printable(f"Written: {shown_path(message.path)}"), seconds=12)

    def say_failed(self, message: SetNotWritten) -> None:
        """Show why nothing was written; the dialog stays open."""
        self._fail(message.text)

    def _finish(self) -> None:
        if self._dialog is not None:
            self._dialog.finish()

    def _fail(self, text: str) -> None:
        if self._dialog is not None:
            self._dialog.say(text, wrong=True)
        else:
            self._services.tell(printable(text))
