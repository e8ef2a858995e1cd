"""Fit a tuned lens: the closed form, then steps by KL. A generator of progress, for anyone to drive."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from lenstui.lens.cells import FloatArray
from lenstui.lens.closed_form import fit_closed_form
from lenstui.lens.errors import LensError
from lenstui.lens.fit_gradient import losses_and_gradient, mean_kl
from lenstui.lens.fit_options import FitOptions
from lenstui.lens.model import Model
from lenstui.lens.residual import residual_stream
from lenstui.lens.tuned_lens import TunedLens, untrained_lens

_SHARE_ON_THE_WAY = 4  # of the held-out blocks a fourth is enough to watch by
MICRO_TOKENS = 256  # columns between two hand-overs, so that a prompt need not wait for a whole step


@dataclass(frozen=True, eq=False)
class FitProgress:
    """How far a fit is.

    Attributes:
        stage: `closed form`, `refining` or `done`.
        step: optimizer steps that are done.
        steps: how many there will be.
        tokens: columns seen so far, by the closed form and the steps.
        seconds: since the fit began.
        loss: mean training loss of the last step, nats, `[rows]`; None before there was one.
        held_out_kl: KL(final ‖ lens) on text that is never trained on, nats, `[rows]`; None between two
            measurements.
        logit_lens_kl: the same of the logit lens.
        lens: the lens as it is now. Its tensors change with the next step: copy it to keep it.
    """

    stage: str
    step: int
    steps: int
    tokens: int
    seconds: float
    loss: FloatArray | None
    held_out_kl: FloatArray | None
    logit_lens_kl: FloatArray
    lens: TunedLens

    @property
    def eta(self) -> float | None:
        """Seconds that the steps still need; None before the first."""
        return None if not self.step else self.seconds / self.step * (self.steps - self.step)


def fit_steps(
    model: Model, train: Sequence[Tensor], held_out: Sequence[Tensor], options: FitOptions
) -> Iterator[FitProgress]:
    """Fit a lens, handing over between micro-batches.

    Closing the generator stops the fit; what it learned is in the last progress's `lens`.

    Args:
        model: from `load`.
        train: blocks of token ids, `[cols]` each, on the CPU.
        held_out: blocks that are never trained on.
        options: how.

    Yields:
        At least one progress per micro-batch; held-out KL at the start, after the closed form and at the end,
        and a few times while refining on a fourth of the held-out blocks.

    Raises:
        LensError: for too little text or a loss that is not finite.
    """
    options.check()
    if not train or not held_out:
        raise LensError("There is too little text for a single block: give more, or shorter blocks.")
    began, tokens = time.monotonic(), 0
    lens = untrained_lens(model.num_blocks, model.d_model).to(model.device)
    logit_kl = _kl(model, held_out, lens)  # untrained, it is the logit lens
    some = held_out[: max(1, len(held_out) // _SHARE_ON_THE_WAY)]

    def progress(stage: str, step: int, loss: Tensor | None, kl: FloatArray | None) -> FitProgress:
        mean = None if loss is None else loss.cpu().numpy()
        seconds = time.monotonic() - began
        return FitProgress(stage, step, options.steps, tokens, seconds, mean, kl, logit_kl, lens)

    yield progress("closed form" if options.closed_form_tokens else "refining", 0, None, logit_kl)
    order = _endless_order(len(train), options.seed)
    if options.closed_form_tokens:
        count = min(len(train), max(1, options.closed_form_tokens // len(train[0])))
        solved = fit_closed_form(model, (train[next(order)] for _ in range(count)))
        lens = solved.to(model.device)
        tokens += count * len(train[0])
        yield progress("closed form", 0, None, _kl(model, held_out, lens))

    weights = [nn.Parameter(weight.clone()) for weight in lens.weight]
    biases = [nn.Parameter(bias.clone()) for bias in lens.bias]
    lens = TunedLens(torch.stack([w.data for w in weights]), torch.stack([b.data for b in biases]))
    optimizers = _optimizers(weights, biases, options)
    per_step = max(1, options.tokens_per_step // len(train[0]))
    per_micro = max(1, MICRO_TOKENS // len(train[0]))
    measure_every = max(1, options.steps // 6)
    for step in range(1, options.steps + 1):
        remaining = per_step
        total = torch.zeros(len(weights), device=model.device)
        while remaining:
            blocks = torch.stack([train[next(order)] for _ in range(min(per_micro, remaining))])
            remaining -= len(blocks)
            total += _accumulate(model, weights, biases, blocks, options)
            tokens += blocks.numel()
            if remaining:
                yield progress("refining", step - 1, None, None)
        loss = total / _counted(per_step, len(train[0]), options)
        if not torch.isfinite(loss).all():
            raise LensError(f"The loss is not finite at step {step}: try a lower learning rate.")
        _step(
            optimizers,
            weights,
            biases,
            options,
            step=step,
            columns=_counted(per_step, len(train[0]), options),
        )
        with torch.no_grad():
            torch.stack([w.data for w in weights], out=lens.weight)
            torch.stack([b.data for b in biases], out=lens.bias)
        measured = _kl(model, some, lens) if step % measure_every == 0 and step < options.steps else None
        yield progress("refining", step, loss, measured)
    yield progress("done", options.steps, None, _kl(model, held_out, lens))


def measured(model: Model, progress: FitProgress, held_out: Sequence[Tensor]) -> FitProgress:
    """The same progress with its held-out KL measured, for a fit that is stopped between two measurements."""
    return replace(progress, held_out_kl=_kl(model, held_out, progress.lens))


def _kl(model: Model, held_out: Sequence[Tensor], lens: TunedLens) -> FloatArray:
    """Held-out KL per row, of the rows that have a translator."""
    total = np.zeros(model.num_blocks)
    for block in held_out:
        h = residual_stream(model.module, model.anatomy, block[None].to(model.device))[
            :, 0
        ]  # [L + 1, cols, d]
        with torch.inference_mode():
            x = torch.stack([model.head.norm(lens.translate(h[row], row)) for row in range(len(h) - 1)])
            total += mean_kl(model, h[-1], x).double().cpu().numpy() * len(block)
    return (total / sum(map(len, held_out))).astype(np.float32)


def _endless_order(count: int, seed: int) -> Iterator[int]:
    """Indices of blocks, pass after pass, each pass in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


def _counted(blocks: int, length: int, options: FitOptions) -> int:
    """Over how many columns the loss of a step is a mean: with `ce` the last of a block has no next token."""
    return blocks * (length - (options.loss == "ce"))


def _accumulate(
    model: Model, weights: Sequence[Tensor], biases: Sequence[Tensor], ids: Tensor, options: FitOptions
) -> Tensor:
    """Add the gradient of one micro-batch `[blocks, cols]` to the parameters'; its summed losses `[rows]`."""
    ids = ids.to(model.device)
    h = residual_stream(model.module, model.anatomy, ids)  # [L + 1, blocks, cols, d]
    # Out of inference mode, so that autograd may keep what it needs of them.
    h = h.clone()
    with torch.enable_grad():
        wide = h[:-1].float()
        matrix, bias = torch.stack(list(weights)), torch.stack(list(biases))  # [L, d, d], [L, d]
        translated = wide + torch.einsum("rnkd,red->rnke", wide, matrix) + bias[:, None, None]
        x = model.head.norm(translated.to(h.dtype))  # [L, blocks, cols, d]
        with torch.no_grad():
            final = model.head.norm(h[-1])
        losses, gradient = losses_and_gradient(model, x, final, ids, options.loss)
        torch.autograd.backward(x, gradient)
    return losses


def _optimizers(
    weights: list[nn.Parameter], biases: list[nn.Parameter], options: FitOptions
) -> list[torch.optim.Optimizer]:
    matrices: list[nn.Parameter] = [] if options.bias_only else weights
    for weight in weights:
        weight.requires_grad_(not options.bias_only)
    decay = options.weight_decay
    if options.optimizer == "sgd":
        nesterov = options.momentum > 0
        return [
            torch.optim.SGD(
                [*matrices, *biases],
                options.lr,
                momentum=options.momentum,
                weight_decay=decay,
                nesterov=nesterov,
            )
        ]
    if options.optimizer == "adam" or not matrices:
        return [torch.optim.AdamW([*matrices, *biases], options.lr, weight_decay=decay)]
    muon = torch.optim.Muon(
        matrices, options.lr, weight_decay=decay, momentum=options.momentum, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(biases, options.lr, weight_decay=decay)]


def _step(
    optimizers: Sequence[torch.optim.Optimizer],
    weights: Sequence[nn.Parameter],
    biases: Sequence[nn.Parameter],
    options: FitOptions,
    *,
    step: int,
    columns: int,
) -> None:
    """One step of every optimizer, with the mean gradient clipped and the rate fallen so far."""
    rows = [[p for p in row if p.grad is not None] for row in zip(weights, biases, strict=True)]
    for row in rows:
        for parameter in row:
            assert parameter.grad is not None
            parameter.grad /= columns
    if options.clip is not None:
        for group in [[p for row in rows for p in row]] if options.clip_together else rows:
            nn.utils.clip_grad_norm_(group, options.clip)
    factor = 1 - (step - 1) / options.steps
    for optimizer in optimizers:
        for settings in optimizer.param_groups:
            settings["lr"] = options.lr * factor
        optimizer.step()
        optimizer.zero_grad()
    if not all(math.isfinite(float(bias.detach().sum())) for bias in biases):
        raise LensError(f"The lens is not finite after step {step}: try a lower learning rate.")
