"""The loop of a fit: the closed form, then steps by KL, as a generator of progress for any caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor

from lenstui.fitting.closed_form import NormalEquations
from lenstui.fitting.first_states import FirstStates, first_states
from lenstui.fitting.held_out import is_measured, measure_a_part, measure_lens, measure_logit_lens
from lenstui.fitting.progress import FitProgress, Work, at_share, timed
from lenstui.fitting.state import Fit, block_at, mixed_seed
from lenstui.fitting.steps import refine
from lenstui.fitting.tempering import Tempering, tempering
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import LensError
from lenstui.texts.blocks import TOO_LITTLE

_TEMPERED_ON = 8  # one of the first columns in so many is what a closed form is tempered on


def fit_steps(fit: Fit) -> Iterator[FitProgress]:
    """Do the rest of a fit, yielding after every piece of work.

    A caller may pause by not asking for the next item, and stop by never asking again: at every yield
    `fit.state` is consistent, and can be written, kept, or continued by another call.

    Held-out KL is measured at the start (that of the logit lens) and at the end, and on a fourth of the
    held-out columns after the closed form and a few times while refining.

    Yields:
        The progress after each piece of work.

    Raises:
        LensError: if there is too little text, or a loss is not finite.
    """
    fit.options.check()
    if not fit.blocks.train or not fit.blocks.held_out:
        raise LensError(TOO_LITTLE)
    state, options, first = fit.state, fit.options, cache(partial(first_states, fit))
    if state.logit_lens_kl is None:
        yield from _stage(fit, "logit lens", measure_logit_lens(fit))
    if options.closed_form_tokens and state.solved_rows < fit.model.num_blocks:
        yield from _stage(fit, "closed form", _closed_form(fit, first))
    if state.measured_step < 0 and (options.closed_form_tokens or options.starts_from):
        yield from _stage(fit, "measuring", measure_a_part(fit))
    if state.step < options.steps:
        yield from _stage(fit, "refining", refine(fit, first))
    yield from measure(fit)


def closed_form_steps(fit: Fit) -> Iterator[FitProgress]:
    """Do the rest of a fit that has a closed form and no steps, and measure its lens after that.

    Other than with `fit_steps`, nothing is measured before the rows are solved.

    Yields:
        The progress after each piece of work; `fit.state` is consistent then.

    Raises:
        LensError: if the hidden states are not finite.
    """
    if fit.state.solved_rows < fit.model.num_blocks:
        yield from _stage(fit, "closed form", _closed_form(fit, cache(partial(first_states, fit))))
    yield from measure(fit)


def measure(fit: Fit) -> Iterator[FitProgress]:
    """Measure the held-out KL of the current lens on all held-out blocks, unless it is known, to end a fit.

    Yields:
        The progress after each piece of work; the last one's stage is `done`.
    """
    if fit.state.logit_lens_kl is None:
        yield from _stage(fit, "logit lens", measure_logit_lens(fit))
    if not is_measured(fit):
        yield from _stage(fit, "measuring", measure_lens(fit))
    yield _progress(fit, "done", 1.0)


def _stage(fit: Fit, name: str, work: Work) -> Iterator[FitProgress]:
    """Drive a stage, and count the time that it takes."""
    return timed(fit.state, work, partial(_progress, fit, name))


def _progress(fit: Fit, stage: str, share: float) -> FitProgress:
    state, steps = fit.state, fit.options.steps
    return FitProgress(
        stage=stage,
        share=share,
        step=state.step,
        steps=steps,
        tokens=state.tokens,
        seconds=state.seconds,
        eta=state.step_seconds / state.step * (steps - state.step) if state.step else None,
        loss=_rows(state.loss),
        logit_lens_kl=_rows(state.logit_lens_kl),
        held_out_kl=_rows(state.held_out_kl),
        held_out_error=state.held_out_error,
        measured_step=state.measured_step,
        measured_tokens=state.measured_tokens,
    )


def _rows(values: Tensor | None) -> FloatArray | None:
    return None if values is None else values.cpu().numpy()


# ── the closed form ──────────────────────────────────────────────────────────────────────────────────────


def _closed_form(fit: Fit, first: Callable[[], FirstStates]) -> Work:
    """Solve every row, some rows at a time where the normal equations of all would not fit in memory."""
    processes, model, state, train = fit.processes, fit.model, fit.state, fit.blocks.train
    count = min(len(train), max(1, fit.options.closed_form_tokens // len(train[0])))
    while state.solved_rows < model.num_blocks:
        if state.normal is None:
            state.normal = NormalEquations.new(
                state.solved_rows, model.num_blocks, model.d_model, model.device
            )
        normal = state.normal
        rows = len(normal.rows) / model.num_blocks
        while normal.blocks < count:
            places = range(normal.blocks, min(normal.blocks + processes.count, count))  # a round
            chosen = [train[block_at(place, len(train), fit.options.seed)] for place in places]
            with processes.together():
                own = [model.stream(chosen[at][None])[:, 0] for at in processes.own(range(len(chosen)))]
            with torch.no_grad():  # added when no process can fail any more
                for h in own:
                    normal.add(h)
            normal.blocks = places.stop
            if not normal.first_row:
                state.tokens += sum(map(len, chosen))
            yield (normal.first_row / model.num_blocks) + rows * normal.blocks / count
        with processes.together():
            tempers = _tempering(fit, first())
        done = (normal.first_row / model.num_blocks) + rows
        while state.normal is not None:
            places = normal.rows[state.solved_rows - normal.first_row :][: processes.count]  # a round
            for solver, row in enumerate(places):
                processes.gather(normal.parts_of(row), solver)
            yield from processes.meeting(_solve(fit, normal, processes.own(places), tempers, done))
            for solver, row in enumerate(places):
                processes.send((state.weights[row], state.biases[row]), solver)
            state.solved_rows = places.stop
            if state.solved_rows == normal.rows.stop:
                state.normal, state.position = None, count
            yield done


def _solve(fit: Fit, normal: NormalEquations, rows: range, tempers: Tempering | None, done: float) -> Work:
    """Solve and temper some rows, and yield how far the closed form is wherever tempering yields."""
    for row in rows:
        weight, bias = normal.solve(row)
        if tempers is not None:
            bias = bias + (yield from at_share(tempers.offset(row, weight, bias), done, torch.no_grad))
        with torch.no_grad():
            fit.state.weights[row].copy_(weight)
            fit.state.biases[row].copy_(bias)


def _tempering(fit: Fit, first: FirstStates) -> Tempering | None:
    """Return what tempers the rows, the same in a resumed fit."""
    head = first.head
    if head is not None and first.vocabulary is not None:
        head = first.vocabulary.draw(head, mixed_seed(fit.options.seed, "tempering"))
    return tempering(fit.model, first.h[:, ::_TEMPERED_ON].clone(), head, first.mean_probs)
