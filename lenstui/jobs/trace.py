"""The jobs that make causal traces on screen, and write them to files.

The model thread traces, and gives way after every pass of the model, so that prompts are answered meanwhile.
The file thread writes. Torch is imported inside the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.figures.style import FigureStyle
from lenstui.jobs.export_messages import NotTaken
from lenstui.jobs.export_things import NOTEBOOK, Thing
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.taking import take_view
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.jobs.trace_messages import (
    FoundTrace,
    PromptAsked,
    TraceAsked,
    TraceEnd,
    TraceEnded,
    TraceGrown,
)
from lenstui.readout.reading import Reading
from lenstui.support.errors import SHORTER_PROMPT, LensError, failure
from lenstui.support.request import Start
from lenstui.support.turns import Conversation, Turn, text_of

if TYPE_CHECKING:
    from lenstui.edits.trace import Progress, Trace
    from lenstui.edits.trace_options import TraceOptions
    from lenstui.export.figures.file import FigureFile
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened
    from lenstui.opening.source import Source

_KIND = "trace"  # the kind of all jobs that trace: each stops the former one
_PRIORITY = 1  # behind prompts
GONE = "The sides have changed meanwhile: go back, and T asks anew."
OTHER_MODEL = "The model was taken away: what was traced stays."


@dataclass(frozen=True, slots=True)
class TraceOrder:
    """An order to write a trace.

    Attributes:
        number: the number of the order.
        found: the trace.
        thing: the form, or `command`.
        file: the file; None for the clipboard.
    """

    number: int
    found: FoundTrace
    thing: Thing
    file: Path | None


class TraceService:
    """A service that makes one trace at a time. Its methods return at once; the results are posted."""

    def __init__(self, thread: JobThread, file_thread: JobThread, model_jobs: ModelJobs) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            file_thread: the thread that writes files.
            model_jobs: the jobs with the open model and the sides.
        """
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs

    def trace(self, number: int, asked: TraceAsked, start: Start, post: Post) -> None:
        """Make a trace; the one before ends.

        Args:
            number: a number for the messages.
            asked: what is traced.
            start: the request that the program was started with.
            post: takes `TraceGrown`, and `TraceEnded` at the end.
        """

        def steps(stop: Stop) -> Iterator[None]:
            def fail(text: str) -> None:
                post(TraceEnded(number, TraceEnd.FAILED, text))

            with reporting(fail, "Tracing failed", SHORTER_PROMPT):
                yield from self._trace(number, asked, start, post, stop)

        self._thread.submit(_KIND, steps, priority=_PRIORITY, answers=True)

    def stop(self) -> None:
        """End the trace under way after the pass that is being done; what it has found is posted."""
        self._thread.submit(_KIND, lambda stop: None, priority=_PRIORITY)

    def write(self, order: TraceOrder, post: Post) -> None:
        """Write a trace in a form of `lenstui trace`, or the command that makes it."""
        self._file_thread.submit(f"write {order.file}", lambda stop: _write(order, post))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _trace(self, number: int, asked: TraceAsked, start: Start, post: Post, stop: Stop) -> Iterator[None]:
        from lenstui.export.trace import Traced

        began = time.monotonic()
        opened, is_first = self._opened(asked)
        model, reading = opened.model, asked.reading
        clean = _prompt(model, reading, asked.clean)
        corrupted = None if asked.by_noise else _prompt(model, reading, _beside(asked))
        options = _options(model, clean, asked)
        source = _source(opened, reading)
        prompts = [clean] if corrupted is None else [clean, corrupted]
        no_command = _no_command(model, reading, prompts, is_first=is_first)

        def found_of(trace: Trace) -> FoundTrace:
            chosen = {token for token in (trace.options.token, trace.options.minus) if token is not None}
            texts = model.texts.of({*trace.clean_ids, *trace.ids, *chosen})
            traced = Traced(trace, clean, corrupted, source, texts)
            return FoundTrace(traced, replace(start, bos=reading.bos), no_command)

        posted, rows, first = 0.0, -1, 0.0
        for progress in _passes(model, clean, corrupted, options):
            now, trace = time.monotonic(), progress.trace
            first = first or now
            is_stopped = stop() or not self._has(model)
            if is_stopped or trace.done > rows or now - posted > POST_EVERY:
                posted, rows = now, trace.done
                left = _left(progress, first, now)
                post(TraceGrown(number, found_of(trace), progress.done, progress.passes, left))
            if is_stopped:
                reason = "" if self._has(model) else OTHER_MODEL
                end = TraceEnd.FAILED if reason else TraceEnd.STOPPED
                post(TraceEnded(number, end, reason, now - began))
                return
            yield
        post(TraceEnded(number, TraceEnd.DONE, seconds=time.monotonic() - began))

    def _opened(self, asked: TraceAsked) -> tuple[Opened, bool]:
        """Return the model that is traced, and whether it is that of the first side."""
        if (sides := self._model_jobs.sides) is None:
            raise LensError(GONE)
        models = sides.models
        if asked.number >= len(models) or models[asked.number].name != asked.model:
            raise LensError(GONE)
        model = models[asked.number]
        return next(side.opened for side in sides.sides if side.model is model), asked.number == 0

    def _has(self, model: Model) -> bool:
        """Return whether some side still shows a model."""
        sides = self._model_jobs.sides
        return sides is not None and any(each is model for each in sides.models)


def _left(progress: Progress, first: float, now: float) -> float | None:
    """Return how many seconds a trace still takes, about; None where nothing says so yet.

    Args:
        progress: how far it is.
        first: when its first pass began, in seconds.
        now: what time it is then.
    """
    if not progress.done:
        return None
    return (now - first) / progress.done * (progress.passes - progress.done)


def _passes(
    model: Model, clean: Prompt, corrupted: Prompt | None, options: TraceOptions
) -> Iterator[Progress]:
    from lenstui.edits.trace import trace_passes

    try:
        yield from trace_passes(model, clean, corrupted, options)
    except LensError:
        raise
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Tracing failed", error, SHORTER_PROMPT)) from error


def _beside(asked: TraceAsked) -> PromptAsked:
    """Return the corrupted prompt; a text beside turns is one turn of the user."""
    text = asked.corrupted.prompt
    if isinstance(asked.clean.prompt, str) or not isinstance(text, str):
        return asked.corrupted
    return PromptAsked(Conversation((Turn("user", text),)))


def _prompt(model: Model, reading: Reading, asked: PromptAsked) -> Prompt:
    if not asked.tail:
        return reading.prompt(model, asked.prompt, ids=asked.ids)
    prompt = reading.prompt(model, asked.stem, tail=asked.tail, ids=asked.ids)
    return prompt.saying(model.texts.join(asked.tail))


def _options(model: Model, clean: Prompt, asked: TraceAsked) -> TraceOptions:
    """Return the options with the tokens of the typed words.

    Raises:
        LensError: if no token is one of the words.
    """
    from lenstui.readout.pins import find_pins

    found: list[int | None] = []
    for word in asked.words:
        if not word:
            found.append(None)
            continue
        pin, *_ = find_pins(
            model.tokenizer, model.texts, [word], prompt=clean.text, vocabulary=model.vocabulary
        )
        found.append(pin.id)
    token, minus = found
    return replace(asked.options, token=token, minus=minus)


def _source(opened: Opened, reading: Reading) -> Source:
    from lenstui.lens.logit import LogitLens
    from lenstui.opening.opened import source_of

    return source_of(opened, [LogitLens()], reading).from_anywhere


def _no_command(model: Model, reading: Reading, prompts: list[Prompt], *, is_first: bool) -> str:
    """Return why no command makes the same trace; nothing where one does."""
    from lenstui.export.command import can_be_typed

    if not is_first:
        return "No command says the same: the model is not that of the first side."
    if not all(can_be_typed(text_of(prompt.typed)) for prompt in prompts):
        return "No command says the same: a command line cannot hold this prompt."
    if len({isinstance(prompt.typed, str) for prompt in prompts}) > 1:
        return "No command says the same: one prompt is a text, and the other is turns."
    as_typed = Reading(bos=reading.bos)
    if any(as_typed.prompt(model, prompt.typed).ids != prompt.ids for prompt in prompts):
        return "No command says the same: a prompt has other tokens than its text is cut into."
    return ""


# ── on the file thread ───────────────────────────────────────────────────────────────────────────────────


def _write(order: TraceOrder, post: Post) -> None:
    with reporting(lambda text: post(NotTaken(order.number, text)), "It was not written"):
        if order.thing is NOTEBOOK:
            clean = order.found.traced.clean
            post(keep_view("causal trace", clean.text, _text(order, "md"), lambda: _figure(order, "svg")))
            return
        text, figure = partial(_text, order), partial(_figure, order)
        post(take_view(order.number, order.thing, order.file, text=text, figure=figure))


def _figure(order: TraceOrder, form: str) -> FigureFile:
    from lenstui.export.figures.trace import trace_figure

    found = order.found
    return trace_figure(form, found.traced, FigureStyle(), found.command(form, order.file))


def _text(order: TraceOrder, form: str) -> str:
    from lenstui.export.trace import trace_csv, trace_json, trace_markdown, trace_table

    found = order.found
    match form:
        case "json":
            return trace_json(found.traced)
        case "csv":
            return "".join(trace_csv(found.traced))
        case "md":
            return trace_markdown(found.traced, found.command("md", order.file))
        case "table":
            return trace_table(found.traced)
    if found.no_command:
        raise LensError(found.no_command)
    command = found.command()
    return command if order.file is None else f"{command}\n"
