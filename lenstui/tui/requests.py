"""What the screens ask for: jobs for the model thread, and for the one that looks at files."""

from __future__ import annotations

from pathlib import Path

from lenstui.jobs.messages import LensRefused
from lenstui.jobs.read_request import Generation, ReadRequest
from lenstui.tui.app_base import TAKEN, AppBase
from lenstui.tui.explore.cell import CELL_TOKENS
from lenstui.tui.explore.screen import TOP_K


class Requests(AppBase):
    """An app that its screens can ask. What comes of it is posted; whoever asks goes on at once."""

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────

    def request_read(self, serial: int, text: str, page_columns: int) -> None:
        """Read a prompt on the model thread; one that is being read stops."""
        request = self._read_request(serial, text, page_columns)
        self._thread.submit("read", lambda stop: self._reading.read(request, stop))

    def request_growth(self, serial: int, text: str, known: int, how: Generation | None = None) -> None:
        """Read a prompt whose first columns are known, or say more; whatever is being read stops."""
        request = self._read_request(serial, text, 1)
        if how is None:
            self._thread.submit("read", lambda stop: self._reading.grow(request, known))
        else:
            self._thread.submit("read", lambda stop: self._reading.generate(request, known, how, stop))

    def stop_reading(self) -> None:
        """Whatever is being read or said stops."""
        self._thread.submit("read", lambda stop: None)

    def _read_request(self, serial: int, text: str, page_columns: int) -> ReadRequest:
        explore = self.explore
        pins = tuple(pin.id for pin in explore.panel.pins)
        top_k = max(self._start.top_k, TOP_K)
        return ReadRequest(serial, text, page_columns, top_k, explore.reading, pins, explore.tail)

    def request_pins(self, word: str, text: str) -> None:
        """Look up the tokens of a word on the model thread."""
        self._thread.submit("pins", lambda stop: self._look_up.find_pins(word, text, stop))

    def request_word(self, word: str, text: str) -> None:
        """Look up the tokens of a word that is looked for, on the model thread."""
        self._thread.submit("word", lambda stop: self._look_up.find_word(word, text, stop))

    def request_cell(self, serial: int, row: int, column: int) -> None:
        """Rank the tokens of one cell on the model thread; those of the one before are given up."""
        self._thread.submit("cell", lambda stop: self._look_up.read_cell(serial, row, column, CELL_TOKENS))

    def request_in_training(self, serial: int, seen: range) -> None:
        """Read the columns on screen anew, through the lens in training."""
        if self._train is not None and self._train.is_current:
            seen = range(max(0, seen.stop - max(len(seen), self._train.page_columns)), seen.stop)
        self._thread.submit("in training", lambda stop: self._reading.read_in_training(serial, seen, stop))

    # ── lenses ───────────────────────────────────────────────────────────────────────────────────────────

    def request_lens(self, path: Path) -> None:
        """Open a lens for the open model on the model thread."""
        if self.training.is_busy:
            self._hand_on(LensRefused(TAKEN))
            return
        self._thread.submit("lens", lambda stop: self._work.open_lens(path, stop))

    def request_save(self, path: Path, as_folder: bool) -> None:
        """Write the lens in use on the model thread."""
        self._thread.submit(f"save {path}", lambda stop: self._work.save_lens(path, as_folder))

    def request_lens_list(self) -> None:
        """Look at the lens files there are."""
        self.look_at_files("list", self._files.list_lenses)

    def request_translators(self, path: Path | None) -> None:
        """Measure the translators of a lens, or of none; those of the one before are given up."""
        self._file_thread.submit(
            "measure", lambda stop: None if path is None else self._files.measure(path, stop), priority=1
        )
