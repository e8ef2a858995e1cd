"""The service that makes an instant lens of the open model when there is nothing else to do.

The work is in three parts: the cost is estimated on the model thread, the general sample is read on the
thread of files, and the lens is made on the model thread again, in short steps behind everything else. Torch
is imported inside the jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.jobs.fit_text import error_text
from lenstui.jobs.instant_messages import InstantChanged, InstantPhase, InstantStatus
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import is_instant
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.fitting.fit import FitText
    from lenstui.fitting.instant import Estimate
    from lenstui.lens.tuned import TunedLens
    from lenstui.model.load import Model

IDLE = 2  # the priority of its jobs: behind prompts (0) and fits (1)
_SHOWN_EVERY = 1.0  # seconds between two lenses on screen while rows are solved
_KIND = "instant"


@dataclass(frozen=True, eq=False)
class _Attempt:
    """An attempt to make an instant lens.

    Attributes:
        number: its number; a newer attempt ends it.
        model: the model that was open when it began.
        is_asked: whether the user asked for it, whatever it takes.
    """

    number: int
    model: Model
    is_asked: bool


class InstantService:
    """A service that makes the instant lens of the open model. Its methods return at once."""

    def __init__(
        self,
        post: Post,
        thread: JobThread,
        file_thread: JobThread,
        model_jobs: ModelJobs,
        is_fitting: Callable[[], bool],
    ) -> None:
        """Prepare the service; nothing is made yet.

        Args:
            post: takes the messages about the lens, which are for every screen.
            thread: the thread that does model work.
            file_thread: the thread that looks at files.
            model_jobs: the jobs with the open model.
            is_fitting: returns whether the open model is taken by a fit.
        """
        self._post = post
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs
        self._is_fitting = is_fitting
        self._lock = threading.Lock()  # of the next two
        self._number = 0  # of the newest attempt
        self.status = InstantStatus()

    def begin(self, *, asked: bool = False) -> None:
        """Make an instant lens of the open model, or offer it, if it takes long and nobody asked for it."""
        number = self._begin_anew(InstantStatus(InstantPhase.WORKING, "estimating"))

        def work(stop: Stop) -> Iterator[None] | None:
            opened = self._model_jobs.opened
            if opened is None:
                return None
            attempt = _Attempt(number, opened.model, asked)
            return self._told(attempt, self._estimate(attempt))

        self._thread.submit(_KIND, work, priority=IDLE)

    def forget(self) -> None:
        """End the attempt under way and forget its outcome, since another model is open."""
        self._begin_anew(InstantStatus())

    def _begin_anew(self, status: InstantStatus) -> int:
        """End the attempt under way, post a status, and return the number of the next attempt."""
        with self._lock:
            self._number += 1
            if status != self.status:
                self.status = status
                self._post(InstantChanged(status))
            return self._number

    # ── on the model thread, and on that of files ────────────────────────────────────────────────────────

    def _estimate(self, attempt: _Attempt) -> Iterator[None]:
        """Estimate what the lens takes, and have the text read if it may be made."""
        from lenstui.fitting.instant import estimate

        work = estimate(attempt.model)
        while self._is_wanted(attempt):
            try:
                next(work)
            except StopIteration as end:
                self._decide(attempt, end.value)
                return
            yield
        self._give_up(attempt)

    def _decide(self, attempt: _Attempt, cost: Estimate) -> None:
        if cost.refusal:
            raise LensError(cost.refusal)
        if cost.cost and not attempt.is_asked:
            self._say(attempt, InstantStatus(InstantPhase.OFFERED, reason=cost.cost))
            return
        self._say(attempt, InstantStatus(InstantPhase.WORKING, "reading text", round(cost.seconds)))
        self._file_thread.submit(
            _KIND, lambda stop: self._told(attempt, self._read(attempt, cost)), priority=IDLE
        )

    def _read(self, attempt: _Attempt, cost: Estimate) -> Iterator[None]:
        """Read the general sample, and have the lens made."""
        from lenstui.fitting.fit import read_text

        text = read_text(attempt.model, cost.plan, lambda: not self._is_wanted(attempt))
        self._thread.submit(
            _KIND, lambda stop: self._told(attempt, self._make(attempt, cost, text)), priority=IDLE
        )
        yield

    def _make(self, attempt: _Attempt, cost: Estimate, text: FitText) -> Iterator[None]:
        """Make the lens: put it to use once its first rows are solved, and again once it is measured."""
        from lenstui.fitting.fit import begin, fitted_lens
        from lenstui.fitting.loop import closed_form_steps

        fit = begin(attempt.model, cost.plan, text)
        shown_rows, shown_at = 0, 0.0
        for progress in closed_form_steps(fit):
            if not self._is_wanted(attempt):
                self._give_up(attempt)
                return
            solved, rows = fit.state.solved_rows, attempt.model.num_blocks
            doing = "measuring" if solved == rows else "solving" if solved else progress.stage
            left = max(1, round(cost.seconds - progress.seconds))
            self._say(attempt, InstantStatus(InstantPhase.WORKING, doing, left))
            if solved > shown_rows and (solved == rows or time.monotonic() - shown_at >= _SHOWN_EVERY):
                self._model_jobs.put_to_use(fitted_lens(fit), None)
                shown_rows, shown_at = solved, time.monotonic()
            yield
        lens = fitted_lens(fit)
        self._file_thread.submit(None, lambda stop: self._keep(attempt, lens), priority=IDLE)

    def _keep(self, attempt: _Attempt, lens: TunedLens) -> None:
        """Write the lens to its file, and have it put to use with that, or without where it has none."""
        from lenstui.lens.instant import instant_file, keep_instant_lens

        reason = ""
        try:
            lens = keep_instant_lens(lens, instant_file(attempt.model))
        except LensError as error:  # the folder may be read-only
            reason = str(error)

        def put_to_use(stop: Stop) -> None:
            if self._is_wanted(attempt):
                self._model_jobs.put_to_use(lens, lens.file)
                self._say(attempt, InstantStatus(InstantPhase.MADE, reason=reason))
            else:
                self._give_up(attempt)

        self._thread.submit(None, put_to_use, priority=IDLE)

    # ── what they share ──────────────────────────────────────────────────────────────────────────────────

    def _is_wanted(self, attempt: _Attempt) -> bool:
        """Return whether the lens of an attempt is still lacking: no other lens, model or fit has come."""
        opened = self._model_jobs.opened
        if attempt.number != self._number or opened is None or opened.model is not attempt.model:
            return False
        lens = opened.lens(TUNED)
        is_unfinished = lens is not None and is_instant(lens.fit) and lens.fit.get("held_out_kl") is None
        return (lens is None or is_unfinished) and not self._is_fitting()

    def _told(self, attempt: _Attempt, work: Iterator[None]) -> Iterator[None]:
        """Do some work, and post its failure: nobody waits for it, so that it ends nothing else."""
        try:
            yield from work
        except Exception as error:  # whatever Arrow, a tokenizer, the model or the memory come up with
            if self._is_wanted(attempt):
                self._say(attempt, InstantStatus(InstantPhase.FAILED, reason=error_text(error)))
            else:
                self._give_up(attempt)

    def _give_up(self, attempt: _Attempt) -> None:
        """Post that the lens is not made now: something else has come, after which it may begin again."""
        self._say(attempt, InstantStatus())

    def _say(self, attempt: _Attempt, status: InstantStatus) -> None:
        """Post a status that differs from the last one, unless a newer attempt has begun."""
        with self._lock:
            if attempt.number == self._number and status != self.status:
                self.status = status
                self._post(InstantChanged(status))
