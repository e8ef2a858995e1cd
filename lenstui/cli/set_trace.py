"""Causal traces over a prompt set on the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from lenstui.cli.asked_set import AskedSet, opened_prompts
from lenstui.cli.output import deliver, deliver_figure, show_text, table_width
from lenstui.cli.stderr import aside, progress, say
from lenstui.edits.trace_options import TraceOptions
from lenstui.export.shape import Shape
from lenstui.support.atomic_file import check_place
from lenstui.support.duration import duration
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.edits.set_trace import CaseTrace
    from lenstui.export.set_trace import TracedSet
    from lenstui.opening.opened import Opened
    from lenstui.readout.sets.cases import FailedCase
    from lenstui.readout.sets.prompts import PromptSet

_NAMED = 3  # prompts that are left out, listed with their reasons


def show_set_trace(asked: Start, asked_set: AskedSet, options: TraceOptions, shape: Shape) -> int:
    """Trace the prompts of a set, write the means, and return the exit status."""
    output = shape.output
    if output is not None:
        check_place(output, special=True)
    prompts = opened_prompts(asked_set)  # before the model, since loading takes long
    cases: list[CaseTrace | FailedCase] = []
    try:
        with progress() as on_stage, aside():
            from lenstui.opening.opened import open_model

            opened = open_model(asked, on_stage)
            cases.extend(_watched(opened, prompts, options, asked, on_stage))
    except KeyboardInterrupt:
        say(f"Stopped: {len(cases)} of {len(prompts.cases)} prompts were traced, and nothing is written.")
        return 130
    traced = _of(cases, opened, prompts, options, asked)
    for remark in (*opened.remarks, *_remarks(cases, prompts)):
        say(remark)
    _write(traced, asked, asked_set, shape)
    return 0


def _watched(
    opened: Opened,
    prompts: PromptSet,
    options: TraceOptions,
    asked: Start,
    on_stage: Callable[[str], None],
) -> Iterator[CaseTrace | FailedCase]:
    """Yield the traces, and report after each row how far they are and how long they take."""
    from lenstui.edits.set_trace import trace_set
    from lenstui.readout.reading import Reading

    count, began, done = len(prompts.cases), time.monotonic(), 0

    def on_row(row: int, rows: int) -> None:
        part = (done + row / rows) / count
        left = (time.monotonic() - began) * (1 - part) / part
        on_stage(f"prompt {done + 1} of {count} · row {row} of {rows} · about {duration(left)} left")

    on_stage("reading the prompts")
    for each in trace_set(
        opened.model, prompts.cases, options, reading=Reading(bos=asked.bos), on_row=on_row
    ):
        done += 1
        yield each


def _of(
    cases: list[CaseTrace | FailedCase],
    opened: Opened,
    prompts: PromptSet,
    options: TraceOptions,
    asked: Start,
) -> TracedSet:
    """Return the traces for a form, and raise `LensError` if there is none."""
    from lenstui.export.set_trace import TracedSet
    from lenstui.lens.logit import LogitLens
    from lenstui.opening.opened import source_of
    from lenstui.readout.reading import Reading
    from lenstui.readout.sets.cases import FailedCase

    if all(isinstance(each, FailedCase) for each in cases):
        reason = next(each.reason for each in cases if isinstance(each, FailedCase))
        raise LensError(f"No prompt of {prompts.name} can be traced: {reason}")
    source = source_of(opened, [LogitLens()], Reading(bos=asked.bos))
    texts = opened.model.texts
    return TracedSet(tuple(cases), options, prompts.name, prompts.skipped.count, source, texts)


def _remarks(cases: list[CaseTrace | FailedCase], prompts: PromptSet) -> Iterator[str]:
    from lenstui.readout.sets.cases import FailedCase

    yield from prompts.remarks
    failed = [each for each in cases if isinstance(each, FailedCase)]
    if failed:
        unit = prompts.skipped.unit
        why = [f"{unit} {each.case.number}: {each.reason}" for each in failed[:_NAMED]]
        why += [f"And {len(failed) - _NAMED} more."] if len(failed) > _NAMED else []
        are = "is" if len(failed) == 1 else "are"
        yield f"{len(failed)} of {len(cases)} prompts {are} left out: {' '.join(why)}"


def _write(traced: TracedSet, asked: Start, asked_set: AskedSet, shape: Shape) -> None:
    from lenstui.export.command import set_trace_command
    from lenstui.export.set_trace import (
        set_trace_csv,
        set_trace_json,
        set_trace_markdown,
        set_trace_table,
    )

    form, output = shape.format, shape.output
    if form == "table":
        show_text(set_trace_table(traced, table_width(output)), output)
        return
    command = set_trace_command(traced.options, traced.source, asked_set.options, asked, shape)
    if shape.is_figure:
        from lenstui.export.figures.trace import set_trace_figure

        deliver_figure(set_trace_figure(form, traced, shape.style, command), output)
        return
    text: str | Iterable[str]
    if form == "json":
        text = set_trace_json(traced)
    elif form == "csv":
        text = set_trace_csv(traced)
    else:
        text = set_trace_markdown(traced, command)
    deliver(text, output)
