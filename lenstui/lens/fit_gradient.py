"""Loss and gradient of a fit: two matrix products per row, and no autograd graph over the vocabulary.

For a linear head the gradient of KL(p ‖ softmax(z)) by the logits is `softmax(z) - p`, so that by the head's
input it is that times the matrix (times the scale; with a softcap also times `1 - tanh²`).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lenstui.lens.fit_options import Loss
from lenstui.lens.head import LinearHead
from lenstui.lens.model import Model

_LOGITS_BYTES = {"cpu": 16 << 20}  # of one row's logits at a time
_LOGITS_BYTES_ACCELERATOR = 256 << 20


def losses_and_gradient(
    model: Model, x: Tensor, final: Tensor, ids: Tensor, loss: Loss
) -> tuple[Tensor, Tensor]:
    """The summed loss of every row, and its gradient by the normed, translated hidden states.

    Args:
        model: from `load`.
        x: what enters the head, `final_norm(h + A h + b)`, `[rows, blocks, cols, d]`.
        final: what enters the head in the last row, `[blocks, cols, d]`.
        ids: the token ids, `[blocks, cols]`.
        loss: `kl` is summed over all columns, `ce` over those that have a next token.

    Returns:
        Sums `[rows]`, nats, float32, and the gradient of those sums, like `x`.
    """
    rows, d = x.shape[0], x.shape[-1]
    following = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-1).flatten()  # -1: nothing follows
    flat, final = x.detach().reshape(rows, -1, d), final.detach().reshape(-1, d)
    gradient = torch.empty_like(flat)
    sums = torch.zeros(rows, device=x.device)
    for run in _runs(model, flat):
        target = _target(model, final[run], following[run], loss)
        for row in range(rows):
            if model.head.linear is not None:
                row_sum, row_gradient = _two_products(model.head.linear, flat[row, run], target)
            else:
                row_sum, row_gradient = _through_the_head(model, flat[row, run], target)
            sums[row] += row_sum
            gradient[row, run] = row_gradient.to(gradient.dtype)
    return sums, gradient.view_as(x)


def mean_kl(model: Model, h: Tensor, x: Tensor) -> Tensor:
    """KL(final ‖ lens) of every row, nats, `[rows]`: one product per row, and nothing but the KL.

    Args:
        model: from `load`.
        h: what enters the final norm, `[cols, d]`.
        x: what enters the head, `[rows, cols, d]`.
    """
    final = model.head.norm(h)
    sums = torch.zeros(len(x), device=x.device)
    for run in _runs(model, x):
        target = _target(model, final[run], torch.zeros(len(final[run]), dtype=torch.long), "kl")
        for row in range(len(x)):
            logits = model.head.logits(x[row, run])
            sums[row] += (logits.logsumexp(-1) - target.of(logits)).sum() + target.constant
    return sums / len(h)


def _runs(model: Model, x: Tensor) -> Iterator[slice]:
    """Runs of the columns of `x` `[rows, cols, d]` whose logits are not too many at a time."""
    size = _LOGITS_BYTES.get(x.device.type, _LOGITS_BYTES_ACCELERATOR)
    width = max(1, size // (4 * model.vocabulary))
    for start in range(0, x.shape[1], width):
        yield slice(start, start + width)


class _Target:
    """What a row's distribution is held against: a distribution, or the next token where there is one."""

    def __init__(self, probs: Tensor | None, constant: Tensor, following: Tensor) -> None:
        self.probs = probs  # [cols, vocabulary]; None for the next tokens
        self.constant = constant  # `Σ p log p`, summed over the columns
        self.counts = (following >= 0) if probs is None else torch.ones_like(following, dtype=torch.bool)
        self.following = following.clamp(min=0)[:, None]  # [cols, 1]

    def of(self, logits: Tensor) -> Tensor:
        """`Σ p z` of every column, `[cols]`."""
        if self.probs is None:
            return logits.gather(1, self.following)[:, 0]
        product: Tensor = torch.linalg.vecdot(self.probs, logits)
        return product

    def take_from(self, probs: Tensor) -> Tensor:
        """`softmax(z) - p`, in place; 0 in columns that do not count."""
        if self.probs is not None:
            return probs.sub_(self.probs)
        probs.scatter_add_(1, self.following, probs.new_full(self.following.shape, -1.0))
        return probs.mul_(self.counts[:, None])


def _target(model: Model, final: Tensor, following: Tensor, loss: Loss) -> _Target:
    with torch.no_grad():
        if loss == "ce":
            return _Target(None, final.new_zeros(()).float(), following)
        log_probs = model.head.logits(final).log_softmax(-1)
        probs = log_probs.exp()
        total = probs.sum(-1, keepdim=True)  # off 1 by float32's rounding, which a large KL would feel
        probs /= total
        log_probs -= total.log()
        lowest = torch.finfo(torch.float32).min
        constant = torch.linalg.vecdot(probs, log_probs.clamp_(min=lowest)).sum()  # 0 · -inf is 0 here
        return _Target(probs, constant, following)


def _two_products(head: LinearHead, x: Tensor, target: _Target) -> tuple[Tensor, Tensor]:
    """For a linear head: the sum of the loss, and its gradient by `x` `[cols, d]`."""
    with torch.no_grad():
        logits = head(x).float()  # [cols, vocabulary], the first product
        log_normalizer = logits.logsumexp(-1)
        loss = ((log_normalizer - target.of(logits)) * target.counts).sum() + target.constant
        if head.softcap is None:
            slope: Tensor | None = None
        else:
            slope = 1 - (logits / head.softcap).square()  # 1 - tanh²
        by_logits = target.take_from(logits.sub_(log_normalizer[:, None]).exp_())
        if slope is not None:
            by_logits *= slope
        if head.scale != 1.0:
            by_logits *= head.scale
        return loss, by_logits.to(head.weight.dtype) @ head.weight  # [cols, d], the second


def _through_the_head(model: Model, x: Tensor, target: _Target) -> tuple[Tensor, Tensor]:
    """For any other head: autograd through the model's own code."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        logits = model.head.logits(leaf)
        loss = ((logits.logsumexp(-1) - target.of(logits)) * target.counts).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach() + target.constant, gradient
