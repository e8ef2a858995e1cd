"""The loop of the fit of a Jacobian lens, as a generator of progress for any caller.

`J_i = mean over prompts [mean over source columns p of the sum over target columns p' ≥ p of
∂h_L[p'] / ∂h_i[p]]` (Gurnee et al. 2026). Columns are those behind the first `skip_first`, and before the
last one.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from lenstui.fitting.jacobian.by_parts import PartsGraph
from lenstui.fitting.jacobian.convergence import shared_top
from lenstui.fitting.jacobian.graph import Graph, scaled
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian.ways import field_of, graph_of, not_finite, prove_parts, proven_way
from lenstui.fitting.progress import FitProgress, timed
from lenstui.support.errors import LensError

_PIECE = 0.2  # seconds after which it is said how far a piece of work is
_MEASURE_SHARE = 0.1  # of the prompts' time: above it no further measurement begins

_Work = Generator[float, None, None]  # yields the finished share of its stage


def jacobian_steps(fit: JacobianFit) -> Iterator[FitProgress]:
    """Do the rest of a fit, yielding after every piece of work: some output dimensions of a prompt.

    A caller may pause by not asking for the next item, and stop by never asking again: at every yield
    `fit.state` is consistent, and can be written, kept, or continued by another call.

    Convergence is measured whenever the number of prompts has doubled, and at the end.

    Yields:
        The progress after each piece of work.

    Raises:
        LensError: if the model cannot be differentiated, or its numbers are not finite.
    """
    fit.options.check()
    state = fit.state
    if state.way is None:
        yield from _stage(fit, "checking", _check(fit))
    while state.prompts < len(fit.prompts.train):
        yield from _stage(fit, "prompts", _prompt(fit))
        if fit.processes.decided(_is_due(fit)):
            yield from _stage(fit, "measuring", _measure(fit))
    yield from measure_convergence(fit)


def measure_convergence(fit: JacobianFit) -> Iterator[FitProgress]:
    """Measure the convergence of the current lens, unless it is known, to end a fit.

    Yields:
        The progress after each piece of work; the last one's stage is `done`.
    """
    if fit.state.measured_prompts != fit.state.prompts and fit.state.has_halves:
        yield from _stage(fit, "measuring", _measure(fit))
    yield _progress(fit, "done", 1.0)


def _stage(fit: JacobianFit, name: str, work: _Work) -> Iterator[FitProgress]:
    """Drive a stage, and count the time that it takes."""
    return timed(fit.state, work, partial(_progress, fit, name))


def _progress(fit: JacobianFit, stage: str, share: float) -> FitProgress:
    state, count = fit.state, len(fit.prompts.train)
    done = share * count if stage == "prompts" else state.prompts + state.dims / fit.model.d_model
    return FitProgress(
        stage=stage,
        share=share,
        step=state.prompts,
        steps=count,
        tokens=state.prompts * len(fit.prompts.train[0]),
        seconds=state.seconds,
        eta=state.prompt_seconds / done * (count - done) if done else None,
        measured_step=state.measured_prompts,
        measured_tokens=fit.held_out.shape[1],
        convergence=None if state.convergence is None else state.convergence.numpy(),
    )


def _check(fit: JacobianFit) -> _Work:
    """Find the fastest way that gives the right Jacobian."""
    ids, way = fit.prompts.train[0], None
    with fit.processes.together():
        if fit.processes.is_first:
            if fit.state.field is not None:
                prove_parts(fit.model, ids, fit.derivative)
            way = proven_way(fit.model, ids, fit.derivative, fit.rules)
    fit.state.way = fit.processes.said_by(0, way)
    yield 1.0


def _prompt(fit: JacobianFit) -> _Work:
    """Do the rest of the current prompt, and yield whenever the state is further or some time has passed."""
    state, clock = fit.state, time.monotonic()
    done = state.prompts, state.dims
    for share in _pieces_of_prompt(fit):
        if (taken := time.monotonic() - clock) < _PIECE and done == (state.prompts, state.dims):
            continue
        state.prompt_seconds += taken
        yield share
        clock, done = time.monotonic(), (state.prompts, state.dims)


def _pieces_of_prompt(fit: JacobianFit) -> _Work:
    processes, model, state = fit.processes, fit.model, fit.state
    assert state.way is not None
    if not state.is_exact:
        yield from _fields(fit)
        return
    number, ids, d = state.prompts, fit.prompts.train[state.prompts], model.d_model
    with processes.together():
        field = None if state.field is None else field_of(model, ids, fit.derivative)
        graph = graph_of(model, ids, fit.derivative, state.way, fit.rules)
    chunk = -processes.highest(-graph.chunk)
    while state.prompts == number:
        each = min(chunk, -(-(d - state.dims) // processes.count))
        begins = range(state.dims, d, each)[: processes.count]  # a round: some output dimensions for each
        own = [range(begin, min(begin + each, d)) for begin in processes.own(begins)]
        for dims, jacobian in (yield from processes.meeting(_jacobians(fit, graph, own))):
            state.add(jacobian, dims.start, fit.held_out, field)
        stop = min(begins[-1] + each, d)
        if stop == d and field is not None and processes.is_first:
            state.add_field(field, number, fit.held_out)
        state.advance(stop)
        yield (state.prompts + state.dims / d) / len(fit.prompts.train)


def _jacobians(
    fit: JacobianFit, graph: Graph | PartsGraph, of: Sequence[range]
) -> Generator[float, None, list[tuple[range, Tensor]]]:
    """Return ranges of output dimensions of the current prompt, each with its part of every row's Jacobian.

    Yields:
        What is done of all prompts.
    """
    d, count, found = fit.model.d_model, len(fit.prompts.train), []
    for dims in of:
        begin = (fit.state.prompts + dims.start / d) / count
        jacobian = yield from scaled(graph.jacobian_steps(dims), begin, len(dims) / d / count)
        if not bool(torch.isfinite(jacobian).all()):
            raise LensError(not_finite(fit.model))
        found.append((dims, jacobian))
    return found


def _fields(fit: JacobianFit) -> _Work:
    """Add the mean fields of a round of prompts whose Jacobians are not computed, one in each process."""
    processes, state, prompts = fit.processes, fit.state, fit.prompts.train
    next_exact = -(-state.prompts // state.exact_every) * state.exact_every
    numbers = range(state.prompts, min(next_exact, len(prompts)))[: processes.count]
    with processes.together():
        own = [(field_of(fit.model, prompts[at], fit.derivative), at) for at in processes.own(numbers)]
    for field, number in own:
        state.add_field(field, number, fit.held_out)
    state.prompts = numbers.stop
    yield state.prompts / len(prompts)


def _is_due(fit: JacobianFit) -> bool:
    """Return whether convergence is to be measured in the middle of the fit."""
    state = fit.state
    if not state.has_halves:
        return False
    if state.prompts == len(fit.prompts.train) or state.prompts < 2 * max(1, state.measured_prompts):
        return False
    return state.seconds - state.prompt_seconds <= _MEASURE_SHARE * state.prompt_seconds or (
        state.convergence is None
    )


def _measure(fit: JacobianFit) -> _Work:
    """Measure how many of the top tokens are the same with either half of the prompts."""
    processes, state, prompts = fit.processes, fit.state, fit.state.prompts
    processes.gather(state.half_parts())
    shares = yield from processes.meeting(_convergence(fit))
    processes.send([shares])
    state.convergence, state.measured_prompts = shares, prompts
    yield 1.0


def _convergence(fit: JacobianFit) -> Generator[float, None, Tensor]:
    """Return the shares of the top tokens, `[rows]`, in the first process, which has both halves whole."""
    if not fit.processes.is_first:
        return torch.zeros(len(fit.derivative.rows))
    return (yield from shared_top(fit.model, fit.state.half_means()))
