"""The driver of a fit for every caller: its steps, its checkpoints, and the final lens. It prints nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lenstui.fitting.checkpoint import Checkpoint, doubt, resume, save_checkpoint
from lenstui.fitting.kinds import AnyFit, AnyText, begin_fit, finished_lens, steps_of
from lenstui.fitting.names import Claim, checkpoint_path
from lenstui.fitting.options import CHECKPOINT_EVERY
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.processes import ALONE, Processes
from lenstui.fitting.progress import FitProgress
from lenstui.lens.compatibility import lens_config
from lenstui.lens.formats.own import FittedLens, save_lens
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.support.atomic_file import remove
from lenstui.support.errors import LensError
from lenstui.support.version import __version__


@dataclass(frozen=True, eq=False)
class KeptLens:
    """The lens of a fit, and the file that it was saved to.

    Attributes:
        lens: a copy of the lens, named after its file.
        file: the file that it was saved to; None where it could be saved nowhere.
        errors: why it could not be saved to the chosen file, and, where `file` is None, why not to another
            either.
    """

    lens: FittedLens
    file: Path | None
    errors: tuple[LensError, ...] = ()


@dataclass(eq=False)
class FitDriver:
    """A fit that its caller advances step by step, with its checkpoints and its lens file.

    Attributes:
        fit: the fit.
        plan: the plan that the fit began with.
        claim: the claim on the file that the lens is to be saved to; `release` gives it up.
        checkpoint_every: seconds between two checkpoints; 0 for none except on demand.
        remark: a remark on the text or the checkpoint, for the user.
        checkpoint_step: the step of the checkpoint on disk; None where there is none.
        checkpoint_error: why the last checkpoint could not be written; None where it could.
    """

    fit: AnyFit
    plan: FitPlan
    claim: Claim
    checkpoint_every: float = CHECKPOINT_EVERY
    remark: str | None = None
    checkpoint_step: int | None = None
    checkpoint_error: Exception | None = None
    _tried: float = field(default_factory=time.monotonic, init=False)  # the time of the last checkpoint

    @property
    def lens_file(self) -> Path:
        """The file that the lens is to be saved to."""
        return self.claim.lens

    @property
    def checkpoint_file(self) -> Path:
        """The checkpoint file, beside the lens file."""
        return checkpoint_path(self.claim.lens)

    @property
    def has_checkpoint(self) -> bool:
        """Whether the last attempt at a checkpoint left one to resume from."""
        return self.checkpoint_step is not None and self.checkpoint_error is None

    def steps(self) -> Iterator[FitProgress]:
        """Do the rest of the fit, and write a checkpoint every `checkpoint_every` seconds.

        As with `steps_of`, a caller pauses by not asking for the next item, and stops by never asking again.
        A checkpoint that cannot be written does not end the fit: `checkpoint_error` says why. Of several
        processes all yield equally often, and the first one writes it.

        Yields:
            The progress after each piece of work.

        Raises:
            Exception: any error of the fit. A checkpoint is written first, if possible; another call goes on
                from there.
        """
        processes = self.fit.processes
        try:
            for progress in steps_of(self.fit):
                if self.checkpoint_every and processes.highest(self._is_due):
                    self.write_checkpoint()
                yield progress
        except Exception as error:
            if processes.is_raised_in_all(error):
                self.write_checkpoint()
            raise

    @property
    def _is_due(self) -> bool:
        return time.monotonic() - self._tried >= self.checkpoint_every

    def check_processes(self) -> None:
        """Refuse several processes that do not do the same. All of them must call it.

        Raises:
            LensError: if one of them has another model, text, version, checkpoint or other options.
        """
        import torch

        fit = self.fit
        self.fit.processes.check_same(
            {
                "version of lenstui or torch": (__version__, str(torch.__version__)),
                "model": (lens_config(fit.model)["fingerprint"], fit.model.dtype_name),
                "option": (fit.options, self.plan.held_out, self.plan.epochs, bool(self.checkpoint_every)),
                "text": fit.fingerprint,
                "checkpoint": fit.state.place,
            }
        )

    def write_checkpoint(self) -> bool:
        """Write a checkpoint, and return whether that worked; `checkpoint_error` says why not.

        Of several processes all must call it.
        """
        try:
            self.fit.gather()
            if self.fit.processes.is_first:
                save_checkpoint(self.checkpoint_file, self.fit, self.plan, save=self.lens_file)
        except Exception as error:  # the disk is full, or memory too short for the copy that is written
            self.checkpoint_error = error
        else:
            self.checkpoint_step, self.checkpoint_error = self.fit.state.step, None
        self._tried = time.monotonic()
        return self.checkpoint_error is None

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint, if there is one.

        Raises:
            OSError: if it cannot be removed.
        """
        remove(self.checkpoint_file)
        self.checkpoint_step = None

    def keep(self) -> KeptLens:
        """Save the current lens to its file, or else to a new temporary folder.

        Raises:
            Exception: if memory is too short for a copy of the lens. A checkpoint is written first, if
                possible.
        """
        try:
            lens = replace(finished_lens(self.fit), name=self.lens_file.stem)
            return _saved(lens, self.lens_file)
        except Exception:
            self.write_checkpoint()
            raise

    def release(self) -> None:
        """Give up the claim on the lens file. Calling it again does nothing."""
        self.claim.release()


def begun(
    model: Model,
    plan: FitPlan,
    text: AnyText,
    claim: Claim,
    checkpoint_every: float = CHECKPOINT_EVERY,
    *,
    first: TunedLens | None = None,
    processes: Processes = ALONE,
) -> FitDriver:
    """Return the driver of a fit before its first step.

    Args:
        model: from `load`.
        plan: the plan of the fit.
        text: the text of the plan, from `read_text`.
        claim: the claim on the file that the lens is to be saved to.
        checkpoint_every: seconds between two checkpoints; 0 for none except on demand.
        first: the lens whose translators the fit starts from; None for the logit lens.
        processes: those that fit it together.
    """
    fit = begin_fit(model, plan, text, first, processes)
    return FitDriver(fit, plan, claim, checkpoint_every, text.remark)


def resumed(
    model: Model,
    checkpoint: Checkpoint,
    claim: Claim,
    checkpoint_every: float = CHECKPOINT_EVERY,
    processes: Processes = ALONE,
) -> FitDriver:
    """Return the driver of a fit that goes on from its checkpoint.

    Args:
        model: from `load`.
        checkpoint: from `open_checkpoint`.
        claim: the claim on the file that the lens is to be saved to.
        checkpoint_every: seconds between two checkpoints; 0 for none except on demand.
        processes: those that go on with it, as many as at its beginning or not.

    Raises:
        LensError: if the model or the text is not the one that the fit began with.
    """
    fit = resume(model, checkpoint, processes)
    left_open = doubt(model, checkpoint)
    remark = None if left_open is None else f"{left_open}."
    driver = FitDriver(fit, checkpoint.plan, claim, checkpoint_every, remark)
    if fit.state.has_learned:
        driver.checkpoint_step = fit.state.step
    return driver


def _saved(lens: FittedLens, file: Path) -> KeptLens:
    """Save a lens to its file, or else to a new temporary folder."""
    try:
        save_lens(lens, file)
        return KeptLens(lens, file)
    except LensError as error:
        first = error
    try:
        folder = Path(tempfile.mkdtemp(prefix="lenstui-"))
        try:
            save_lens(lens, folder / file.name)
        except LensError:
            with suppress(OSError):  # what matters is why it could not be saved
                folder.rmdir()
            raise
    except (LensError, OSError) as error:
        second = error if isinstance(error, LensError) else LensError(str(error))
        return KeptLens(lens, None, (first, second))
    return KeptLens(lens, folder / file.name, (first,))
