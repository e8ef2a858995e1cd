"""The state of the screen of error analysis: the records, the query, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.scan_messages import ScanAsked, ScanGrown
from lenstui.scan.asked_query import AskedQuery
from lenstui.scan.columns import BY_ROW
from lenstui.scan.queries import NAMED_QUERIES

if TYPE_CHECKING:
    from lenstui.export.scan import Found
    from lenstui.export.scan_comparison import Compared
    from lenstui.tui.scan.columns import ShownColumn

WINDOW = 1000  # matches that are kept, the first by the sorting


class View(Enum):
    """A view of what a query has found."""

    MATCHES = "matches"
    TOKENS = "by token"
    ROWS = "by row"
    MEANS = "means"
    COMPARISON = "comparison"


@dataclass(eq=False)
class ScanState:
    """The state of the screen of error analysis.

    Attributes:
        folder: the folder of the records; None before one is opened.
        asked: the query.
        view: the view of what was found.
        measure: the column whose means are plotted.
        pair_measure: what is plotted of the comparison of two sides.
        compared: that comparison; None before one was made.
        no_comparison: why there is none, or not yet, a sentence.
        number: the number of the last search.
        is_searching: whether more of that search is to come.
        trouble: why nothing was found in the records, or not yet, a sentence.
        found: what the query has found; None before anything was.
        found_by: the query that found it.
        columns: the columns of the table of matches.
        position: the position of the highlighted match, which stays highlighted where it is found again.
        scan: the scan that was asked for last; None for none.
        scan_number: its number.
        grown: how far it is; None where none is under way.
    """

    folder: Path | None = None
    asked: AskedQuery = field(default=AskedQuery(NAMED_QUERIES[0].name, top=WINDOW))
    view: View = View.MATCHES
    measure: str = BY_ROW[0]
    pair_measure: str = "kl"
    compared: Compared | None = None
    no_comparison: str = ""
    number: int = 0
    is_searching: bool = False
    trouble: str = ""
    found: Found | None = None
    found_by: AskedQuery | None = None
    columns: list[ShownColumn] = field(default_factory=list)
    position: int | None = None
    scan: ScanAsked | None = None
    scan_number: int = 0
    grown: ScanGrown | None = None

    @property
    def has_found(self) -> bool:
        """Whether anything was found in the records on screen."""
        return self.found is not None and self.found.records.folder == self.folder

    @property
    def views(self) -> list[View]:
        """The views that there are of the records on screen."""
        has_second = self.found is not None and self.found.records.manifest.second is not None
        return [view for view in View if has_second or view is not View.COMPARISON]

    @property
    def has_compared(self) -> bool:
        """Whether there is a comparison of the records on screen, or of those before they grew."""
        return self.compared is not None and self.compared.records.folder == self.folder

    @property
    def is_of_scan(self) -> bool:
        """Whether the records on screen are those of the scan that was asked for last."""
        return self.scan is not None and self.scan.folder == self.folder


def sort_of(text: str) -> tuple[str, bool]:
    """Return the column that a sorting names, and whether the greatest comes first."""
    name, _, direction = text.rpartition(" ")
    if direction not in {"asc", "desc"} or not name:
        name, direction = text, "asc"
    return name.strip("`") or "position", direction == "desc"
