"""The searching of records: the query, its sorting, its lens, and the position that goes to Explore."""

from __future__ import annotations

from dataclasses import replace

from lenstui.jobs.messages import Post
from lenstui.jobs.scan_messages import QueryFound, QueryRefused
from lenstui.scan.asked_query import AskedQuery
from lenstui.tui.scan.painter import NOTHING, ScanPainter, ScanWidgets
from lenstui.tui.scan.state import ScanState, View, sort_of
from lenstui.tui.services import Services


class Searching:
    """The part of the screen that has records searched, and shows what is found."""

    def __init__(
        self, state: ScanState, widgets: ScanWidgets, services: Services, painter: ScanPainter, post: Post
    ) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._painter = painter
        self._post = post
        self._has_error = False  # on the line below the condition
        self._is_asked = False  # whether the search was asked for, and is none that a scan makes
        self.position_number = 0  # of the position that was asked for last

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, asked: AskedQuery) -> None:
        """Search for something else."""
        if self._state.folder is None:
            self._services.tell(NOTHING)
            return
        self._state.asked, self._state.position = asked, None
        self.search(is_asked=True)

    def search(self, *, is_asked: bool = False) -> None:
        """Search the records on screen, as they are now.

        Args:
            is_asked: whether the user asks for it, and is told how long it took.
        """
        state, self._is_asked = self._state, is_asked
        if state.folder is not None:
            state.number += 1
            state.is_searching = True
            self._services.scans.query(state.number, state.folder, state.asked, self._post)
            self._painter.draw()

    def sort(self, step: int) -> None:
        """Sort by the next column (1), or by the previous one (-1)."""
        if reason := self.why_no_matches():
            self._services.tell(reason)
            return
        names = [column.name for column in self._state.columns if column.name != "before"]
        name, _ = self._asked_sort
        place = names.index(name) if name in names else 0
        self.ask(replace(self._state.asked, sort=names[(place + step) % len(names)]))

    def reverse(self) -> None:
        """Reverse the order."""
        if reason := self.why_no_matches():
            self._services.tell(reason)
            return
        name, is_descending = self._asked_sort
        self.ask(replace(self._state.asked, sort=name if is_descending else f"{name} desc"))

    @property
    def _asked_sort(self) -> tuple[str, bool]:
        """The sorting that was asked for last, which may not be found yet; else that of what was found."""
        asked, found = self._state.asked.sort, self._state.found
        return sort_of(asked if asked is not None else "" if found is None else found.matches.sort)

    def next_lens(self) -> None:
        """Search by the next lens."""
        if reason := self.why_nothing():
            self._services.tell(reason)
            return
        assert self._state.found is not None
        manifest = self._state.found.records.manifest
        lenses, here = manifest.lenses, self._state.asked.lens(manifest)
        if len(lenses) == 1:
            self._services.tell("The text was scanned through this lens alone.")
            return
        lens = lenses[(lenses.index(here) + 1) % len(lenses)]
        sort = self._state.asked.sort
        if sort is not None and sort.startswith(f"{here}_"):
            sort = f"{lens}_{sort.removeprefix(f'{here}_')}"
        self.ask(replace(self._state.asked, by=lens, sort=sort))

    def why_nothing(self) -> str:
        """Return why there is nothing to see; nothing where there is."""
        return "" if self._state.has_found else NOTHING

    def why_no_matches(self) -> str:
        """Return why there are no matches to sort; nothing where there are."""
        if reason := self.why_nothing():
            return reason
        return "" if self._state.view is View.MATCHES else "Here is no match to choose: v shows the matches."

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def take(self, message: QueryFound) -> None:
        """Show what was found so far."""
        state = self._state
        if message.number != state.number:
            return
        if self._is_asked or message.is_whole or not state.has_found:
            # Of records that are searched again, as a scan goes on, what is on screen stays until all were.
            state.found, state.found_by = message.found, message.asked
            state.view = state.view if state.view in state.views else View.MATCHES
        state.is_searching = not message.is_whole
        self._painter.draw()
        if message.is_whole and self._is_asked and not self._has_error and state.grown is None:
            self._painter.say(f"searched in {message.seconds:.1f} s")

    def refuse(self, message: QueryRefused) -> None:
        """Show why nothing is found; what was found before stays."""
        state = self._state
        if message.number != state.number:
            return
        state.is_searching = False
        if state.is_of_scan and state.grown is not None and not state.has_found:
            return  # the first part is not written yet
        self._has_error = True
        state.trouble = message.text
        self._painter.draw()
        if message.place is None:
            if state.has_found:
                self._painter.say(message.text, wrong=True)
            return
        condition = self._widgets.condition
        condition.focus()
        condition.cursor_position = message.place
        self._painter.say_wrong_at(message.place, message.why, message.text)

    def forget_error(self) -> None:
        """Take an error away."""
        if self._has_error:
            self._has_error = False
            self._painter.say("")

    def follow(self) -> None:
        """Remember and show the match under the cursor."""
        if (record := self._painter.chosen) is not None:
            self._state.position = record["position"]
        self._painter.draw_detail()

    # ── a position ───────────────────────────────────────────────────────────────────────────────────────

    def open_position(self) -> None:
        """Have the tokens of the position under the cursor found, for Explore to read."""
        if reason := self.why_no_matches() or self._why_no_position():
            self._services.tell(reason)
            return
        found, record = self._state.found, self._painter.chosen
        assert found is not None
        assert record is not None
        self.position_number += 1
        self._services.scans.find_position(
            self.position_number, found.records, found.matches.lens, record, self._post
        )

    def _why_no_position(self) -> str:
        return "" if self._painter.chosen is not None else "No position is found: there is none to open."
