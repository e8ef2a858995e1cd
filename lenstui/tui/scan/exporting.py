"""The export of what error analysis shows: what a query has found, or the comparison of two sides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.command import comparison_command, scan_command
from lenstui.export.names import proposed_path
from lenstui.jobs.export_things import COMPARISON_COPIES, COMPARISON_FILES, SCAN_COPIES, SCAN_FILES, Thing
from lenstui.jobs.messages import Post
from lenstui.jobs.scan_messages import ComparisonOrder, QueryOrder
from lenstui.support.printable import printable
from lenstui.tui.scan.searching import Searching
from lenstui.tui.scan.state import ScanState, View
from lenstui.tui.screen_export import ScreenExport, Write
from lenstui.tui.services import Services

if TYPE_CHECKING:
    from lenstui.export.scan_comparison import Compared


class Exporting:
    """The part of the screen that writes and copies what is shown, and the command for it."""

    def __init__(self, state: ScanState, services: Services, searching: Searching, post: Post) -> None:
        self._state = state
        self._services = services
        self._searching = searching
        self._post = post
        self.export = ScreenExport(services, SCAN_FILES, SCAN_COPIES)

    def ask(self) -> None:
        """Open the dialog that exports what is shown."""
        if reason := self._why_nothing():
            self._services.tell(reason)
            return
        compared, write = self._compared, self._writing()
        if compared is None:
            self.export.ask(self._name_of_matches, write)
        else:
            self.export.ask(self._name_of_comparison, write, files=COMPARISON_FILES, copies=COMPARISON_COPIES)

    def keep(self) -> None:
        """Keep what is shown in the lab notebook."""
        if reason := self._why_nothing():
            self._services.tell(reason)
        else:
            self.export.keep(self._writing())

    def copy_command(self) -> None:
        """Copy the command that finds the same."""
        if reason := self._why_nothing():
            self._services.tell(reason)
            return
        found, asked, compared = self._state.found, self._state.found_by, self._compared
        assert found is not None
        assert asked is not None
        command = scan_command(found, asked) if compared is None else comparison_command(found.records.folder)
        self._services.copy(command)
        self._services.tell(printable(f"Copied: {command}"), seconds=6)

    @property
    def _compared(self) -> Compared | None:
        """The comparison, if that is shown."""
        return self._state.compared if self._state.view is View.COMPARISON else None

    def _why_nothing(self) -> str:
        """Return why there is nothing to export; nothing where there is."""
        state = self._state
        if reason := self._searching.why_nothing():
            return reason
        return state.no_comparison if state.view is View.COMPARISON and not state.has_compared else ""

    def _writing(self) -> Write:
        """Return what writes that which is shown now."""
        found, asked, compared = self._state.found, self._state.found_by, self._compared
        assert found is not None
        assert asked is not None

        def write(number: int, thing: Thing, path: Path | None) -> None:
            if compared is None:
                self._services.scans.write(QueryOrder(number, asked, found, thing, path), self._post)
            else:
                self._services.scans.write(ComparisonOrder(number, compared, thing, path), self._post)

        return write

    def _name_of_matches(self, thing: Thing) -> Path:
        found = self._state.found
        assert found is not None
        model = str(found.records.manifest.source.get("model"))
        return proposed_path(model, f"scan {found.query or found.title}", thing.ending)

    def _name_of_comparison(self, thing: Thing) -> Path:
        compared = self._compared
        assert compared is not None
        model = str(compared.records.manifest.source.get("model"))
        return proposed_path(model, "scan comparison", thing.ending)
