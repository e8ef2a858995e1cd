"""The jobs that put a model, a lens or a prompt beside the open model, and take it away again.

Torch is imported in here, inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from textual.message import Message

from lenstui.jobs.beside import Beside, give_back_memory
from lenstui.jobs.failures import told
from lenstui.jobs.messages import BesideChanged, LensRefused
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.model_thread import ModelThread, Stop
from lenstui.jobs.read import ReadJobs
from lenstui.opening.opened import Opened
from lenstui.support.errors import LensError
from lenstui.support.request import Start

_KIND = "beside"  # of its jobs: each stops the one before
NO_LENS = "No tuned lens is in use to compare it with: Enter uses one."
IN_USE = "This lens is in use: highlight another one to compare it with."


class CompareService:
    """Puts beside the open model what is asked for, at once for the caller; what becomes of it is posted."""

    def __init__(
        self,
        post: Callable[[Message], object],
        thread: ModelThread,
        work: ModelJobs,
        reading: ReadJobs,
        recent: Callable[[], Sequence[str]],
    ) -> None:
        """Put nothing there yet.

        Args:
            post: takes the messages.
            thread: that does model work.
            work: the open model.
            reading: the prompt that is on screen.
            recent: names of models that were open before, the last one first.
        """
        self._post = post
        self._thread = thread
        self._work = work
        self._reading = reading
        self.recent = recent

    def open(self, start: Start) -> None:
        """Load a model beside the open one."""
        self._thread.submit("load", lambda stop: self._work.open(start, stop, self._put))

    def compare(self, path: Path) -> None:
        """Have the open model read through a second lens, beside the one in use."""
        self._thread.submit(_KIND, lambda stop: self._compare(path, stop))

    def put_prompt(self, text: str) -> None:
        """Have the open model read a second prompt beside the first."""
        self._thread.submit(_KIND, lambda stop: self._put_prompt(text))

    def change_kind(self) -> None:
        """Read both sides through the other kind of lens."""
        self._thread.submit(_KIND, lambda stop: self._change_kind())

    def take_away(self) -> None:
        """Have the open model alone, and the memory of the other one free."""
        self._thread.submit(_KIND, lambda stop: self._have(None))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _put(self, right: Opened) -> None:
        """Have a model beside the open one.

        Raises:
            LensError: if they cannot be compared; it names both.
        """
        work = self._work
        if work.opened is None:
            raise LensError("No model is open: there is nothing to compare it with.")
        beside = Beside.of(work.opened, right)
        if self._reading.request is not None:
            beside.prompts(self._reading.request)
        self._have(beside)

    def _compare(self, path: Path, stop: Stop) -> None:
        opened = self._work.opened
        if opened is None or opened.lens is None:
            self._post(LensRefused(NO_LENS))
            return
        if opened.lens_file is not None and path.resolve() == opened.lens_file.resolve():
            self._post(LensRefused(IN_USE))
            return
        from lenstui.lens.compatibility import fit_warning
        from lenstui.lens.formats.own import open_lens

        with told(lambda text: self._post(LensRefused(text)), f"{path} was not opened"):
            lens = open_lens(path)
            warning = fit_warning(lens, opened.model)
            if not stop():
                self._have(Beside.of(opened, replace(opened, lens=lens, lens_file=path, warning=warning)))

    def _put_prompt(self, text: str) -> None:
        opened, before = self._work.opened, self._work.beside
        if opened is not None:
            kind = before.kind if before is not None and before.text is not None else "tuned"
            self._have(Beside.of_prompts(opened, text, kind))

    def _change_kind(self) -> None:
        if self._work.beside is not None:
            self._have(self._work.beside.with_other_kind())

    def _have(self, beside: Beside | None) -> None:
        before, self._work.beside = self._work.beside, beside
        self._post(BesideChanged(self._work.described))
        if before is None or before.right.model is before.left.model:
            return
        if beside is None or beside.right.model is not before.right.model:
            del before
            give_back_memory()
