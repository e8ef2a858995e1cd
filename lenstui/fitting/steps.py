"""The steps of a fit: micro-batches of gradients by KL, and what an optimizer makes of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lenstui.fitting.first_states import FirstStates
from lenstui.fitting.gradient import losses_and_gradient
from lenstui.fitting.held_out import has_reached, measure_a_part
from lenstui.fitting.options import FitOptions
from lenstui.fitting.processes import Processes
from lenstui.fitting.progress import Work
from lenstui.fitting.state import Fit, block_at, mixed_seed
from lenstui.support.errors import LensError

_TIMES_ON_THE_WAY = 12  # measurements while refining
_MEASURE_SHARE = 0.1  # of the steps' time: above it no further measurement begins
MICRO_TOKENS = 256  # columns whose hidden states are held at a time


def refine(fit: Fit, first: Callable[[], FirstStates]) -> Work:
    """Do all optimizer steps that are left, or those until the held-out KL is as low as `until_kl`."""
    processes, state, options = fit.processes, fit.state, fit.options
    per_step = fit.blocks_per_step
    measure_every = max(1, options.steps // _TIMES_ON_THE_WAY)
    with processes.together():
        start = first()
        if options.optimizer == "muon":
            state.scale_rates(_typical_size(start.h[-1]) / _typical_size(start.h[:-1]))
    while state.step < options.steps:
        if (
            not state.step % measure_every
            and not state.blocks_in_step
            and (yield from has_reached(fit, measure_every))
        ):
            return
        clock = time.monotonic()
        for _ in _round(fit, start):
            state.step_seconds += time.monotonic() - clock
            yield (state.step + state.blocks_in_step / per_step) / options.steps
            clock = time.monotonic()
        state.step_seconds += time.monotonic() - clock
        yield (state.step + state.blocks_in_step / per_step) / options.steps
        due = not state.blocks_in_step and not state.step % measure_every and state.step < options.steps
        has_time = state.measure_seconds <= _MEASURE_SHARE * state.step_seconds
        if due and not options.until_kl and processes.decided(has_time):
            for _ in measure_a_part(fit):
                yield state.step / options.steps


def _typical_size(h: Tensor) -> Tensor:
    """Return the median over the columns of the root mean square of hidden states `[…, cols, d]`.

    A mean would be dominated by the few columns whose states are huge.
    """
    return h.float().square().mean(-1).sqrt().median(-1).values


def micro_batches(options: FitOptions) -> int:
    """Return into how many micro-batches a step is divided."""
    blocks = max(1, options.tokens_per_step // options.seq_len)
    return math.ceil(blocks / max(1, MICRO_TOKENS // options.seq_len))


def _counted(blocks: int, length: int, options: FitOptions) -> int:
    """Return the number of columns of a mean loss; with `ce` the last one of a block has no next token."""
    return blocks * (length - (options.loss == "ce"))


def _round(fit: Fit, start: FirstStates) -> Iterator[None]:
    """Do a micro-batch in every process, and the step that it completes.

    The state changes after the last yield, so that it is consistent at each.
    """
    processes, state, options, train = fit.processes, fit.state, fit.options, fit.blocks.train
    per_step, length = fit.blocks_per_step, len(train[0])
    each = max(1, MICRO_TOKENS // length)
    end = state.position + per_step - state.blocks_in_step
    batches = [range(at, min(at + each, end)) for at in range(state.position, end, each)][: processes.count]
    places, rows = _dealt(processes, batches, len(state.weights))
    added = yield from processes.meeting(_micro_batch(fit, start, places, rows))
    for parameter, gradient in added.gradients:
        parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
    state.loss_sums += added.losses
    drawn = batches[-1].stop - state.position
    state.position += drawn
    state.blocks_in_step += drawn
    state.tokens += drawn * length
    if state.blocks_in_step == per_step:
        _step_together(fit, _counted(per_step, length, options))


def _dealt(processes: Processes, batches: Sequence[range], rows: int) -> tuple[range, range]:
    """Return the micro-batch of this process, and those of its rows that are not left to other processes.

    Where there are more processes than micro-batches, some share one: each has a part of the rows.
    """
    batch, part = processes.number % len(batches), processes.number // len(batches)
    sharing = len(range(batch, processes.count, len(batches)))
    return batches[batch], range(part, rows, sharing)


@dataclass(frozen=True, eq=False)
class _Added:
    """What a micro-batch adds to the sums of its step.

    Attributes:
        losses: the losses, nats, `[rows]`, 0 in rows that were left out.
        gradients: parameters with what is added to their gradients.
    """

    losses: Tensor
    gradients: list[tuple[nn.Parameter, Tensor]]


def _micro_batch(fit: Fit, start: FirstStates, places: range, rows: range) -> Generator[None, None, _Added]:
    """Compute the losses of some rows on some blocks, and their gradients, and change nothing.

    Args:
        fit: the fit.
        start: what its gradients are made with.
        places: the places of the blocks in the order of the fit.
        rows: the rows, maybe none.
    """
    model, state, options, train = fit.model, fit.state, fit.options, fit.blocks.train
    losses = torch.zeros_like(state.loss_sums)
    if not rows:
        return _Added(losses, [])
    ids = torch.stack([train[block_at(place, len(train), options.seed)] for place in places])
    head = start.head
    if head is not None and start.vocabulary is not None:
        head = start.vocabulary.draw(head, mixed_seed(options.seed, places.start))
    h = model.stream(ids)  # [L + 1, blocks, cols, d]
    yield
    # A copy outside of inference mode, so that autograd can save what it needs.
    h = h.clone()
    with torch.enable_grad():
        x = torch.stack([model.head.norm(_translated(fit, h[row], row)) for row in rows])
    with torch.no_grad():
        final = model.head.norm(h[-1])
    sums, gradient = yield from losses_and_gradient(
        model, head, x, final=final, ids=ids.to(model.device), loss=options.loss
    )
    losses[rows.start :: rows.step] = sums
    of_rows = [p for row in rows for p in (state.weights[row], state.biases[row]) if p.requires_grad]
    return _Added(losses, [*zip(of_rows, torch.autograd.grad(x, of_rows, gradient), strict=True)])


def _translated(fit: Fit, h: Tensor, row: int) -> Tensor:
    wide = h.float()
    return (wide + nn.functional.linear(wide, fit.state.weights[row], fit.state.biases[row])).to(h.dtype)


def _step_together(fit: Fit, columns: int) -> None:
    """Do one step in the first process, and give all of them the new translators.

    Raises:
        LensError: in all of them, as `_step` does.
    """
    processes, state = fit.processes, fit.state
    fit.gather()
    with processes.together():
        if processes.is_first:
            _step(fit, columns)
        else:
            state.blocks_in_step = 0
    loss = torch.zeros_like(state.loss_sums) if state.loss is None else state.loss
    processes.send([*state.translators, loss])
    if not processes.is_first:
        state.step, state.loss = state.step + 1, loss


def _step(fit: Fit, columns: int) -> None:
    """Do one step of every optimizer, with the mean gradient clipped and the decayed learning rate.

    Raises:
        LensError: if a loss is not finite; the lens is left as it was before the step.
    """
    state, options = fit.state, fit.options
    loss = state.loss_sums / columns
    state.loss_sums = torch.zeros_like(state.loss_sums)
    state.blocks_in_step = 0
    rows = [[p for p in row if p.grad is not None] for row in zip(state.weights, state.biases, strict=True)]
    gradients = [p.grad for row in rows for p in row if p.grad is not None]
    if not torch.isfinite(loss).all() or not all(bool(torch.isfinite(g).all()) for g in gradients):
        for optimizer in state.optimizers:
            optimizer.zero_grad()
        if not state.step:  # before any update the learning rate cannot be the cause
            dtype = fit.model.dtype_name
            raise LensError(
                f"The model's logits are not finite on this text in {dtype}: no lens can be fitted."
            )
        raise LensError(f"The loss is not finite at step {state.step + 1}: try a lower learning rate.")
    for gradient in gradients:
        gradient.div_(columns)
    if options.clip is not None:
        for group in [[p for row in rows for p in row]] if options.clip_together else rows:
            nn.utils.clip_grad_norm_(group, options.clip)
    for optimizer in state.optimizers:
        for settings in optimizer.param_groups:
            settings["lr"] = options.lr * settings["scale"] * (1 - state.step / options.steps)
        optimizer.step()
        optimizer.zero_grad()
    state.step += 1
    state.loss = loss
