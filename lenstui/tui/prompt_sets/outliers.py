"""The outlier scores of a prompt set: the file of their reference, and how well they tell groups apart."""

from __future__ import annotations

from pathlib import Path

from lenstui.export.names import shown_path
from lenstui.jobs.set_messages import ReadCase, ReferenceRead
from lenstui.support.printable import printable
from lenstui.support.typed_path import expanded, folder_near
from lenstui.tui.prompt_sets.menu import why_not_normal
from lenstui.tui.prompt_sets.painter import SetPainter, SetWidgets
from lenstui.tui.prompt_sets.reading import SetReader
from lenstui.tui.prompt_sets.state import SetRun, SetState
from lenstui.tui.services import Services
from lenstui.tui.shared.file_dialogs import OpenPrompts

NO_REFERENCE = "a file of prompts to fit outlier scores on; empty: no scores"


class SetOutliers:
    """The part of the screen that has a prompt set scored against a reference set."""

    def __init__(
        self,
        state: SetState,
        widgets: SetWidgets,
        services: Services,
        painter: SetPainter,
        reader: SetReader,
    ) -> None:
        """Prepare the part; there is no reference yet.

        Args:
            state: the state of the screen.
            widgets: the widgets of the screen.
            services: the services of the program.
            painter: draws the state.
            reader: reads the prompt set anew, with scores.
        """
        self._state = state
        self._widgets = widgets
        self._services = services
        self._painter = painter
        self._reader = reader

    # ── the reference ────────────────────────────────────────────────────────────────────────────────────

    def name_reference(self) -> None:
        """Show the line that names the file of the reference, and put the focus there."""
        self._widgets.reference_line.display = True
        self._widgets.reference.focus()

    def browse(self) -> None:
        """Open a dialog to choose the file of the reference, and read the prompt set with scores."""
        folder = folder_near(expanded(self._widgets.reference.value or self._widgets.file.value))
        self._services.ask(OpenPrompts(folder), self._browsed)

    def _browsed(self, path: Path | None) -> None:
        if path is not None:
            self._widgets.reference_line.display = True
            self._widgets.reference.value = shown_path(path)
            self.take()

    def take(self) -> None:
        """Read the prompt set anew, with scores against the reference that the line names, if any."""
        self._state.reference = self._widgets.reference.value.strip()
        self.leave()
        self._reader.read()

    def leave(self) -> None:
        """Go from the line of the reference to the table; the line shows the reference in use, if any."""
        self._widgets.reference.value = self._state.reference
        self._widgets.table.focus()
        self._widgets.reference_line.display = bool(self._state.reference)

    def count(self, message: ReferenceRead) -> None:
        """Show how much of the reference was read."""
        if (run := self._state.run_of(message.number)) is not None:
            run.reference_read = (message.done, message.total)
            self._painter.draw_soon()

    # ── what the scores say ──────────────────────────────────────────────────────────────────────────────

    def make_normal(self, case: ReadCase | None) -> None:
        """Make the group of a case the normal one, from which AUROC tells the others."""
        if reason := why_not_normal(self._state, case):
            self._services.tell(reason)
            return
        run = self._state.run
        assert run is not None
        assert case is not None
        run.normal = case.readout.case.group
        self.measure(run)
        self._painter.draw()
        if not run.areas:
            self._services.tell(f"There is no other group to tell from {printable(run.normal or '')}.")

    def measure(self, run: SetRun) -> None:
        """Measure how well the scores of the cases that were read tell groups apart."""
        from lenstui.readout.sets.auroc import separations  # the model thread has imported torch

        if run.outliers is not None:
            run.areas = separations((case.readout for case in run.cases), run.normal)
