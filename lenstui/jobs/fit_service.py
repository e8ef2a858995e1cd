"""The service for screens that begins, pauses, keeps and discards a fit, and writes its checkpoint."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.fitting.options import CHECKPOINT_EVERY
from lenstui.jobs.fit import FitJobs
from lenstui.jobs.fit_messages import (
    BUSY,
    UNDER_WAY,
    CheckpointWritten,
    FitChanged,
    FitRequest,
    FitStatus,
    Phase,
    Unfinished,
)
from lenstui.jobs.fit_text import FitTextJobs, error_text
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.thread import JobThread, Stop

if TYPE_CHECKING:
    from lenstui.fitting.driver import FitDriver

_FIT = "fit"  # the kind of all jobs of a fit on the model thread: each stops the former one


class FitService:
    """A service for the only fit that there may be. Its methods return at once, except `rescue`."""

    def __init__(
        self,
        post: Post,
        thread: JobThread,
        model_jobs: ModelJobs,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare the service; nothing is fitted yet.

        Args:
            post: takes the messages about the fit, which are for every screen.
            thread: the thread that does model work.
            model_jobs: the jobs with the open model.
            has_room: returns whether the screen has room for one more side, for a lens that is kept; callable
                on any thread.
        """
        self._post = post
        self._thread = thread
        self._text_thread = JobThread(self._report)
        self._text = FitTextJobs(lambda: model_jobs.opened)
        self._jobs = FitJobs(post, lambda lens, file: model_jobs.put_to_use(lens, file, has_room=has_room()))
        self._lock = threading.Lock()
        self.status = FitStatus()
        model_jobs.prefer(self._jobs.lens, self._jobs.kind)

    @property
    def is_busy(self) -> bool:
        """Whether the open model is taken by a fit, from the reading of its text to the kept lens."""
        return self.status.phase in BUSY

    @property
    def is_under_way(self) -> bool:
        """Whether there is a fit that could be lost."""
        return self.status.phase in UNDER_WAY

    # ── before it ────────────────────────────────────────────────────────────────────────────────────────

    def count(self, request: FitRequest | None, post: Post) -> None:
        """Count the text of a request, and give up an earlier count; with None, give it up only."""
        self._text_thread.submit(
            "count",
            lambda stop: None if request is None else self._text.count(request, post, stop),
            priority=1,
        )

    def find_unfinished(self, post: Post) -> None:
        """Look for fits of the open model that were not finished."""
        self._text_thread.submit("find", lambda stop: self._text.find_unfinished(post, stop))

    def find_elsewhere(self, post: Post) -> None:
        """Look for fits of other processes."""
        self._text_thread.submit("elsewhere", lambda stop: self._text.find_elsewhere(post, stop))

    def begin(self, request: FitRequest) -> None:
        """Read the text of a request, and begin its fit."""
        options = request.options
        self._start(options.preset, options.kind, lambda stop: self._text.prepare(request, stop))

    def resume(self, unfinished: Unfinished, checkpoint_every: float = CHECKPOINT_EVERY) -> None:
        """Go on with a fit that was not finished, from its checkpoint."""
        preset, kind = unfinished.preset, unfinished.kind
        self._start(preset, kind, lambda stop: self._text.resume(unfinished.path, checkpoint_every, stop))

    def _start(self, preset: str, kind: str, prepare: Callable[[Stop], FitDriver | None]) -> None:
        def work(stop: Stop) -> None:
            try:
                driver = prepare(stop)
            except Exception as error:  # whatever a file, a tokenizer or the memory come up with
                if not stop():
                    failed = FitStatus(Phase.NONE, preset, trouble=error_text(error), kind=kind)
                    self._post(FitChanged(failed))
                return
            with self._lock:  # so that a discard comes before the fit is submitted, or after that
                if driver is not None and not stop():
                    self._submit(lambda stop: self._jobs.begin(driver, stop))

        # Busy from now on, not from when the thread gets to the job: nothing else may be begun meanwhile.
        self.status = FitStatus(Phase.READING, preset, kind=kind)
        self._post(FitChanged(self.status))
        self._text_thread.submit("begin", work, priority=1)

    # ── while it runs ────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        """Pause the fit after its current piece of work."""
        self._submit(self._jobs.pause, priority=0)

    def go_on(self) -> None:
        """Go on with the paused fit."""
        self._submit(self._jobs.go_on)

    def keep(self) -> None:
        """End the fit with the lens as it is: measure the lens, save it, and put it to use."""
        self._submit(self._jobs.keep)

    def discard(self) -> None:
        """End the fit, and drop its lens and its checkpoint."""
        if self.status.phase is Phase.READING:
            self._post(FitChanged(replace(self.status, phase=Phase.DISCARDED)))
        with self._lock:
            self._text_thread.submit("begin", lambda stop: None)
            self._submit(self._jobs.discard, priority=0)

    def write_checkpoint(self, post: Post) -> None:
        """Pause the fit and write a checkpoint; `CheckpointWritten` is the answer."""
        self._submit(lambda stop: post(self._jobs.write_checkpoint()), priority=0)

    def rescue(self, limit: float) -> CheckpointWritten | None:
        """Write a checkpoint and wait for the answer; None if that takes longer than `limit` seconds.

        Not to be called on the model thread, which writes the checkpoint.
        """
        answer: queue.Queue[CheckpointWritten] = queue.Queue()
        self._submit(lambda stop: answer.put(self._jobs.write_checkpoint()), priority=0)
        try:
            return answer.get(timeout=limit)
        except queue.Empty:
            return None

    def let_go(self) -> None:
        """Give up the claim on the lens file, since the program is about to end."""
        self._jobs.release()

    def _submit(self, work: Callable[[Stop], object], priority: int = 1) -> None:
        self._thread.submit(_FIT, work, priority=priority)  # type: ignore[arg-type]

    def _report(self, error: BaseException) -> None:
        """Post an exception that a job on the text thread did not handle."""
        self._post(FitChanged(replace(self.status, trouble=error_text(error))))
