"""The one way to drive a fit: its steps, its checkpoints, and the lens in the end. Nothing here prints."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lenstui.fitting.checkpoint import Checkpoint, doubt, resume, save_checkpoint
from lenstui.fitting.fit import FitPlan, FitText, begin, fitted_lens
from lenstui.fitting.loop import FitProgress, fit_steps
from lenstui.fitting.names import Claim, checkpoint_path
from lenstui.fitting.options import CHECKPOINT_EVERY
from lenstui.fitting.state import Fit
from lenstui.lens.formats.own import save_lens
from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.support.errors import LensError


@dataclass(frozen=True, eq=False)
class KeptLens:
    """What a fit came to, and where it was saved.

    Attributes:
        lens: a copy of the lens, with the name of its file.
        file: that it is in; None where it could be written nowhere.
        errors: why it is not where it was to go, and, where `file` is None, why it is not elsewhere either.
    """

    lens: TunedLens
    file: Path | None
    errors: tuple[LensError, ...] = ()


@dataclass(eq=False)
class FitDriver:
    """A fit that somebody drives by asking for its steps, and the files that it is kept in.

    Attributes:
        fit: under way.
        plan: that it was begun with.
        claim: on the file that the lens is to go to; `release` gives it up.
        checkpoint_every: seconds between two checkpoints; 0 for none but those that are asked for.
        remark: what has to be said of its text or its checkpoint.
        checkpoint_step: the step of the checkpoint that is there; None where there is none.
        checkpoint_error: why the last checkpoint could not be written; None where it could.
    """

    fit: Fit
    plan: FitPlan
    claim: Claim
    checkpoint_every: float = CHECKPOINT_EVERY
    remark: str | None = None
    checkpoint_step: int | None = None
    checkpoint_error: Exception | None = None
    _tried: float = field(default_factory=time.monotonic, init=False)  # when a checkpoint was, last

    @property
    def lens_file(self) -> Path:
        """The file that the lens is to go to."""
        return self.claim.lens

    @property
    def checkpoint_file(self) -> Path:
        """The file beside it that the checkpoints go to."""
        return checkpoint_path(self.claim.lens)

    @property
    def has_checkpoint(self) -> bool:
        """Whether the checkpoint that was tried last is there to go on from."""
        return self.checkpoint_step is not None and self.checkpoint_error is None

    def steps(self) -> Iterator[FitProgress]:
        """Do what is left of the fit, and write a checkpoint every `checkpoint_every` seconds.

        As with `fit_steps`, whoever drives it pauses by not asking and stops by never asking again. A
        checkpoint that cannot be written is no reason to stop: `checkpoint_error` says why.

        Raises:
            Exception: whatever the fit failed with. What was learned is in a checkpoint, if there can be one,
                and another call goes on from there.
        """
        try:
            for progress in fit_steps(self.fit):
                if self.checkpoint_every and time.monotonic() - self._tried >= self.checkpoint_every:
                    self.write_checkpoint()
                yield progress
        except Exception:
            self.write_checkpoint()
            raise

    def write_checkpoint(self) -> bool:
        """Write a checkpoint, and return whether that worked; `checkpoint_error` says why not."""
        try:
            save_checkpoint(self.checkpoint_file, self.fit, self.plan, save=self.lens_file)
        except Exception as error:  # a full disk; or memory, for the copy that is written
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
        self.checkpoint_file.unlink(missing_ok=True)
        self.checkpoint_step = None

    def keep(self) -> KeptLens:
        """Save the lens as it is now where it was to go, or else in a new temporary folder.

        Raises:
            Exception: if there is no memory for a copy of it. What was learned is in a checkpoint then, if
                there can be one.
        """
        try:
            lens = replace(fitted_lens(self.fit), name=self.lens_file.stem)
            return _saved(lens, self.lens_file)
        except Exception:
            self.write_checkpoint()
            raise

    def release(self) -> None:
        """Leave the name of the lens to others; once more does nothing."""
        self.claim.release()


def begun(
    model: Model, plan: FitPlan, text: FitText, claim: Claim, checkpoint_every: float = CHECKPOINT_EVERY
) -> FitDriver:
    """Return the driver of a fit before its first step.

    Args:
        model: from `load`.
        plan: what to fit.
        text: of the plan, from `read_text`.
        claim: on the file that the lens is to go to.
        checkpoint_every: seconds between two checkpoints; 0 for none but those that are asked for.
    """
    return FitDriver(begin(model, plan, text), plan, claim, checkpoint_every, text.remark)


def resumed(
    model: Model, checkpoint: Checkpoint, claim: Claim, checkpoint_every: float = CHECKPOINT_EVERY
) -> FitDriver:
    """Return the driver of a fit that goes on where its checkpoint left off.

    Args:
        model: from `load`.
        checkpoint: from `open_checkpoint`.
        claim: on the file that the lens is to go to.
        checkpoint_every: seconds between two checkpoints; 0 for none but those that are asked for.

    Raises:
        LensError: if the model or the text is not the one that it was begun with.
    """
    fit = resume(model, checkpoint)
    left_open = doubt(model, checkpoint)
    remark = None if left_open is None else f"{left_open}."
    driver = FitDriver(fit, checkpoint.plan, claim, checkpoint_every, remark)
    if fit.state.tokens:
        driver.checkpoint_step = fit.state.step
    return driver


def _saved(lens: TunedLens, file: Path) -> KeptLens:
    """Save a lens where it was to go, else where it can be."""
    try:
        save_lens(lens, file)
        return KeptLens(lens, file)
    except LensError as error:
        first = error
    try:
        elsewhere = Path(tempfile.mkdtemp(prefix="lenstui-")) / file.name
        save_lens(lens, elsewhere)
    except (LensError, OSError) as error:
        second = error if isinstance(error, LensError) else LensError(str(error))
        return KeptLens(lens, None, (first, second))
    return KeptLens(lens, elsewhere, (first,))
