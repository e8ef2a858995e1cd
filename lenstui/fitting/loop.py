"""The loop of a fit: the closed form, then steps by KL, as a generator of progress for any caller."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from lenstui.fitting.closed_form import NormalEquations
from lenstui.fitting.gradient import LinearTarget, kept_target, losses_and_gradient, product_head, summed_kl
from lenstui.fitting.options import FitOptions
from lenstui.fitting.processes import Processes
from lenstui.fitting.progress import FitProgress, timed
from lenstui.fitting.sampled_vocabulary import SampledVocabulary
from lenstui.fitting.state import Fit, block_at, mixed_seed
from lenstui.fitting.tempering import Tempering, tempering
from lenstui.lens.fit_history import KEY, FitPoint, history_of, with_point
from lenstui.lens.lens import Lens
from lenstui.lens.logit import LogitLens
from lenstui.model.head import LinearHead
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import LensError
from lenstui.texts.blocks import TOO_LITTLE

_KEPT_STATES = 64 << 20  # bytes of held-out hidden states that may be kept between measurements
_ON_THE_WAY = 4  # one held-out column in so many is measured during the fit
_TIMES_ON_THE_WAY = 12  # measurements while refining
_MEASURE_SHARE = 0.1  # of the steps' time: above it no further measurement begins
_FIRST_BLOCKS = 4  # blocks whose hidden states set scales before the first step
_TEMPERED_ON = 8  # one of their columns in so many is what a closed form is tempered on
MICRO_TOKENS = 256  # columns whose hidden states are held at a time

_Result = TypeVar("_Result")

# A stage, which yields its finished share after each piece of work.
Work = Generator[float, None, None]


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
    state, options, first = fit.state, fit.options, cache(partial(_first_states, fit))
    if state.logit_lens_kl is None:
        yield from _stage(fit, "logit lens", _measure_logit_lens(fit))
    if options.closed_form_tokens and state.solved_rows < fit.model.num_blocks:
        yield from _stage(fit, "closed form", _closed_form(fit, first))
    if state.measured_step < 0 and (options.closed_form_tokens or options.starts_from):
        yield from _stage(fit, "measuring", _on_the_way(fit))
    if state.step < options.steps:
        yield from _stage(fit, "refining", _refine(fit, first))
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
        yield from _stage(fit, "closed form", _closed_form(fit, cache(partial(_first_states, fit))))
    yield from measure(fit)


def measure(fit: Fit) -> Iterator[FitProgress]:
    """Measure the held-out KL of the current lens on all held-out blocks, unless it is known, to end a fit.

    Yields:
        The progress after each piece of work; the last one's stage is `done`.
    """
    if fit.state.logit_lens_kl is None:
        yield from _stage(fit, "logit lens", _measure_logit_lens(fit))
    if not _is_measured(fit):
        yield from _stage(fit, "measuring", _measure(fit))
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


# ── held-out KL ──────────────────────────────────────────────────────────────────────────────────────────


def _is_measured(fit: Fit) -> bool:
    """Return whether the current lens is measured on all held-out columns."""
    return (fit.state.measured_step, fit.state.measured_tokens) == (
        fit.state.step,
        fit.blocks.held_out_tokens,
    )


def _measure_logit_lens(fit: Fit) -> Work:
    fit.state.logit_lens_kl, _, _ = yield from _held_out_kl(fit, LogitLens(), 1)


def _measure(fit: Fit, one_in: int = 1) -> Work:
    state = fit.state
    kl, error, tokens = yield from _held_out_kl(fit, state.lens(), one_in)
    state.held_out_kl, state.held_out_error, state.measured_tokens = kl, error, tokens
    state.measured_step = state.step
    state.history = with_point(state.history, FitPoint(state.step, state.tokens, tokens, tuple(kl.tolist())))


def _on_the_way(fit: Fit) -> Work:
    """Measure the lens on a part of the held-out columns, and count the time that it takes."""
    clock = time.monotonic()
    for share in _measure(fit, _ON_THE_WAY):
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
        h, target = yield from _shared(_held_out(fit, number, _some(number, one_in)), share)
        with torch.inference_mode():
            x = torch.stack([lens.normed(model, h[row], row) for row in range(len(h) - 1)])
        yield share
        for place, of_rows in enumerate((yield from _shared(summed_kl(model, h[-1], x, target), share))):
            by_block[place, number] = of_rows.cpu()


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


def _shared(
    work: Generator[None, None, _Result],
    share: float,
    mode: Callable[[], AbstractContextManager[object]] = torch.inference_mode,
) -> Generator[float, None, _Result]:
    """Yield `share` wherever `work` yields, and return the result of `work`, which is done in `mode`."""
    while True:
        try:
            with mode():  # not around the yield: the caller's code must not be in it
                next(work)
        except StopIteration as end:
            result: _Result = end.value
            return result
        yield share


# ── the closed form ──────────────────────────────────────────────────────────────────────────────────────


def _closed_form(fit: Fit, first: Callable[[], _FirstStates]) -> Work:
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
            bias = bias + (yield from _shared(tempers.offset(row, weight, bias), done, torch.no_grad))
        with torch.no_grad():
            fit.state.weights[row].copy_(weight)
            fit.state.biases[row].copy_(bias)


def _tempering(fit: Fit, first: _FirstStates) -> Tempering | None:
    """Return what tempers the rows, the same in a resumed fit."""
    head = first.head
    if head is not None and first.vocabulary is not None:
        head = first.vocabulary.draw(head, mixed_seed(fit.options.seed, "tempering"))
    return tempering(fit.model, first.h[:, ::_TEMPERED_ON].clone(), head, first.mean_probs)


# ── steps by KL ──────────────────────────────────────────────────────────────────────────────────────────


def _refine(fit: Fit, first: Callable[[], _FirstStates]) -> Work:
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
            and (yield from _has_reached(fit, measure_every))
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
            for _ in _on_the_way(fit):
                yield state.step / options.steps


def _has_reached(fit: Fit, every: int) -> Generator[float, None, bool]:
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
        for _ in _measure(fit, 1 if was_whole else _ON_THE_WAY):
            yield state.step / fit.options.steps
    if state.held_out_kl is None or float(state.held_out_kl.mean()) > until:
        return False
    if not _is_measured(fit):
        for _ in _measure(fit):
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


@dataclass(frozen=True, eq=False)
class _FirstStates:
    """The hidden states of the first blocks and what follows from them, the same in a resumed fit.

    Attributes:
        h: hidden states, `[L + 1, cols, d]`.
        head: the head that gradients are made with, from `product_head`.
        mean_probs: the mean of the model's next-token distributions, `[vocabulary]`.
        vocabulary: the chances for drawing tokens; None where every step computes the whole vocabulary.
    """

    h: Tensor
    head: LinearHead | None
    mean_probs: Tensor
    vocabulary: SampledVocabulary | None


def _first_states(fit: Fit) -> _FirstStates:
    model = fit.model
    h = model.stream(torch.stack([*fit.blocks.train[:_FIRST_BLOCKS]])).flatten(1, 2)
    with torch.inference_mode():
        inputs = model.head.norm(h[-1])
    head = product_head(model, fit.options.products, inputs)
    mean_probs = _mean_probs(fit, head, inputs)
    return _FirstStates(h, head, mean_probs, _sampled_vocabulary(fit, head, mean_probs))


def _typical_size(h: Tensor) -> Tensor:
    """Return the median over the columns of the root mean square of hidden states `[…, cols, d]`.

    A mean would be dominated by the few columns whose states are huge.
    """
    return h.float().square().mean(-1).sqrt().median(-1).values


def _mean_probs(fit: Fit, head: LinearHead | None, inputs: Tensor) -> Tensor:
    """Return the mean of the model's next-token distributions at inputs of the head, `[vocabulary]`."""
    logits = fit.model.head.logits if head is None else head
    dtype = inputs.dtype if head is None else head.weight.dtype
    total = torch.zeros(fit.model.vocabulary, device=inputs.device)
    with torch.inference_mode():
        for x in torch.split(inputs.to(dtype), MICRO_TOKENS):
            total += logits(x).softmax(-1, torch.float32).sum(0)
    return total / len(inputs)


def _sampled_vocabulary(fit: Fit, head: LinearHead | None, mean_probs: Tensor) -> SampledVocabulary | None:
    """Return the chances for drawing tokens in each step, from the model's predictions and the text.

    None where every step computes the whole vocabulary.
    """
    size = fit.options.vocabulary
    if head is None or not size or 2 * size > fit.model.vocabulary or fit.options.loss == "ce":
        return None
    counts = torch.zeros(fit.model.vocabulary, dtype=torch.long)
    for block in fit.blocks.train:
        counts += torch.bincount(block, minlength=len(counts))
    return SampledVocabulary.of(size, mean_probs, counts)


def micro_batches(options: FitOptions) -> int:
    """Return into how many micro-batches a step is divided."""
    blocks = max(1, options.tokens_per_step // options.seq_len)
    return math.ceil(blocks / max(1, MICRO_TOKENS // options.seq_len))


def _counted(blocks: int, length: int, options: FitOptions) -> int:
    """Return the number of columns of a mean loss; with `ce` the last one of a block has no next token."""
    return blocks * (length - (options.loss == "ce"))


def _round(fit: Fit, start: _FirstStates) -> Iterator[None]:
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


def _micro_batch(fit: Fit, start: _FirstStates, places: range, rows: range) -> Generator[None, None, _Added]:
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
