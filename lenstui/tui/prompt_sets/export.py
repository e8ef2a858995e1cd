"""What the screen of prompt sets does to take one away: the files of the command line, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from lenstui.export.names import proposed_path, shown_path
from lenstui.jobs.export_things import SET_COPIES, SET_FILES, Thing
from lenstui.jobs.set_messages import SetNotWritten, SetSource, SetWritten
from lenstui.jobs.sets import SetOrder
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.prompt_sets.reading import SetReading, SetRun

NOTHING = "Nothing is read yet: there is nothing to take away."
STILL = "It is still being read: s stops it, and what was read stays."


class SetExport(SetReading):
    """The screen with ways out for what it shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "Y", "copy_command", "Copy command", show=False, id="prompts.copy_command",
            tooltip="Copy the command that reads the same set",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._exports: ExportDialog | None = None  # the dialog, while it is open

    @property
    def _value(self) -> str:
        """Key of the mean that is plotted."""
        return "prob"

    def action_export(self) -> None:
        """Ask what, and where to."""

        def closed(_: None) -> None:
            self._exports = None

        if self._can_take():
            self._exports = ExportDialog(self, SET_FILES, SET_COPIES)
            self.app.push_screen(self._exports, closed)

    def action_copy_command(self) -> None:
        """Put it into the clipboard."""
        if self._can_take():
            self._copy_command()

    def _can_take(self) -> bool:
        if self._run is None or self._run.source is None or not self._run.cases:
            self._tell(NOTHING)
        elif self.is_reading:
            self._tell(STILL)
        else:
            return True
        return False

    def _taken(self) -> tuple[SetRun, SetSource]:
        """What is taken away, once it is known that it can be."""
        assert self._run is not None
        assert self._run.source is not None
        return self._run, self._run.source

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Where a thing might go."""
        run, source = self._taken()
        return proposed_path(source.heading.source.model, f"prompts {Path(run.name).stem}", thing.ending)

    def take(self, thing: Thing, path: Path | None) -> None:
        """Export a thing to a file, or to the clipboard if `path` is None; a message reports the outcome."""
        if path is None:
            self._copy_command()
            return
        run, source = self._taken()
        cases = tuple(case.readout for case in run.cases)
        order = SetOrder(cases, source, dict(run.texts), thing.key, self._value, path)
        self._app.sets.write(order, self.post_message)

    def give_up(self) -> None:
        """A file that is begun is written to its end: that takes no time to speak of."""

    def _copy_command(self) -> None:
        try:
            command = self._taken()[1].command(self._value)
        except LensError as error:
            self._fail(str(error))
            return
        self._finish()
        self.app.copy_to_clipboard(command)
        self.app.clear_notifications()
        self.notify(f"Copied the command: {command}", timeout=6, markup=False)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def on_set_written(self, message: SetWritten) -> None:
        """Say where it is."""
        self._finish()
        self.app.notify(printable(f"Written: {shown_path(message.path)}"), timeout=12, markup=False)

    def on_set_not_written(self, message: SetNotWritten) -> None:
        """Say why; the dialog stays."""
        self._fail(message.text)

    def _finish(self) -> None:
        if self._exports is not None:
            self._exports.finish()

    def _fail(self, text: str) -> None:
        if self._exports is not None:
            self._exports.say(text, wrong=True)
        else:
            self._tell(printable(text))
