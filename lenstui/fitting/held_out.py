"""Held-out KL of a fit: of the logit lens, of the lens as it is, and when to look whether a fit may stop."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from lenstui.fitting.gradient import LinearTarget, kept_target, summed_kl
from lenstui.fitting.progress import Work, at_share
from lenstui.fitting.state import Fit
from lenstui.lens.fit_history import KEY, FitPoint, history_of, with_point
from lenstui.lens.lens import Lens
from lenstui.lens.logit import LogitLens

_KEPT_STATES = 64 << 20  # bytes of held-out hidden states that may be kept between measurements
_ON_THE_WAY = 4  # one held-out column in so many is measured during the fit


def is_measured(fit: Fit) -> bool:
    """Return whether the current lens is measured on all held-out columns."""
    return (fit.state.measured_step, fit.state.measured_tokens) == (
        fit.state.step,
        fit.blocks.held_out_tokens,
    )


def measure_logit_lens(fit: Fit) -> Work:
    """Measure the held-out KL of the logit lens, on all held-out columns."""
    fit.state.logit_lens_kl, _, _ = yield from _held_out_kl(fit, LogitLens(), 1)


def measure_lens(fit: Fit, one_in: int = 1) -> Work:
    """Measure the held-out KL of the lens as it is, and write it to the state and its history.

    Args:
        fit: the fit.
        one_in: measures one held-out column in so many.
    """
    state = fit.state
    kl, error, tokens = yield from _held_out_kl(fit, state.lens(), one_in)
    state.held_out_kl, state.held_out_error, state.measured_tokens = kl, error, tokens
    state.measured_step = state.step
    state.history = with_point(state.history, FitPoint(state.step, state.tokens, tokens, tuple(kl.tolist())))


def measure_a_part(fit: Fit) -> Work:
    """Measure the lens on a part of the held-out columns, and count the time that it takes."""
    clock = time.monotonic()
    for share in measure_lens(fit, _ON_THE_WAY):
        fit.state.measure_seconds += time.monotonic() - clock
        yield share
        clock = time.monotonic()
    fit.state.measure_seconds += time.monotonic() - clock


def _held_out_kl(fit: Fit, lens: Lens, one_in: int) -> Generator[float, None, tuple[Tensor, float, int]]:
    """Held-out KL of the rows that have a translator, `[rows]`, its error, and on how many columns it is.

    The error is the standard error of the mean over the rows, from the means of the blocks: neighbouring
    columns are not independent. It is NaN for a single block.

    Columns whose logits are not finite count in no mean; a mean without columns is NaN.

    Args:
        fit: the fit.
        lens: the lens to measure.
        one_in: measures one column in so many.
    """
    processes, model, blocks = fit.processes, fit.model, fit.blocks.held_out
    by_block = torch.zeros(2, len(blocks), model.num_blocks, dtype=torch.float64)  # sums, and counts
    for begin in range(0, len(blocks), processes.count):
        places = range(len(blocks))[begin : begin + processes.count]  # a round
        yield from processes.meeting(_kl_of_blocks(fit, lens, processes.own(places), one_in, by_block))
        yield places.stop / len(blocks)
    processes.sum(by_block)
    total, counted = torch.zeros(2, model.num_blocks, dtype=torch.float64)
    means = []
    for sums, counts in by_block.unbind(1):
        total += sums
        counted += counts
        means.append((sums.float() / counts.float()).mean().double())
    tokens = sum(len(block[_some(number, one_in)]) for number, block in enumerate(blocks))
    error = float(torch.stack(means).std() / len(means) ** 0.5) if len(means) > 1 else math.nan
    return (total / counted).float(), error, tokens


def _kl_of_blocks(fit: Fit, lens: Lens, numbers: range, one_in: int, by_block: Tensor) -> Work:
    """Write the sums over some columns of held-out blocks, and their numbers, to `[2, blocks, rows]`."""
    model = fit.model
    for number in numbers:
        share = number / len(fit.blocks.held_out)
        columns = _held_out(fit, number, _some(number, one_in))
        h, target = yield from at_share(columns, share, torch.inference_mode)
        with torch.inference_mode():
            x = torch.stack([lens.normed(model, h[row], row) for row in range(len(h) - 1)])
        yield share
        work = summed_kl(model, h[-1], x, target)
        sums, counts = yield from at_share(work, share, torch.inference_mode)
        by_block[:, number] = torch.stack([sums.double(), counts.double()]).cpu()


def _some(number: int, one_in: int) -> slice:
    """Return the columns of a held-out block that are measured: others in each block."""
    return slice(number % one_in, None, one_in)


def _held_out(
    fit: Fit, number: int, columns: slice
) -> Generator[None, None, tuple[Tensor, LinearTarget | None]]:
    """Return the hidden states of some columns of a held-out block, `[L + 1, cols, d]`, and their target.

    Those of all columns are kept where all blocks together take little.
    """
    model, kept = fit.model, fit.held_out
    if number not in kept:
        h = model.stream(fit.blocks.held_out[number][None])[:, 0]
        yield
        if h.nbytes * len(fit.blocks.held_out) > _KEPT_STATES:
            h = h[:, columns]
            return h, (yield from kept_target(model, h[-1]))
        kept[number] = h, (yield from kept_target(model, h[-1]))
    h, target = kept[number]
    return h[:, columns], None if target is None else target[columns]


def has_reached(fit: Fit, every: int) -> Generator[float, None, bool]:
    """Return whether the held-out KL, mean over the rows, is as low as `until_kl`.

    It is measured at the step at which it is expected to be as low: on a part of the held-out columns until
    it is on these, then on all of them. When depends on nothing but the state, so that a resumed fit ends
    where one that was never stopped does.
    """
    state, until, all_columns = fit.state, fit.options.until_kl, fit.blocks.held_out_tokens
    if not until:
        return False
    if state.measured_step != state.step:
        points = history_of({KEY: state.history})
        if state.step < _expected_step(points, until, every):
            return False
        was_whole = bool(points) and points[-1].columns == all_columns
        for _ in measure_lens(fit, 1 if was_whole else _ON_THE_WAY):
            yield state.step / fit.options.steps
    if state.held_out_kl is None or float(state.held_out_kl.mean()) > until:
        return False
    if not is_measured(fit):
        for _ in measure_lens(fit):
            yield state.step / fit.options.steps
    return float(state.held_out_kl.mean()) <= until


def _expected_step(points: Sequence[FitPoint], until: float, every: int) -> float:
    """Return the step at which to measure the held-out KL next, as it may be as low as `until` there.

    It is expected to fall with the logarithm of the step, as fast as between the last two measurements on the
    same columns, and is measured at least `every` steps after the last time.
    """
    if not points:
        return every
    last, earliest = points[-1], points[-1].step + every
    for before, after in zip(points[-2::-1], points[:0:-1], strict=True):
        if before.columns == after.columns:
            fall = (before.mean - after.mean) / math.log((1 + after.step) / (1 + before.step))
            needed = math.exp(min((last.mean - until) / fall, 99.0)) if fall > 0 else 1.0
            return max(earliest, (1 + last.step) * needed - 1)
    return earliest
