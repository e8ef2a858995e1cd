"""The jobs of a fit on the model thread: go on, pause, keep, discard, write a checkpoint.

Each stops the one before, which hands over after every piece of work. Torch is imported here, inside them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.fitting.names import checkpoint_path
from lenstui.jobs.fit_messages import CheckpointWritten, FitChanged, FitStatus, Phase
from lenstui.jobs.fit_share import share_done
from lenstui.jobs.fit_text import Prepared, told
from lenstui.jobs.model_thread import Stop
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.fitting.loop import FitProgress
    from lenstui.lens.tuned import TunedLens

POST_EVERY = 0.1  # seconds

PutToUse = Callable[["TunedLens", Path | None], None]
"""Takes a lens for the open model, and its file if it has one."""


@dataclass(eq=False)
class _Running:
    """The fit under way.

    Attributes:
        prepared: what it is.
        steps: what is left of it.
        status: as it was posted last.
        posted: when.
        written: when a checkpoint was tried last.
    """

    prepared: Prepared
    steps: Iterator[FitProgress]
    status: FitStatus
    posted: float
    written: float


class FitJobs:
    """The fit under way and what is done with it. Touched by the model thread alone."""

    def __init__(self, post: Callable[[Message], object], put_to_use: PutToUse) -> None:
        """Fit nothing yet.

        Args:
            post: takes the messages.
            put_to_use: takes the lens that was kept.
        """
        self._post = post
        self._put_to_use = put_to_use
        self._running: _Running | None = None

    def lens(self) -> TunedLens | None:
        """A copy of the lens as the fit has it now; None while nothing is fitted."""
        return None if self._running is None else self._running.prepared.fit.state.lens()

    # ── the jobs ─────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, prepared: Prepared, stop: Stop) -> Iterator[None]:
        """Take a fit on, and go on with it."""
        from lenstui.fitting.loop import fit_steps

        now = time.monotonic()
        fit = prepared.fit
        status = FitStatus(Phase.RUNNING, fit.options.preset, prepared.path, trouble=prepared.trouble)
        if fit.state.tokens:
            status = replace(status, checkpoint_step=fit.state.step)
        self._running = _Running(prepared, fit_steps(fit), status, now, now)
        self._say()
        yield from self.go_on(stop)

    def go_on(self, stop: Stop) -> Iterator[None]:
        """Do what is left, with a checkpoint now and then; in the end the lens is kept."""
        from lenstui.fitting.loop import fit_steps

        running = self._running
        if running is None:
            return
        if running.status.phase is not Phase.RUNNING:
            self._say(Phase.RUNNING, trouble=None)
        try:
            for progress in running.steps:
                self._progress(progress)
                every = running.prepared.checkpoint_every
                if every and time.monotonic() - running.written >= every:
                    self._write_checkpoint()
                yield
                if stop():
                    return
        except Exception as error:  # whatever it is, what was learned is not lost
            running.steps = fit_steps(running.prepared.fit)  # the one that failed is over
            self._fail(f"The fit failed. {told(error)}")
            return
        self._keep()

    def pause(self, stop: Stop) -> None:
        """Pause the fit."""
        self._say(Phase.PAUSED)

    def keep(self, stop: Stop) -> Iterator[None]:
        """Measure what was learned so far, save it, and put it to use."""
        from lenstui.fitting.loop import measure

        running = self._running
        if running is None:
            return
        self._say(Phase.KEEPING, trouble=None)
        try:
            for progress in measure(running.prepared.fit):
                self._progress(progress)
                yield
                if stop():
                    return
        except Exception as error:  # it is kept all the same, with the numbers that there are
            self._say(trouble=f"It could not be measured. {told(error)}")
        self._keep()

    def discard(self, stop: Stop) -> None:
        """Drop the fit and its checkpoint."""
        if self._running is not None:
            self._remove_checkpoint()
            self.release()
            self._say(Phase.DISCARDED, trouble=None)
            self._running = None

    def write_checkpoint(self) -> CheckpointWritten:
        """Write a checkpoint, pause the fit, and return where the checkpoint is or why there is none."""
        if self._running is None:
            return CheckpointWritten(None, "Nothing is being fitted.")
        trouble = self._write_checkpoint()
        self._say(Phase.PAUSED)
        path = checkpoint_path(self._running.prepared.path)
        return CheckpointWritten(None if trouble else path, trouble)

    def release(self) -> None:
        """Leave the name of the lens to others; on any thread where the program is about to end."""
        running = self._running
        if running is not None:
            running.prepared.claim.release()

    # ── what they share ──────────────────────────────────────────────────────────────────────────────────

    def _progress(self, progress: FitProgress) -> None:
        """Say how far it is, unless that was said just now."""
        assert self._running is not None
        options = self._running.prepared.fit.options
        status = self._running.status
        share = share_done(options, progress.stage, progress.share, progress.step)
        self._running.status = replace(status, progress=progress, share=max(share, status.share))
        if progress.stage == "done" or time.monotonic() - self._running.posted >= POST_EVERY:
            self._say()

    def _say(self, phase: Phase | None = None, **changes: object) -> None:
        """Post the status, some of it changed."""
        running = self._running
        if running is None:
            return
        running.status = replace(running.status, phase=phase or running.status.phase, **changes)  # type: ignore[arg-type]
        running.posted = time.monotonic()
        self._post(FitChanged(running.status))

    def _fail(self, text: str) -> None:
        """Pause with a message, and a checkpoint if there can be one."""
        running = self._running
        assert running is not None
        if self._write_checkpoint() is None:
            text = f"{text} What was learned is in {checkpoint_path(running.prepared.path)}."
        self._say(Phase.PAUSED, trouble=f"{text} space tries again, s keeps it, x discards it.")

    def _write_checkpoint(self) -> str | None:
        """Write one; why it could not be, which is no reason to stop."""
        from lenstui.fitting.checkpoint import save_checkpoint

        running = self._running
        assert running is not None
        prepared = running.prepared
        try:
            save_checkpoint(checkpoint_path(prepared.path), prepared.fit, prepared.plan, save=prepared.path)
        except Exception as error:  # a full disk; or memory, for the copy that is written
            trouble = told(error)
            self._say(checkpoint_trouble=trouble)
            return trouble
        else:
            self._say(checkpoint_step=prepared.fit.state.step, checkpoint_trouble=None)
            return None
        finally:
            running.written = time.monotonic()

    def _remove_checkpoint(self) -> None:
        assert self._running is not None
        try:
            checkpoint_path(self._running.prepared.path).unlink(missing_ok=True)
        except OSError as error:
            self._say(trouble=f"The checkpoint cannot be removed: {error}")

    def _keep(self) -> None:
        """Save the lens, and put it to use whether that worked or not."""
        from lenstui.fitting.fit import fitted_lens

        running = self._running
        assert running is not None
        path = running.prepared.path
        try:
            lens = replace(fitted_lens(running.prepared.fit), name=path.stem)
            saved, trouble = _save(lens, path)
        except Exception as error:  # no memory for a copy: it can be tried again
            self._fail(f"The lens could not be kept. {told(error)}")
            return
        if saved == path:
            self._remove_checkpoint()
        self.release()
        self._put_to_use(lens, saved)
        self._say(Phase.KEPT, path=saved, trouble=trouble or running.status.trouble)
        self._running = None


def _save(lens: TunedLens, path: Path) -> tuple[Path | None, str | None]:
    """Save a lens where it was to go, else where it can be: where that is, and what went wrong."""
    from lenstui.lens.formats.own import save_lens

    try:
        save_lens(lens, path)
    except LensError as error:
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix="lenstui-")) / path.name
            save_lens(lens, elsewhere)
        except (LensError, OSError):
            return None, f"{error} The lens is in use, but in no file."
        return elsewhere, f"{error} It is at {elsewhere} instead."
    return path, None
