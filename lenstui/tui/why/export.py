"""The export of an explained cell: the files of the command line, the table, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.names import proposed_path, shown_path
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import WHY_COPIES, WHY_FILES, Thing
from lenstui.jobs.messages import Post
from lenstui.jobs.why_messages import WhyOrder, WhySource
from lenstui.support.printable import printable
from lenstui.tui.services import Services

if TYPE_CHECKING:
    from lenstui.tui.export.dialog import ExportDialog


class WhyExport:
    """The part of Why that exports the cell and what the chosen head read; the dialog's `Giver`."""

    def __init__(self, services: Services, post: Post) -> None:
        """Prepare the part; nothing is exported yet.

        Args:
            services: the services of the program.
            post: takes the messages of the jobs to the screen.
        """
        self._services = services
        self._post = post
        self._source: WhySource | None = None  # of the dialog
        self._dialog: ExportDialog | None = None  # while the dialog is open
        self._orders = 0

    def ask(self, source: WhySource, head: str | None) -> None:
        """Open the dialog that asks which form to export, and to which file.

        Args:
            source: what is exported.
            head: the attention head whose attention is shown, or None.
        """

        def closed(_: None) -> None:
            self._dialog = None

        self._source = replace(source, why=replace(source.why, head=head))
        self._dialog = self._services.choose_export(self, WHY_FILES, WHY_COPIES, closed)

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Return the file that a form is written to, unless the user names another one."""
        assert self._source is not None
        why = self._source.why
        return proposed_path(why.source.model, why.prompt.text, thing.ending, "why")

    def take(self, thing: Thing, path: Path | None) -> None:
        """Write a form to a file, or copy the form if `path` is None; the outcome is shown to the user."""
        assert self._source is not None
        self._orders += 1
        self._services.why.write(WhyOrder(self._orders, self._source, thing, path), self._post)

    def give_up(self) -> None:
        """Pass over what becomes of the export, which takes no time to speak of."""
        self._orders += 1

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def say_written(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self._finish(message.number)
        self._services.notify(printable(f"Written: {shown_path(message.path)}"), seconds=12)

    def copy_text(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        if message.number != self._orders:
            return
        self._finish(message.number)
        self._services.copy(message.text)
        self._services.tell(f"Copied: the {message.thing.label}", seconds=6)

    def say_failed(self, message: NotTaken) -> None:
        """Show why an export failed; the dialog stays open."""
        if message.number == self._orders and self._dialog is not None:
            self._dialog.say(message.text, wrong=True)

    def _finish(self, number: int) -> None:
        if number == self._orders and self._dialog is not None:
            self._dialog.finish()
