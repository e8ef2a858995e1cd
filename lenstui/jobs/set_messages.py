"""The messages about the reading of a prompt set, numbered, so that one given up can be ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.edits.edit import Edit
from lenstui.export.shape import Shape
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.export.set_tidy import SetHeading
    from lenstui.readout.sets.cases import CaseReadout, FailedCase


@dataclass(frozen=True, slots=True)
class CaseLine:
    """The line of the table for a case. All text is display text.

    Attributes:
        number: the number of the case's line or row in the file.
        prompt: the prompt.
        group: the group of the case, or None.
        final: the final top-1 token; empty where the last row is not a number, or the case cannot be read.
        final_prob: the probability of that token; None where there is no such token.
        target: the token that stands for the target; empty where there is none.
        target_prob: the target's final probability; None without a target, or where the last row is not a
            number.
        target_rank: the target's final rank; None without a target, or where the last row is not a number.
        whole: the target as typed, if it is several tokens; else empty.
        whole_logprobs: the final log-probability of all these tokens, and of the first alone, as texts.
        settles: for each lens, the index of the row where its top-1 settles; None where not all rows were
            read, or the last row is not a number.
        reason: why the case cannot be read; None where it was read.
        effect: under edits, the target's final probability minus that of the clean run; of two sides second
            minus first, of two lenses of one model in the mean of the rows below the last; None for none.
        change: under edits, the final token, and the target's probability and rank, clean → edited, as text;
            of two sides first → second.
        scores: the outlier scores by method; empty where the case has none.
        not_scored: why it has none, where others have; else empty.
        foil: the token that stands for the foil; empty where there is none.
        logit_diff: the target's final logit minus that of the foil; None where there is none.
        difference: what this difference is of, and that of whole words, or why there is none, a sentence;
            empty without a foil.
        whole_logprob: the final log-probability of the whole target; None without one, or where no lens has
            it.
        leads: for each lens, the index of the first row where the target leads; None where none is.
        above: for each lens, that of the first row where its probability is above the limit; likewise.
    """

    number: int
    prompt: str
    group: str | None = None
    final: str = ""
    final_prob: float | None = None
    target: str = ""
    target_prob: float | None = None
    target_rank: int | None = None
    whole: str = ""
    whole_logprobs: tuple[str, str] = ("", "")
    settles: tuple[int | None, ...] = ()
    reason: str | None = None
    effect: float | None = None
    change: str = ""
    scores: tuple[float, ...] = ()
    not_scored: str = ""
    foil: str = ""
    logit_diff: float | None = None
    difference: str = ""
    whole_logprob: float | None = None
    leads: tuple[int | None, ...] = ()
    above: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ReadCase:
    """A case that was read: its line of the table, and its readout."""

    line: CaseLine
    readout: CaseReadout | FailedCase


@dataclass(frozen=True, slots=True, eq=False)
class SetSource:
    """The source of all cases of a prompt set.

    Attributes:
        heading: the heading of exported files.
        lenses: the keys of the lenses that are read.
        reading: the options for reading each prompt.
        start: the request that the program was started with.
        options: the options of `lenstui read` that name the prompt set.
        lens_files: the lens files to name in a command, without that of a lens that is opened unnamed.
        no_command: why no command repeats the reading; None where one does.
        edits: the edits that each prompt is read under, besides being read clean.
        kind: the only kind of lens that is read; None for all.
    """

    heading: SetHeading
    lenses: tuple[str, ...]
    reading: Reading
    start: Start
    options: tuple[str, ...]
    lens_files: tuple[Path, ...]
    no_command: str | None = None
    edits: tuple[Edit, ...] = ()
    kind: str | None = None

    def command(self, value: str, form: str = "table", output: Path | None = None) -> str:
        """Return the `lenstui read` command that repeats the reading, and writes the results in a form.

        Args:
            value: the value of a form that shows only one.
            form: the name of the form.
            output: the file; None for stdout.

        Raises:
            LensError: if no command repeats the reading.
        """
        from lenstui.export.command import set_command

        if self.no_command is not None:
            raise LensError(self.no_command)
        kinds = None if self.kind is None else (self.kind,)
        shape = Shape(form, output, kinds, self.reading, value, edits=self.edits)
        return set_command(self.heading.source, self.options, self.lens_files, self.start, shape)

    def with_above(self, above: float) -> SetSource:
        """Return the same source with another limit of the row where a target's probability is above it."""
        from lenstui.readout.sets.first_rows import ABOVE, limit_text

        options = tuple(option for option in self.options if not option.startswith("--above="))
        options += () if above == ABOVE else (f"--above={limit_text(above)}",)
        return replace(self, heading=replace(self.heading, above=above), options=options)

    def with_normal(self, group: str) -> SetSource:
        """Return the same source, whose outlier scores tell groups from another normal one."""
        outliers = self.heading.outliers
        if outliers is None:
            return self
        heading = replace(self.heading, outliers=replace(outliers, normal=group))
        return replace(self, heading=heading, options=(*self.options, f"--normal={group}"))


class SetEnd(Enum):
    """The way in which the reading of a prompt set ended."""

    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass
class SetOpened(Message):
    """The message that a file of prompts was opened.

    Attributes:
        number: the number of the reading.
        name: the name of the prompt set.
        cases: the number of its cases.
        groups: the names of its groups.
        skipped: the number of skipped lines or rows.
        remark: remarks on these and on fields that are not read, for the user; None where there are none.
        unread: the names of fields or columns that are not read.
    """

    number: int
    name: str
    cases: int
    groups: tuple[str, ...]
    skipped: int
    remark: str | None
    unread: tuple[str, ...] = ()


@dataclass
class ReferenceRead(Message):
    """The message that so many cases of the reference of a prompt set's outlier scores were read."""

    number: int
    done: int
    total: int


@dataclass
class SideOpening(Message):
    """The message that the second side of a prompt set is being opened, and what is done for it."""

    number: int
    stage: str


@dataclass
class SetStarted(Message):
    """The message that the model begins to read the cases of a prompt set.

    Attributes:
        number: the number of the reading.
        source: the source of the cases.
        remarks: remarks on the reference of their outlier scores, or why there are no scores.
    """

    number: int
    source: SetSource
    remarks: tuple[str, ...] = ()


@dataclass
class CasesRead(Message):
    """More cases of a prompt set.

    Attributes:
        number: the number of the reading.
        cases: the cases that were read since the last message.
        texts: display texts of every token in these cases.
        seconds: seconds since the model began.
    """

    number: int
    cases: tuple[ReadCase, ...]
    texts: Mapping[int, str]
    seconds: float


@dataclass
class SetEnded(Message):
    """The message that no more cases of a prompt set come, and why, if not all have come.

    Attributes:
        number: the number of the reading.
        end: how it ended.
        text: why it ended so.
        of_reference: whether it failed for the file of the reference.
    """

    number: int
    end: SetEnd
    text: str = ""
    of_reference: bool = False


@dataclass
class SetWritten(Message):
    """The message that a prompt set was written to a file."""

    path: Path


@dataclass
class SetNotWritten(Message):
    """The message that a prompt set was not written, and why."""

    text: str
