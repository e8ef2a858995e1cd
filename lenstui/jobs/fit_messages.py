"""What the jobs of a fit tell the screens: immutable snapshots, plain values and NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.fitting.options import CHECKPOINT_EVERY, HELD_OUT, FitOptions
from lenstui.readout.cells import Cells
from lenstui.texts.documents import Documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenstui.fitting.loop import FitProgress


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What the form asks for.

    Attributes:
        options: how to fit.
        documents: to what texts.
        held_out: share of the documents that is never trained on.
        epochs: passes over the text, which then decide how many steps there are; None leaves them.
        checkpoint_every: seconds between two checkpoints; 0 for none but at an end.
    """

    options: FitOptions
    documents: Documents
    held_out: float = HELD_OUT
    epochs: int | None = None
    # Not compared, as it changes nothing about the text.
    checkpoint_every: float = field(default=CHECKPOINT_EVERY, compare=False)


@dataclass(frozen=True, slots=True)
class TextSize:
    """How much text there is for a fit.

    Attributes:
        documents: in all.
        fit_tokens: to fit on; what a fit does not come to is not read.
        held_out_tokens: that are never trained on.
        passes: how often the tokens to fit on are seen.
        steps: optimizer steps.
        seq_len: tokens of a block, no more than the model's context.
        remark: what is odd about the files.
    """

    documents: int
    fit_tokens: int
    held_out_tokens: int
    passes: float
    steps: int
    seq_len: int
    remark: str | None = None


@dataclass
class TextCounted(Message):
    """How much text a request comes to."""

    request: FitRequest
    size: TextSize


@dataclass
class TextRefused(Message):
    """A request's text cannot be used, and why."""

    request: FitRequest
    text: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A checkpoint of the open model.

    Attributes:
        path: of the checkpoint.
        preset: of its fit.
        step: steps that are done.
        steps: that there will be.
        modified: when it was written, seconds since the epoch.
    """

    path: Path
    preset: str
    step: int
    steps: int
    modified: float


@dataclass
class UnfinishedFound(Message):
    """The fits of the open model that were not finished, the newest first."""

    found: tuple[Unfinished, ...]


class Phase(Enum):
    """Where a fit is, from the start of it to its end."""

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
    """All that is known of a fit.

    Attributes:
        phase: where it is.
        preset: its preset.
        path: the file that the lens goes to, or None while that is not known.
        share: of all work that is done, 0 to 1.
        progress: how far it is in detail; None before there was anything.
        trouble: what went wrong; it stays until it is mended.
        checkpoint_step: at which step the checkpoint was written; None while there is none.
        checkpoint_trouble: why the last one could not be written.
    """

    phase: Phase = Phase.NONE
    preset: str = ""
    path: Path | None = None
    share: float = 0.0
    progress: FitProgress | None = None
    trouble: str | None = None
    checkpoint_step: int | None = None
    checkpoint_trouble: str | None = None


@dataclass
class FitChanged(Message, bubble=False):
    """A fit has come further: at most ten times a second, and at once where its phase changes."""

    status: FitStatus


@dataclass
class CheckpointWritten(Message, bubble=False):
    """Somebody asked for a checkpoint: it was written; or it was not, and why."""

    path: Path | None
    trouble: str | None = None


@dataclass
class TrainingRead(Message, bubble=False):
    """Some columns of the current prompt, through the lens as the fit has it now.

    Attributes:
        serial: of the reading whose cells these replace.
        kind: of the lens: its sides are the ones of that kind.
        start: first column.
        cells: all rows of the columns.
        texts: display texts of every token in them.
        seconds: that it took.
    """

    serial: int
    kind: str
    start: int
    cells: Cells
    texts: Mapping[int, str]
    seconds: float
