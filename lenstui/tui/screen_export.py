"""The export of what one screen shows: the dialog's `Giver`, and what is said of the outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.names import shown_path
from lenstui.jobs.export_things import NOTEBOOK, Thing
from lenstui.support.printable import printable
from lenstui.tui.explore.export import CLIPBOARD_LIMIT, KEEPING, KEEPING_SECONDS

if TYPE_CHECKING:
    from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
    from lenstui.tui.export.dialog import ExportDialog
    from lenstui.tui.services import Services

NameOf = Callable[[Thing], Path]
"""A function that returns the file that a form is written to, unless the user names another one."""

Write = Callable[[int, Thing, Path | None], None]
"""A function that has a job write a form, or post its text where the path is None, under a number."""


class ScreenExport:
    """The part of a screen that exports what is shown, by a job that answers with the number of the order."""

    def __init__(self, services: Services, files: Sequence[Thing], copies: Sequence[Thing]) -> None:
        """Prepare the part; nothing is exported yet.

        Args:
            services: the services of the program.
            files: the forms for files.
            copies: those for the clipboard.
        """
        self._services = services
        self._files, self._copies = files, copies
        self._name_of: NameOf | None = None  # of what the dialog exports
        self._write: Write | None = None
        self._dialog: ExportDialog | None = None  # while the dialog is open
        self._orders = 0

    def ask(
        self,
        name_of: NameOf,
        write: Write,
        *,
        files: Sequence[Thing] | None = None,
        copies: Sequence[Thing] | None = None,
    ) -> None:
        """Open the dialog that asks which form to export, and to which file.

        Args:
            name_of: proposes a file.
            write: writes a form of what is shown now.
            files: the forms for files; None for the usual ones.
            copies: those for the clipboard; None likewise.
        """

        def closed(_: None) -> None:
            self._dialog = None

        self._name_of, self._write = name_of, write
        self._dialog = self._services.choose_export(
            self, files or self._files, copies or self._copies, closed
        )

    def keep(self, write: Write) -> None:
        """Keep what is shown in the lab notebook."""
        self._services.tell(KEEPING, seconds=KEEPING_SECONDS)
        self._orders += 1
        write(self._orders, NOTEBOOK, None)

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Return the file that a form is written to, unless the user names another one."""
        assert self._name_of is not None
        return self._name_of(thing)

    def take(self, thing: Thing, path: Path | None) -> None:
        """Write a form to a file, or copy it if `path` is None; the outcome is shown to the user."""
        assert self._write is not None
        self._orders += 1
        self._write(self._orders, thing, path)

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
