"""The requests and messages of a fit: immutable snapshots, plain values and NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.fitting.options import CHECKPOINT_EVERY, HELD_OUT
from lenstui.fitting.plan import AnyOptions
from lenstui.lens.kinds import TUNED
from lenstui.readout.cells import Cells
from lenstui.texts.documents import Documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenstui.fitting.progress import FitProgress


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A request for a fit, as the form makes it.

    Attributes:
        options: the options of the fit, which say what kind of lens it makes.
        documents: the documents to fit on.
        held_out: the share of the documents that is never trained on.
        epochs: passes over the text, which determine the number of steps; None for `options.steps`, and for
            a Jacobian lens.
        checkpoint_every: seconds between two checkpoints; 0 for none except on demand or after an error.
    """

    options: AnyOptions
    documents: Documents
    held_out: float = HELD_OUT
    epochs: int | None = None
    # Not compared, as the time between checkpoints changes nothing about the text.
    checkpoint_every: float = field(default=CHECKPOINT_EVERY, compare=False)


@dataclass(frozen=True, slots=True)
class TextSize:
    """The amount of text for a fit of a tuned lens.

    Attributes:
        documents: the number of all documents.
        fit_tokens: the number of tokens to fit on; text that the fit would not reach is not read.
        held_out_tokens: the number of tokens that are never trained on.
        passes: the number of passes over the tokens to fit on.
        steps: the number of optimizer steps.
        seq_len: the number of tokens of a block, at most the model's context.
        remark: a remark on skipped lines of the files, if any.
    """

    documents: int
    fit_tokens: int
    held_out_tokens: int
    passes: float
    steps: int
    seq_len: int
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class PromptsSize:
    """The amount of text for a fit of a Jacobian lens.

    Attributes:
        documents: the number of all documents.
        prompts: the number of prompts to fit on.
        held_out: the number of prompts that convergence is measured on.
        columns: the number of tokens of a prompt, at most the model's context.
        passed_over: the number of documents that were read and are too short for a prompt.
        remark: a remark on skipped lines of the files, if any.
    """

    documents: int
    prompts: int
    held_out: int
    columns: int
    passed_over: int
    remark: str | None = None


@dataclass
class TextCounted(Message):
    """The amount of text of a request for a fit."""

    request: FitRequest
    size: TextSize | PromptsSize


@dataclass
class TextRefused(Message):
    """The message that the text of a request for a fit cannot be used, and why."""

    request: FitRequest
    text: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A checkpoint of an unfinished fit of the open model.

    Attributes:
        path: the checkpoint file.
        preset: the preset of the fit.
        step: the number of steps, or prompts of a Jacobian lens, so far.
        steps: the number of all of them.
        modified: the time at which the checkpoint was written, in seconds since 1970.
        kind: the kind of lens.
    """

    path: Path
    preset: str
    step: int
    steps: int
    modified: float
    kind: str = TUNED


@dataclass
class UnfinishedFound(Message):
    """The unfinished fits of the open model, the newest first."""

    found: tuple[Unfinished, ...]


class Phase(Enum):
    """The phase of a fit, from its start to its end."""

    NONE = auto()
    READING = auto()  # its text, or a checkpoint
    RUNNING = auto()
    PAUSED = auto()  # by the user, or by a failure
    KEEPING = auto()  # measured, saved, put to use
    KEPT = auto()
    DISCARDED = auto()


UNDER_WAY = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.KEEPING})
BUSY = UNDER_WAY | {Phase.READING}


@dataclass(frozen=True, slots=True, eq=False)
class FitStatus:
    """The status of a fit.

    Attributes:
        phase: the phase of the fit.
        preset: the preset of the fit.
        path: the file that the lens is to be saved to, or None while that is not known.
        share: the finished share of all work, 0 to 1.
        progress: the progress in detail; None before the first piece of work.
        trouble: an error or a remark for the user, until the fit goes on.
        checkpoint_step: the step of the checkpoint on disk; None while there is none.
        checkpoint_trouble: why the last checkpoint could not be written; None if it could.
        kind: the kind of lens that is fitted.
    """

    phase: Phase = Phase.NONE
    preset: str = ""
    path: Path | None = None
    share: float = 0.0
    progress: FitProgress | None = None
    trouble: str | None = None
    checkpoint_step: int | None = None
    checkpoint_trouble: str | None = None
    kind: str = TUNED

    @property
    def kind_in_training(self) -> str | None:
        """The kind of the lens in training, once there is one to read prompts through; None before.

        A tuned lens begins as the logit lens; a Jacobian lens has its first matrices after the first prompt.
        """
        has_lens = self.kind == TUNED or (self.progress is not None and self.progress.step > 0)
        return self.kind if self.phase in UNDER_WAY and has_lens else None


@dataclass
class FitChanged(Message, bubble=False):
    """The new status of a fit, posted at most ten times a second, and at once where its phase changes."""

    status: FitStatus


@dataclass(frozen=True, slots=True, eq=False)
class Elsewhere:
    """A fit of another process, as its progress file has it.

    Attributes:
        status: the status of the fit.
        model: what its model is called.
        age: seconds since the file was written.
    """

    status: FitStatus
    model: str
    age: float


@dataclass
class FitsElsewhere(Message):
    """The fits of other processes whose lenses go to the lenses folder, by their names."""

    found: tuple[Elsewhere, ...]


@dataclass
class CheckpointWritten(Message, bubble=False):
    """The answer to a request for a checkpoint: its file, or None and why it was not written."""

    path: Path | None
    trouble: str | None = None


@dataclass
class TrainingRead(Message, bubble=False):
    """Some columns of the current prompt, read through the lens as the fit has it now.

    Attributes:
        serial: the number of the reading whose cells are replaced.
        kind: the kind of the lens, which says whose sides' cells are replaced.
        start: the first column.
        cells: the cells of all rows of the columns.
        texts: display texts of every token in the cells.
        seconds: seconds that the reading took.
    """

    serial: int
    kind: str
    start: int
    cells: Cells
    texts: Mapping[int, str]
    seconds: float
