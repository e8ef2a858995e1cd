"""The jobs of a fit on the model thread: go on, pause, keep, discard, write a checkpoint.

Each job stops the former one, which gives way after every piece of work. Torch is imported inside the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.fit_messages import CheckpointWritten, FitChanged, FitStatus, Phase
from lenstui.jobs.fit_share import share_done
from lenstui.jobs.fit_text import error_text
from lenstui.jobs.messages import Post
from lenstui.jobs.thread import POST_EVERY, Stop

if TYPE_CHECKING:
    from lenstui.fitting.driver import FitDriver, KeptLens
    from lenstui.fitting.progress import FitProgress
    from lenstui.lens.formats.own import FittedLens

PutToUse = Callable[["FittedLens", Path | None], None]
"""A function that reads the open model through a lens, from that lens and its file if it has one."""


@dataclass(eq=False)
class _Running:
    """The fit under way.

    Attributes:
        driver: the driver of the fit.
        steps: the rest of its steps.
        status: its newest status.
        posted: the time of the last message about the fit, in seconds of the monotonic clock.
    """

    driver: FitDriver
    steps: Iterator[FitProgress]
    status: FitStatus
    posted: float


class FitJobs:
    """The fit under way, and the jobs that change it. Used by the model thread alone."""

    def __init__(self, post: Post, put_to_use: PutToUse) -> None:
        """Prepare the jobs; nothing is fitted yet.

        Args:
            post: takes the messages about the fit, which are for every screen.
            put_to_use: reads the open model through a lens that was kept.
        """
        self._post = post
        self._put_to_use = put_to_use
        self._running: _Running | None = None

    def lens(self) -> FittedLens | None:
        """Return a copy of the lens as the fit has it now; None while there is none."""
        from lenstui.fitting.kinds import current_lens

        return None if self._running is None else current_lens(self._running.driver.fit)

    def kind(self) -> str | None:
        """Return the kind of the lens that is being fitted; None while there is none."""
        from lenstui.fitting.kinds import has_lens

        fit = None if self._running is None else self._running.driver.fit
        return fit.options.kind if fit is not None and has_lens(fit) else None

    # ── the jobs ─────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, driver: FitDriver, stop: Stop) -> Iterator[None]:
        """Begin a fit with its driver, and do its steps."""
        options = driver.fit.options
        status = FitStatus(
            Phase.RUNNING, options.preset, driver.lens_file, trouble=driver.remark, kind=options.kind
        )
        self._running = _Running(driver, driver.steps(), status, time.monotonic())
        self._say()
        yield from self.go_on(stop)

    def go_on(self, stop: Stop) -> Iterator[None]:
        """Do the rest of the fit, with a checkpoint now and then, and keep the lens at the end."""
        running = self._running
        if running is None:
            return
        if running.status.phase is not Phase.RUNNING:
            self._say(Phase.RUNNING, trouble=None)
        try:
            for progress in running.steps:
                self._progress(progress)
                yield
                if stop():
                    return
        except Exception as error:  # whatever it is, what was learned is not lost
            running.steps = running.driver.steps()  # the generator that failed is over
            self._fail(f"The fit failed. {error_text(error)}")
            return
        self._keep()

    def pause(self, stop: Stop) -> None:
        """Pause the fit."""
        self._say(Phase.PAUSED)

    def keep(self, stop: Stop) -> Iterator[None]:
        """Measure the lens as it is fitted so far, save it, and put it to use."""
        from lenstui.fitting.kinds import measuring

        running = self._running
        if running is None:
            return
        self._say(Phase.KEEPING, trouble=None)
        try:
            for progress in measuring(running.driver.fit):
                self._progress(progress)
                yield
                if stop():
                    return
        except Exception as error:  # it is kept all the same, with the numbers that there are
            self._say(trouble=f"It could not be measured. {error_text(error)}")
        self._keep()

    def discard(self, stop: Stop) -> None:
        """Drop the fit and its checkpoint."""
        if self._running is not None:
            trouble = self._remove_checkpoint()
            self.release()
            self._say(Phase.DISCARDED, trouble=trouble)
            self._running = None

    def write_checkpoint(self) -> CheckpointWritten:
        """Write a checkpoint, pause the fit, and return where the checkpoint is or why there is none."""
        if self._running is None:
            return CheckpointWritten(None, "Nothing is being fitted.")
        driver = self._running.driver
        path = driver.checkpoint_file if driver.write_checkpoint() else None
        self._say(Phase.PAUSED)
        return CheckpointWritten(path, self._running.status.checkpoint_trouble)

    def release(self) -> None:
        """Give up the claim on the lens file. Callable on any thread when the program is about to end."""
        running = self._running
        if running is not None:
            running.driver.release()

    # ── what they share ──────────────────────────────────────────────────────────────────────────────────

    def _progress(self, progress: FitProgress) -> None:
        """Record the progress of the fit; post it at the end, else at most every `POST_EVERY` seconds."""
        assert self._running is not None
        options = self._running.driver.fit.options
        status = self._running.status
        share = share_done(options, progress.stage, progress.share, progress.step)
        self._running.status = replace(status, progress=progress, share=max(share, status.share))
        if progress.stage == "done" or time.monotonic() - self._running.posted >= POST_EVERY:
            self._say()

    def _say(self, phase: Phase | None = None, **changes: object) -> None:
        """Post the status of the fit with some attributes changed, and with the state of its checkpoint."""
        running = self._running
        if running is None:
            return
        error = running.driver.checkpoint_error
        running.status = replace(
            running.status,
            phase=phase or running.status.phase,
            checkpoint_step=running.driver.checkpoint_step,
            checkpoint_trouble=None if error is None else error_text(error),
            **changes,  # type: ignore[arg-type]
        )
        running.posted = time.monotonic()
        self._post(FitChanged(running.status))

    def _fail(self, text: str) -> None:
        """Pause the fit with an error message, which names the checkpoint if the driver could write one."""
        assert self._running is not None
        driver = self._running.driver
        if driver.has_checkpoint:
            text = f"{text} What was learned is in {driver.checkpoint_file}."
        self._say(Phase.PAUSED, trouble=f"{text} space tries again, s keeps it, x discards it.")

    def _remove_checkpoint(self) -> str | None:
        """Remove the checkpoint; return why it cannot be removed, or None."""
        assert self._running is not None
        try:
            self._running.driver.remove_checkpoint()
        except OSError as error:
            return f"The checkpoint cannot be removed: {error}"
        return None

    def _keep(self) -> None:
        """Save the lens, and put it to use whether it could be saved or not."""
        running = self._running
        assert running is not None
        try:
            kept = running.driver.keep()
        except Exception as error:  # no memory for a copy: it can be tried again
            self._fail(f"The lens could not be kept. {error_text(error)}")
            return
        trouble = _not_in_its_place(kept) if kept.errors else self._remove_checkpoint()
        self.release()
        self._put_to_use(kept.lens, kept.file)
        trouble = trouble or running.status.trouble
        self._say(Phase.KEPT, path=kept.file, trouble=trouble)
        self._running = None


def _not_in_its_place(kept: KeptLens) -> str:
    """Return why a lens could not be saved to its file, and where it is instead."""
    where = "The lens is in use, but in no file." if kept.file is None else f"It is at {kept.file} instead."
    return f"{kept.errors[0]} {where}"
