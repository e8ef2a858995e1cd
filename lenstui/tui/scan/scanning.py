"""The scans of the screen: which records are shown, a scan under way, its end."""

from __future__ import annotations

from pathlib import Path

from lenstui.jobs.messages import Post
from lenstui.jobs.scan_messages import ScanAsked, ScanEnd, ScanEnded, ScanGrown, ScansListed
from lenstui.support import paths
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.texts.block_size import BlockSize
from lenstui.texts.documents import Documents
from lenstui.tui.scan.ask_scan import AskScan
from lenstui.tui.scan.open_scan import OpenScan
from lenstui.tui.scan.painter import ScanPainter
from lenstui.tui.scan.searching import Searching
from lenstui.tui.scan.state import ScanState
from lenstui.tui.services import Services
from lenstui.tui.shared.fit_words import TAKEN
from lenstui.tui.shared.nothing_yet import NO_MODEL

UNDER_WAY = "A scan is under way: s stops it, and what was read stays."


class Scanning:
    """The part of the screen that opens scans, and has texts scanned."""

    def __init__(
        self, state: ScanState, services: Services, painter: ScanPainter, searching: Searching, post: Post
    ) -> None:
        self._state = state
        self._services = services
        self._painter = painter
        self._searching = searching
        self._post = post
        self._only_if_any = False  # whether no scans are asked for where there are none

    # ── records that are there ───────────────────────────────────────────────────────────────────────────

    def list_scans(self, *, only_if_any: bool = False) -> None:
        """Have the scans listed, and then ask which one to look at.

        Args:
            only_if_any: whether nothing is asked where there are none.
        """
        self._only_if_any = only_if_any
        self._services.scans.list_scans(paths.scans(), self._post)

    def choose(self, message: ScansListed) -> None:
        """Ask which scan to look at."""
        if message.scans or not self._only_if_any:
            self._services.ask(OpenScan(message.scans, paths.scans()), self._open)

    def _open(self, folder: Path | None) -> None:
        if folder is None:
            return
        state = self._state
        if folder != state.folder:
            state.folder, state.found, state.position = folder, None, None
            state.trouble = "Searching …"
        self._searching.forget_error()
        self._painter.say("")
        self._searching.search(is_asked=True)

    # ── a scan ───────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, wrong: str = "") -> None:
        """Ask which text to scan.

        Args:
            wrong: what was wrong with the last answer; empty for nothing.
        """
        if reason := self._why_no_scan():
            self._services.tell(reason)
            return
        model = self._services.model
        assert model is not None
        asked = self._state.scan if wrong else None
        self._services.ask(AskScan(model, paths.scans(), asked=asked, wrong=wrong), self._begin)

    def go_on(self) -> None:
        """Go on with the scan whose records are shown."""
        if reason := self._searching.why_nothing() or self._why_no_scan():
            self._services.tell(reason)
            return
        assert self._state.found is not None
        manifest, folder = self._state.found.records.manifest, self._state.found.records.folder
        settings = manifest.settings
        if manifest.finished:
            self._services.tell("The whole text is scanned: n scans another one.")
            return
        try:
            documents = Documents(
                manifest.data, settings["text_column"], settings["min_chars"], settings["max_samples"]
            )
            size = BlockSize(int(settings["max_tokens"]), int(settings["seq_len"]))
        except (KeyError, TypeError, ValueError):
            self._services.tell("The records do not say how the text was read: n scans it anew.")
            return
        self._begin(ScanAsked(folder, documents, size))

    def _why_no_scan(self) -> str:
        if self._services.model is None:
            return NO_MODEL
        if self._services.training.is_busy:
            return TAKEN
        return UNDER_WAY if self._state.grown is not None else ""

    def _begin(self, asked: ScanAsked | None) -> None:
        if asked is None:
            return
        state = self._state
        state.scan, state.scan_number = asked, state.scan_number + 1
        state.grown = ScanGrown(state.scan_number, 0, asked.size.max_tokens, 0, None)
        if asked.folder != state.folder:
            state.folder, state.found, state.position = asked.folder, None, None
            state.trouble = "The first records come within some seconds."
        self._painter.draw()
        self._painter.say_scan()
        self._services.scans.scan(state.scan_number, asked, self._post)

    def grow(self, message: ScanGrown) -> None:
        """Show how far the scan is, and search its records anew where there are more."""
        state = self._state
        if message.number != state.scan_number or state.grown is None:
            return
        has_more = message.records > state.grown.records
        state.grown = message
        self._painter.say_scan()
        if has_more and state.is_of_scan and not state.is_searching:
            self._searching.search()

    def end(self, message: ScanEnded, *, is_seen: bool) -> None:
        """Show how the scan ended; one that was refused goes back to the dialog.

        Args:
            message: says how it ended.
            is_seen: whether the screen is in front.
        """
        state = self._state
        if message.number != state.scan_number:
            return
        state.grown = None
        kept = f"{message.records:,} records"
        if message.end is ScanEnd.DONE:
            said = f"scanned: {kept} in {duration(message.seconds)}"
            said += f" · {message.text}" * bool(message.text)
        elif message.end is ScanEnd.STOPPED:
            said = f"{message.text} Stopped: {kept} are kept, g goes on.".strip()
        else:
            said = message.text + f" {kept} are kept, g goes on." * bool(message.records)
        if message.records and state.is_of_scan:
            self._searching.search()
        elif not message.records and state.is_of_scan:
            state.folder = None
        self._painter.draw()
        self._painter.say(printable(said), wrong=message.end is ScanEnd.FAILED)
        if message.end is ScanEnd.FAILED and not message.records and is_seen:
            self.ask(wrong=message.text)
        elif not is_seen:
            self._services.notify(said, title="Scan", seconds=10)

    def stop(self) -> None:
        """Stop the scan under way; the blocks that are whole are kept."""
        if self._state.grown is None:
            self._services.tell("Nothing is being scanned: there is nothing to stop.")
        else:
            self._services.scans.stop()
