"""The export of a causal trace: the files of the command line, and the command that makes it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.names import proposed_path, shown_path
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import TRACE_COPIES, TRACE_FILES, Thing
from lenstui.jobs.messages import Post
from lenstui.jobs.trace import TraceOrder
from lenstui.jobs.trace_messages import FoundTrace
from lenstui.support.printable import printable
from lenstui.tui.explore.export import CLIPBOARD_LIMIT
from lenstui.tui.services import Services

if TYPE_CHECKING:
    from lenstui.tui.export.dialog import ExportDialog


class TraceExport:
    """The part of the screen that exports a trace; the dialog's `Giver`."""

    def __init__(self, services: Services, post: Post) -> None:
        """Prepare the part; nothing is exported yet.

        Args:
            services: the services of the program.
            post: takes the messages of the jobs to the screen.
        """
        self._services = services
        self._post = post
        self._found: FoundTrace | None = None
        self._dialog: ExportDialog | None = None  # while the dialog is open
        self._orders = 0

    def ask(self, found: FoundTrace) -> None:
        """Open the dialog that asks which form of a trace to export, and to which file."""

        def closed(_: None) -> None:
            self._dialog = None

        self._found = found
        self._dialog = self._services.choose_export(self, TRACE_FILES, TRACE_COPIES, closed)

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Return the file that a form is written to, unless the user names another one."""
        assert self._found is not None
        traced = self._found.traced
        return proposed_path(traced.source.model, f"trace {traced.clean.text}", thing.ending)

    def take(self, thing: Thing, path: Path | None) -> None:
        """Write a form to a file, or copy it if `path` is None; the outcome is shown to the user."""
        assert self._found is not None
        self._orders += 1
        self._services.traces.write(TraceOrder(self._orders, self._found, thing, path), self._post)

    def give_up(self) -> None:
        """Take nothing more of the export under way; a file that is begun is written to its end."""
        self._orders += 1

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def say_written(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self._finish(message.number)
        self._services.notify(printable(f"Written: {shown_path(message.path)}"), seconds=12)

    def copy(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard, unless many terminals would drop it."""
        if message.number != self._orders:
            return
        size = len(message.text.encode())
        if size > CLIPBOARD_LIMIT:
            self._fail(f"{size / 1000:.0f} kB are more than many terminals copy: f puts them into a file.")
            return
        self._finish(message.number)
        self._services.copy(message.text)
        first, *rest = message.text.rstrip("\n").split("\n")
        count = f" {len(rest) + 1} lines" if rest else ""
        self._services.tell(printable(f"Copied{count}: {first}"), seconds=6)

    def say_failed(self, message: NotTaken) -> None:
        """Show why nothing was written; the dialog stays open."""
        if message.number == self._orders:
            self._fail(message.text)

    def _finish(self, number: int) -> None:
        if number == self._orders and self._dialog is not None:
            self._dialog.finish()

    def _fail(self, text: str) -> None:
        if self._dialog is not None:
            self._dialog.say(text, wrong=True)
        else:
            self._services.tell(printable(text))
