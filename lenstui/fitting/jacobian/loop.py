"""The loop of the fit of a Jacobian lens, as a generator of progress for any caller.

`J_i = mean over prompts [mean over source columns p of the sum over target columns p' ≥ p of
∂h_L[p'] / ∂h_i[p]]` (Gurnee et al. 2026). Columns are those behind the first `skip_first`, and before the
last one.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from functools import partial

import torch

from lenstui.fitting.jacobian.convergence import shared_top
from lenstui.fitting.jacobian.graph import scaled
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
        if _is_due(fit):
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
    ids = fit.prompts.train[0]
    if fit.state.field is not None:
        prove_parts(fit.model, ids, fit.derivative)
    fit.state.way = proven_way(fit.model, ids, fit.derivative, fit.rules)
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
    """Do the rest of the current prompt, and yield what is done of all prompts."""
    model, state, count = fit.model, fit.state, len(fit.prompts.train)
    assert state.way is not None
    number, ids, d = state.prompts, fit.prompts.train[state.prompts], model.d_model
    field = None if state.field is None else field_of(model, ids, fit.derivative)
    graph = graph_of(model, ids, fit.derivative, state.way, fit.rules) if state.is_exact else None
    while state.prompts == number:
        if graph is None:
            state.finish_prompt(fit.held_out, field)
        else:
            dims = range(state.dims, min(state.dims + graph.chunk, d))
            jacobian = yield from scaled(
                graph.jacobian_steps(dims), (number + dims.start / d) / count, len(dims) / d / count
            )
            if not bool(torch.isfinite(jacobian).all()):
                raise LensError(not_finite(model))
            state.add(jacobian, fit.held_out, field)
        yield (state.prompts + state.dims / d) / count


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
    state, prompts = fit.state, fit.state.prompts
    state.convergence = yield from shared_top(fit.model, state.half_means())
    state.measured_prompts = prompts
