"""The comparison of the two sides of a scan: made when it is looked at, once for each state of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.jobs.messages import Post
from lenstui.jobs.scan_messages import ComparisonFound, ComparisonRefused
from lenstui.tui.scan.painter import ScanPainter
from lenstui.tui.scan.state import ScanState, View
from lenstui.tui.services import Services

if TYPE_CHECKING:
    from lenstui.scan.matches import ScanRecords


class Comparing:
    """The part of the screen that has the two sides of the records compared."""

    def __init__(self, state: ScanState, services: Services, painter: ScanPainter, post: Post) -> None:
        self._state = state
        self._services = services
        self._painter = painter
        self._post = post
        self._number = 0
        self._records: ScanRecords | None = None  # that were compared last

    def compare(self) -> None:
        """Have the records compared if that is shown, unless they were as they are now."""
        state = self._state
        if state.view is not View.COMPARISON or state.found is None or not state.has_found:
            return
        if (records := state.found.records) != self._records:
            self._records = records
            self._number += 1
            state.no_comparison = "Comparing …"
            self._services.scans.compare(self._number, records, self._post)

    def take(self, message: ComparisonFound) -> None:
        """Show how far the two sides are apart."""
        if message.number == self._number:
            self._state.compared = message.compared
            self._painter.draw()

    def refuse(self, message: ComparisonRefused) -> None:
        """Show why they cannot be compared; the next look tries again."""
        if message.number == self._number:
            self._records = self._state.compared = None
            self._state.no_comparison = message.text
            self._painter.draw()
