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
from lenstui.tui.screen_export import ScreenExport
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
        elif (compared := self._compared) is not None:
            self._ask_comparison(compared)
        else:
            self._ask_matches()

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

    def _ask_matches(self) -> None:
        found, asked = self._state.found, self._state.found_by
        assert found is not None
        assert asked is not None

        def name_of(thing: Thing) -> Path:
            model = str(found.records.manifest.source.get("model"))
            return proposed_path(model, f"scan {found.query or found.title}", thing.ending)

        def write(number: int, thing: Thing, path: Path | None) -> None:
            self._services.scans.write(QueryOrder(number, asked, found, thing, path), self._post)

        self.export.ask(name_of, write)

    def _ask_comparison(self, compared: Compared) -> None:
        def name_of(thing: Thing) -> Path:
            model = str(compared.records.manifest.source.get("model"))
            return proposed_path(model, "scan comparison", thing.ending)

        def write(number: int, thing: Thing, path: Path | None) -> None:
            self._services.scans.write(ComparisonOrder(number, compared, thing, path), self._post)

        self.export.ask(name_of, write, files=COMPARISON_FILES, copies=COMPARISON_COPIES)
