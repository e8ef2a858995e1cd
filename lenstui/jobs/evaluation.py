"""The jobs that evaluate lenses on a text for the screen, and write what was measured to files.

The model thread evaluates, and gives way after every piece of a block, so that prompts are answered
meanwhile. The file thread writes. Torch is imported inside the jobs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.figures.style import FigureStyle
from lenstui.jobs.evaluation_messages import (
    EvaluationAsked,
    EvaluationEnd,
    EvaluationEnded,
    EvaluationGrown,
    EvaluationRead,
    FoundEvaluation,
    LensesEvaluated,
    OfferedLens,
    OfferedModel,
)
from lenstui.jobs.export_messages import FileTaken, NotTaken
from lenstui.jobs.export_things import NOTEBOOK, Thing
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.taking import take_view
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.lens.kinds import made_lens
from lenstui.lens.names import kind_word
from lenstui.support.errors import SHORTER_BLOCKS, LensError, failure
from lenstui.support.paths import instant_lenses, made
from lenstui.support.request import Start
from lenstui.texts.bundled import text_name

if TYPE_CHECKING:
    from torch import Tensor

    from lenstui.evaluation.evaluate import Quality, Tally
    from lenstui.export.figures.file import FigureFile
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.opening.opened import Opened
    from lenstui.opening.sides import Sides
    from lenstui.texts.documents import SkippedLines

_KIND = "evaluation"  # the kind of all jobs that evaluate: each stops the former one
_PRIORITY = 1  # behind prompts
SHOW_EVERY = 1.0  # seconds between two looks at what was measured, unless a look takes long
_SHARE = 0.1  # of the time that looks take, at most
GONE = "The models or lenses on screen have changed meanwhile: choose anew."
OTHER_MODEL = "The model was taken away: what was measured stays."
IN_NO_FILE = "No command makes the same: the {} is in no file. o lists it, s saves it."
NOTHING = "Stopped before a block was read whole: nothing was measured."


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """An order to write an evaluation.

    Attributes:
        number: the number of the order.
        found: the evaluation.
        thing: the form, or `command`.
        file: the file; None for the clipboard.
    """

    number: int
    found: FoundEvaluation
    thing: Thing
    file: Path | None


class EvaluationService:
    """A service that makes one evaluation at a time. Its methods return at once; the results are posted."""

    def __init__(self, post: Post, thread: JobThread, file_thread: JobThread, model_jobs: ModelJobs) -> None:
        """Prepare the service.

        Args:
            post: takes `LensesEvaluated`, for every screen.
            thread: the thread that does model work.
            file_thread: the thread that writes files.
            model_jobs: the jobs with the open model and the sides.
        """
        self._post = post
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs

    @property
    def offered(self) -> tuple[OfferedModel, ...]:
        """The models on screen, each with the lenses that can be evaluated on it; none while none is open."""
        sides = self._model_jobs.sides  # never modified, only replaced
        return () if sides is None else offered_models(sides)

    def evaluate(self, number: int, asked: EvaluationAsked, start: Start, post: Post) -> None:
        """Make an evaluation; the one before ends.

        Args:
            number: a number for the messages.
            asked: what is evaluated.
            start: the request that the program was started with.
            post: takes `EvaluationRead`, `EvaluationGrown`, and `EvaluationEnded` at the end.
        """

        def steps(stop: Stop) -> Iterator[None]:
            def fail(text: str) -> None:
                post(EvaluationEnded(number, EvaluationEnd.FAILED, text))

            with reporting(fail, "Evaluating failed", SHORTER_BLOCKS):
                yield from self._evaluate(number, asked, start, post, stop)

        self._thread.submit(_KIND, steps, priority=_PRIORITY, answers=True)

    def stop(self) -> None:
        """End the evaluation under way; what was measured is posted, and kept."""
        self._thread.submit(_KIND, lambda stop: None, priority=_PRIORITY)

    def write(self, order: EvaluationOrder, post: Post) -> None:
        """Write an evaluation in a form of `lenstui eval`, or the command that makes it."""
        self._file_thread.submit(f"write {order.file}", lambda stop: _write(order, post))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _evaluate(
        self, number: int, asked: EvaluationAsked, start: Start, post: Post, stop: Stop
    ) -> Iterator[None]:
        from lenstui.evaluation.evaluate import Tally
        from lenstui.evaluation.keeping import keep_as_last
        from lenstui.texts.blocks import TOO_LITTLE, token_blocks
        from lenstui.texts.documents import SkippedLines, read_documents

        began = time.monotonic()
        opened, lenses = self._chosen(asked)
        model, skipped = opened.model, SkippedLines()
        length = asked.size.columns(model.context)
        most = asked.size.max_tokens // length
        blocks = token_blocks(model.tokenizer, read_documents(asked.documents, skipped), length)
        tally = Tally(model, lenses)
        makes = _Found(opened, lenses, asked, start, skipped)
        read, trouble, is_stopped = 0, "", False
        posted, looked, next_look = began, 0, 0.0
        try:
            for columns in _pieces(tally, islice(blocks, most)):
                read, now = read + columns, time.monotonic()
                if now - posted > POST_EVERY:
                    posted = now
                    left = (now - began) / read * (most * length - read)
                    post(EvaluationRead(number, read, most * length, left))
                if is_stopped := stop() or not self._has(model):
                    break
                if tally.tokens > looked and now > next_look:
                    looked = tally.tokens
                    post(EvaluationGrown(number, makes.of(tally.qualities(), is_whole=False)))
                    next_look = time.monotonic() + max(SHOW_EVERY, (time.monotonic() - now) / _SHARE)
                yield
        except (LensError, IndexError, MemoryError, RuntimeError) as error:  # out of memory: a RuntimeError
            trouble = str(error)
            if not isinstance(error, LensError):
                trouble = failure("Evaluating failed", error, SHORTER_BLOCKS)
        qualities = tally.qualities()
        if not qualities:
            end = EvaluationEnd.STOPPED if is_stopped and not trouble else EvaluationEnd.FAILED
            text = NOTHING if is_stopped else TOO_LITTLE
            post(EvaluationEnded(number, end, trouble or text, time.monotonic() - began))
            return
        if is_stopped and not self._has(model):
            trouble = OTHER_MODEL
        found = makes.of(qualities, is_whole=not (is_stopped or trouble))
        not_kept = keep_as_last(model, lenses, qualities, asked.documents.paths) or ""
        post(EvaluationGrown(number, found))
        self._post(LensesEvaluated())
        end = EvaluationEnd.FAILED if trouble else EvaluationEnd.STOPPED if is_stopped else EvaluationEnd.DONE
        post(EvaluationEnded(number, end, trouble or not_kept, time.monotonic() - began))

    def _chosen(self, asked: EvaluationAsked) -> tuple[Opened, list[Lens]]:
        """Return the model that is evaluated on, and the lenses.

        Raises:
            LensError: if one of them is no longer at hand.
        """
        sides = self._model_jobs.sides
        if sides is None:
            raise LensError(GONE)
        now = offered_models(sides)
        if asked.model not in now:
            raise LensError(GONE)
        of_models = opened_models(sides)
        return of_models[asked.model.number], [
            _keyed(of_models[lens.number])[lens.key] for lens in asked.lenses
        ]

    def _has(self, model: Model) -> bool:
        """Return whether some side still shows a model."""
        sides = self._model_jobs.sides
        return sides is not None and any(each is model for each in sides.models)


def opened_models(sides: Sides) -> list[Opened]:
    """Return the models on the sides, each once, with the lenses at hand."""
    return [next(side.opened for side in sides.sides if side.model is model) for model in sides.models]


def offered_models(sides: Sides) -> tuple[OfferedModel, ...]:
    """Return the models on the sides, each with the lenses that can be evaluated on it."""
    of_models = opened_models(sides)
    return tuple(
        OfferedModel(number, opened.model.name, opened.model.context, tuple(_offered(of_models, number)))
        for number, opened in enumerate(of_models)
    )


def _offered(of_models: Sequence[Opened], number: int) -> Iterator[OfferedLens]:
    """Yield the lenses for a model: its own, and those of the others that have its shape."""
    of = of_models[number]
    shape, files = (of.model.num_blocks, of.model.d_model), {lens.file for lens in of.fitted}
    yield from _of_model(of, number)
    for other, opened in enumerate(of_models):
        if other != number:
            fitting = [lens for lens in opened.fitted if lens.shape == shape and lens.file not in files]
            name = opened.model.name.rpartition("/")[2]
            for lens in _of_model(opened, other, fitting):
                yield replace(lens, title=f"{lens.title} of {name}", remark=f"It is a lens of {name}.")


def _of_model(opened: Opened, number: int, some: Sequence[Lens] | None = None) -> Iterator[OfferedLens]:
    """Yield the lenses at hand for a model, or some of its fitted ones."""
    for key, lens in _keyed(opened).items():
        if some is None or lens in some:
            data = lens.fit.get("data")
            names = tuple(map(str, data)) if isinstance(data, list | tuple) else ()
            title = f"{kind_word(lens.kind)} lens {lens.name}".rstrip()
            yield OfferedLens(number, key, title, names, opened.warnings.get(lens, ""))


def _keyed(opened: Opened) -> dict[str, Lens]:
    """Return the lenses at hand for a model by their keys."""
    from lenstui.lens.lens import lens_keys

    return dict(zip(lens_keys(opened.lenses), opened.lenses, strict=True))


def _pieces(tally: Tally, blocks: Iterable[Tensor]) -> Iterator[int]:
    """Read blocks, and yield after each piece of one how many columns it had."""
    for block in blocks:
        yield from tally.read(block)


class _Found:
    """What makes evaluations for the screen of the qualities of one job."""

    def __init__(
        self,
        opened: Opened,
        lenses: Sequence[Lens],
        asked: EvaluationAsked,
        start: Start,
        skipped: SkippedLines,
    ) -> None:
        from lenstui.evaluation.marginal_bias import marginal_bias_refusal
        from lenstui.opening.opened import source_of

        source = source_of(opened, lenses)
        if Path(source.model).is_dir():  # so that it is found from everywhere
            source = replace(source, model=str(Path(source.model).absolute()))
        self._source, self._asked, self._skipped = source, asked, skipped
        # The trust was in the code of the first model alone.
        trusts = start.trust_remote_code and asked.model.number == 0
        self._start = replace(start, trust_remote_code=trusts)
        self._files = _files_to_name(opened, lenses)
        unsaved = [lens for lens in lenses if made_lens(lens.kind) is None and lens.file is None]
        self._no_command = IN_NO_FILE.format(f"{kind_word(unsaved[0].kind)} lens") if unsaved else ""
        self._refusal = marginal_bias_refusal(opened.model, lenses)

    def of(self, qualities: Mapping[str, Quality], *, is_whole: bool) -> FoundEvaluation:
        """Return what was measured; not whole, it is said to be stopped there."""
        from lenstui.export.evaluation import Evaluated

        of = Evaluated(qualities, self._source, self._asked.documents.paths, stopped=not is_whole)
        said = (self._refusal, str(self._skipped) if self._skipped.count else None)
        remarks = tuple(filter(None, said))
        return FoundEvaluation(of, self._asked, self._files, self._start, self._no_command, remarks)


def _files_to_name(opened: Opened, lenses: Sequence[Lens]) -> tuple[Path, ...]:
    """Return the files of lenses for a command to name: all but one that it opens by itself.

    It opens one by itself only where no other of its kind is named.
    """
    from lenstui.opening.opened import files_to_name

    own = [lens for lens in lenses if lens in opened.lenses]
    named, kinds = set(files_to_name(opened, own)), Counter(lens.kind for lens in lenses)
    return tuple(
        lens.file.absolute()
        for lens in lenses
        if lens.file is not None
        and (
            lens.file in named
            or kinds[lens.kind] > 1
            or lens not in own
            or lens.file.parent == instant_lenses()
        )
    )


# ── on the file thread ───────────────────────────────────────────────────────────────────────────────────


def _write(order: EvaluationOrder, post: Post) -> None:
    from lenstui.export.evaluation import write_evaluation_parquet
    from lenstui.support.atomic_file import written

    with reporting(lambda text: post(NotTaken(order.number, text)), "It was not written"):
        file, of, form = order.file, order.found.evaluated, order.thing.key
        if order.thing is NOTEBOOK:
            texts = ", ".join(text_name(Path(each)) for each in of.data)
            post(keep_view("evaluation", texts, _text(order, "md"), lambda: _figure(order, "svg")))
            return
        if file is None or form != "parquet":
            text, figure = partial(_text, order), partial(_figure, order)
            post(take_view(order.number, order.thing, file, text=text, figure=figure))
            return
        made(file.parent)
        with written(file) as out:
            write_evaluation_parquet(of, out)
        post(FileTaken(order.number, file))


def _figure(order: EvaluationOrder, form: str) -> FigureFile:
    from lenstui.export.evaluation_forms import shown_measures
    from lenstui.export.figures.evaluation import evaluation_figure

    found, measures = order.found, shown_measures(form)
    command = found.command(form, order.file)
    return evaluation_figure(form, found.evaluated, measures, FigureStyle(), command)


def _text(order: EvaluationOrder, form: str) -> str:
    from lenstui.evaluation.measures import MEASURE_NAMES
    from lenstui.export.evaluation_forms import evaluation_text

    found = order.found
    if form != "command":
        measures = MEASURE_NAMES if form == "table" else None  # as the screen has them
        return "".join(
            evaluation_text(
                form,
                found.evaluated,
                lambda: found.command(form, order.file),
                measures=measures,
                errors=True,
            )
        )
    if found.no_command:
        raise LensError(found.no_command)
    return found.command() + ("" if order.file is None else "\n")
