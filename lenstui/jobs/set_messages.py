"""What the screen is told of a prompt set that is read: immutable, and numbered, as one may be given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.export.shape import Shape
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.export.set_tidy import SetHeading
    from lenstui.readout.sets.cases import CaseReadout, FailedCase


@dataclass(frozen=True, slots=True)
class CaseLine:
    """What the table shows of a case. All text is display text.

    Attributes:
        number: of its line or row in the file.
        prompt: the prompt.
        group: its group, or None.
        final: the final top-1 token; nothing where the last row is not a number.
        final_prob: its probability; None where that is so, or the case cannot be read.
        target: the token that stands for the target, or nothing.
        target_prob: its final probability; None without a target, or where the last row is not a number.
        target_rank: its final rank; None likewise.
        settles: per lens, the index of the row where its top-1 settles; None where not all rows were read.
        reason: why it cannot be read; None where it was.
    """

    number: int
    prompt: str
    group: str | None = None
    final: str = ""
    final_prob: float | None = None
    target: str = ""
    target_prob: float | None = None
    target_rank: int | None = None
    settles: tuple[int | None, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReadCase:
    """A case, as it is shown and as it was read."""

    line: CaseLine
    readout: CaseReadout | FailedCase


@dataclass(frozen=True, slots=True, eq=False)
class SetSource:
    """What all cases of a set have in common.

    Attributes:
        heading: as the files have it.
        lenses: names of the lenses that are read.
        reading: how each prompt is read.
        start: what the program was started with.
        options: of `lenstui read`, that ask for the same set.
        lens_file: to be named in a command; None for the lens that is opened unnamed.
        no_command: why no command reads the same, if none does.
    """

    heading: SetHeading
    lenses: tuple[str, ...]
    reading: Reading
    start: Start
    options: tuple[str, ...]
    lens_file: Path | None
    no_command: str | None = None

    def command(self, value: str, form: str = "table", output: Path | None = None) -> str:
        """The `lenstui read` that reads the same, and writes it so.

        Raises:
            LensError: if none does.
        """
        from lenstui.export.command import set_command

        if self.no_command is not None:
            raise LensError(self.no_command)
        shape = Shape(form, output, reading=self.reading, value=value)
        return set_command(self.heading.source, self.options, self.lens_file, self.start, shape)


class SetEnd(Enum):
    """How the reading of a set ended."""

    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass
class SetOpened(Message):
    """A file of prompts was read: so many there are, and what of it was skipped."""

    number: int
    name: str
    cases: int
    groups: tuple[str, ...]
    skipped: int
    remark: str | None


@dataclass
class SetStarted(Message):
    """The model is free, and begins."""

    number: int
    source: SetSource


@dataclass
class CasesRead(Message):
    """More cases of a set.

    Attributes:
        number: of the reading.
        cases: those read since the last message.
        texts: display texts of every token in them.
        seconds: since the model began.
    """

    number: int
    cases: tuple[ReadCase, ...]
    texts: Mapping[int, str]
    seconds: float


@dataclass
class SetEnded(Message):
    """No more of it comes, and why, if it is not all."""

    number: int
    end: SetEnd
    text: str = ""


@dataclass
class SetWritten(Message):
    """It was taken away to a file."""

    path: Path


@dataclass
class SetNotWritten(Message):
    """It was not taken away, and why."""

    text: str
