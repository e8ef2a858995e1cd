"""What can be evaluated on screen, what is asked for, and the messages of the jobs that do it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.support.request import Start
from lenstui.texts.block_size import BlockSize
from lenstui.texts.documents import Documents

if TYPE_CHECKING:
    from lenstui.export.evaluation import Evaluated


@dataclass(frozen=True, slots=True)
class OfferedLens:
    """A lens at hand that a model can be read through.

    Attributes:
        number: the number of the model that has it at hand, among those on screen.
        key: its key among the lenses of that model.
        title: its name in words.
        fitted_on: the names of the texts that it was fitted on, as far as its card says.
        remark: what speaks against it on the model, a sentence; empty for nothing.
    """

    number: int
    key: str
    title: str
    fitted_on: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model on screen that lenses can be evaluated on.

    Attributes:
        number: its number among those on screen.
        name: its name.
        context: the most columns of a block; None for no limit.
        lenses: its own lenses at hand, and behind them those of other models on screen that have its shape.
    """

    number: int
    name: str
    context: int | None
    lenses: tuple[OfferedLens, ...]

    @property
    def own(self) -> tuple[OfferedLens, ...]:
        """Its own lenses."""
        return tuple(lens for lens in self.lenses if lens.number == self.number)


@dataclass(frozen=True, slots=True)
class EvaluationAsked:
    """An evaluation as it is asked for on screen.

    Attributes:
        model: the model.
        lenses: the lenses, at least one.
        documents: the text, by absolute paths.
        size: the size of the blocks, and the most tokens to read.
    """

    model: OfferedModel
    lenses: tuple[OfferedLens, ...]
    documents: Documents
    size: BlockSize


@dataclass(frozen=True, slots=True, eq=False)
class FoundEvaluation:
    """An evaluation that was made on screen, finished or not.

    Attributes:
        evaluated: the evaluation, of the blocks that were read whole.
        asked: what was asked for.
        lens_files: the files of its lenses that a command has to name.
        start: the request that the program was started with.
        no_command: why no command makes the same, a sentence; empty where one does.
        remarks: remarks on what was left out.
    """

    evaluated: Evaluated
    asked: EvaluationAsked
    lens_files: tuple[Path, ...]
    start: Start
    no_command: str = ""
    remarks: tuple[str, ...] = ()

    def command(self, form: str = "table", output: Path | None = None) -> str:
        """Return the command that makes the same evaluation, or a comment that says why there is none.

        A table has all measures with their standard errors, as the screen has.
        """
        from lenstui.export.command import evaluation_command
        from lenstui.export.evaluation_forms import text_options
        from lenstui.export.shape import Shape

        if self.no_command:
            return f"# {self.no_command}"
        of, asked = self.evaluated, self.asked
        options = text_options(of, asked.documents, asked.size, asked.model.context)
        options += ["--measures", "all", "--errors"] if form == "table" else []
        shape = Shape(format=form, output=output)
        return evaluation_command(of.source, options, self.lens_files, self.start, shape)


class EvaluationEnd(Enum):
    """How an evaluation ended."""

    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass
class EvaluationRead(Message):
    """The message that an evaluation has read more of its text.

    Attributes:
        number: the number of the request.
        tokens: the tokens that were read.
        most: the tokens that are read at most; the text may have fewer.
        left: the seconds that these still take, about; None where nothing says so yet.
    """

    number: int
    tokens: int
    most: int
    left: float | None


@dataclass
class EvaluationGrown(Message):
    """The message that more was measured."""

    number: int
    found: FoundEvaluation


@dataclass
class EvaluationEnded(Message):
    """The message that nothing more comes of an evaluation.

    Attributes:
        number: the number of the request.
        end: how it ended.
        text: why it failed, or what became of what was measured, a sentence; empty for nothing to say.
        seconds: how long it took.
    """

    number: int
    end: EvaluationEnd
    text: str = ""
    seconds: float = 0.0


@dataclass
class LensesEvaluated(Message):
    """The message that lenses have another last evaluation."""
