"""Loss and gradient of a fit: two matrix products per row, and no autograd graph over the vocabulary.

With logits `z = scale · (x Wᵀ + bias)`, `q = softmax(z)` and a target distribution `p`, the loss is `Σ p log
p - Σ p z + log Σ exp z`, and its gradient by `x` is `scale · (E_q[w] - E_p[w])`: the mean unembedding vector
under the lens less that under the target. `E_p[w]` is the same for every row, and `Σ p z` is a product with
it. So a row costs the product that makes its logits and the one that makes `E_q[w]`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from lenstui.fitting.options import Loss, Products
from lenstui.model.head import LinearHead
from lenstui.model.load import Model
from lenstui.model.product import is_fast_in_bfloat16, product

_LOGITS_BYTES = {"cpu": 16 << 20}  # of one row's logits at a time, as float32
_LOGITS_BYTES_ACCELERATOR = 256 << 20
_BFLOAT16_COST = 2e-3  # nats of KL: the most that bfloat16 may cost where it is chosen automatically
_TRIED_COLUMNS = 128  # columns on which that cost is measured
_LOWEST = torch.finfo(torch.float32).min  # replaces -inf, so that 0 times it is 0: a head may forbid tokens


def losses_and_gradient(
    model: Model, head: LinearHead | None, x: Tensor, *, final: Tensor, ids: Tensor, loss: Loss
) -> Generator[None, None, tuple[Tensor, Tensor]]:
    """Compute the summed loss of every row, and its gradient by the normed, translated hidden states.

    This is a generator that yields after each piece of work.

    Args:
        model: from `load`.
        head: from `product_head`, or for `kl` a part of it from `SampledVocabulary`; None for the model's own
            head, by autograd.
        x: the input of the head, `final_norm(h + A h + b)`, `[rows, blocks, cols, d]`.
        final: the input of the head in the last row, `[blocks, cols, d]`.
        ids: the token ids, `[blocks, cols]`.
        loss: `kl` is summed over all columns, `ce` over those that have a next token.

    Returns:
        Sums `[rows]`, nats, float32, and the gradient of those sums, with the shape of `x`.
    """
    rows, d = x.shape[0], x.shape[-1]
    following = pad(ids[:, 1:], (0, 1), value=-1).flatten()  # -1: nothing follows
    flat, final = x.detach().reshape(rows, -1, d), final.detach().reshape(-1, d)
    gradient = torch.empty_like(flat)
    sums = torch.zeros(rows, device=x.device)
    for run in _runs(model, flat):
        if head is not None:
            target = _linear_target(head, final[run], following[run], loss)
        else:
            through = _target(model, final[run], following[run], loss)
        yield
        for row in range(rows):
            if head is not None:
                row_sum, row_gradient = _two_products(head, flat[row, run], target)
            else:
                row_sum, row_gradient = _through_the_head(model, flat[row, run], through)
            sums[row] += row_sum
            gradient[row, run] = row_gradient.to(gradient.dtype)
            yield
    return sums, gradient.view_as(x)


def summed_kl(
    model: Model, h: Tensor, x: Tensor, target: LinearTarget | None = None
) -> Generator[None, None, tuple[Tensor, Tensor]]:
    """Compute the sum of KL(final ‖ lens) of every row, nats, with one product per row and no gradient.

    This is a generator that yields after each piece of work.

    Args:
        model: from `load`.
        h: the input of the final norm, `[cols, d]`.
        x: the input of the head, `[rows, cols, d]`.
        target: from `kept_target` of the same columns, so that it is not computed again.

    Returns:
        The sums, and the numbers of columns that they are over, `[rows]` each: columns in which the logits of
            both are finite.
    """
    if target is None:
        target = yield from kept_target(model, h)
    head = model.head.linear
    final = None if target is not None else model.head.norm(h)
    sums = torch.zeros(len(x), device=x.device)
    counts = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for run in _runs(model, x):
        if final is not None:
            through = _target(model, final[run], torch.zeros(len(final[run]), dtype=torch.long), "kl")
            yield
        for row in range(len(x)):
            if head is not None and target is not None:
                kl = _linear_kl(head, x[row, run], target[run])  # [cols]
            else:
                kl = through.constant - through.of(model.head.logits(x[row, run]).log_softmax(-1))
            sums[row] += kl.nansum()
            counts[row] += len(kl) - kl.isnan().sum()
            yield
    return sums, counts


def kept_target(model: Model, h: Tensor) -> Generator[None, None, LinearTarget | None]:
    """Compute what the KL of any row needs of the model's distributions: no more than a row of hidden states.

    This is a generator that yields after each piece of work.

    Args:
        model: from `load`.
        h: the input of the final norm, `[cols, d]`.

    Returns:
        It; None where the head is not one float32 matrix without a softcap: a KL needs distributions then.
    """
    head = model.head.linear
    if head is None or head.softcap is not None or head.weight.dtype != torch.float32:
        return None
    if head.bias is not None and not bool(head.bias.isfinite().all()):  # a forbidden token: 0 times infinity
        return None
    final, parts = model.head.norm(h), []
    nothing = torch.zeros(len(h), dtype=torch.long)
    for run in _runs(model, final[None]):
        parts.append(_linear_target(head, final[run], nothing[run], "kl"))
        yield
    return LinearTarget.joined(parts)


def product_head(model: Model, products: Products, sample: Tensor) -> LinearHead | None:
    """Return the head that gradients are made with: its matrix in the products' dtype, less its mean row.

    A constant added to all logits of a position changes no distribution, so the mean row can be left out;
    with it goes most of what bfloat16 would round away. The gradient does not change either.

    Args:
        model: from `load`.
        products: from `FitOptions`.
        sample: inputs of the head, `[cols, d]`, to try bfloat16 on.

    Returns:
        The head; None where it is not linear or has a softcap, so that autograd is needed.
    """
    whole = model.head.linear
    if whole is None or whole.softcap is not None:
        return None
    if products == "float32":
        return _with_products(whole, torch.float32)
    if products == "bfloat16":
        return _with_products(whole, torch.bfloat16)
    if whole.weight.dtype != torch.float32 or not is_fast_in_bfloat16(whole.weight.device):
        return whole
    rounded = _with_products(whole, torch.bfloat16)
    sample = sample[:: max(1, len(sample) // _TRIED_COLUMNS)]
    with torch.inference_mode():
        exact = whole(sample).log_softmax(-1)
        near = rounded(sample.bfloat16()).float().log_softmax(-1)
        cost = float((exact.exp() * (exact - near)).sum(-1).mean())
    return rounded if cost <= _BFLOAT16_COST else whole


def _with_products(head: LinearHead, dtype: torch.dtype) -> LinearHead:
    weight = head.weight.detach().float()
    return replace(
        head,
        weight=(weight - weight.mean(0)).to(dtype),
        bias=None if head.bias is None else head.bias.detach().to(dtype),
    )


def _runs(model: Model, x: Tensor) -> Iterator[slice]:
    """Yield runs of the columns of `x` `[rows, cols, d]`, short enough to hold the logits of one row."""
    size = _LOGITS_BYTES.get(x.device.type, _LOGITS_BYTES_ACCELERATOR)
    width = max(1, size // (4 * model.vocabulary))
    for start in range(0, x.shape[1], width):
        yield slice(start, start + width)


# ── a linear head ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class LinearTarget:
    """The target distribution of all rows, for a linear head.

    Attributes:
        mean_weight: `E_p[w]`, `[cols, d]`.
        mean_bias: `E_p[bias]`, `[cols]`; 0 without a bias.
        constant: `Σ p log p`, `[cols]`; 0 where `p` is the next token.
        counts: 0 in columns that lack a next token which `p` needs, else 1; `[cols]`.
    """

    mean_weight: Tensor
    mean_bias: Tensor
    constant: Tensor
    counts: Tensor

    @classmethod
    def joined(cls, parts: Sequence[LinearTarget]) -> LinearTarget:
        """Return the target of the columns of all `parts`."""
        return cls(*(torch.cat(of_parts) for of_parts in zip(*map(_fields, parts), strict=True)))

    def __getitem__(self, columns: slice) -> LinearTarget:
        """Return the target of some columns."""
        return LinearTarget(*(field[columns] for field in _fields(self)))

    def logit(self, head: LinearHead, x: Tensor) -> Tensor:
        """Return `Σ p z` of every column, `[cols]`."""
        mean: Tensor = torch.linalg.vecdot(x.float(), self.mean_weight) + self.mean_bias
        return mean * head.scale


def _fields(target: LinearTarget) -> tuple[Tensor, ...]:
    return target.mean_weight, target.mean_bias, target.constant, target.counts


def _linear_target(head: LinearHead, final: Tensor, following: Tensor, loss: Loss) -> LinearTarget:
    with torch.no_grad():
        zero, one = final.new_zeros(len(final)).float(), final.new_ones(len(final)).float()
        if loss == "ce":
            there = following.clamp(min=0)
            bias = zero if head.bias is None else head.bias[there].float()
            return LinearTarget(head.weight[there].float(), bias, zero, (following >= 0).float())
        probs, log_normalizer = _distribution(head, final)
        bias = zero if head.bias is None else probs @ head.bias.float()
        target = LinearTarget(_expected_weight(head, probs), bias, zero, one)
        return replace(target, constant=target.logit(head, final) - log_normalizer)


def _linear_kl(head: LinearHead, x: Tensor, target: LinearTarget) -> Tensor:
    """Return KL(target ‖ lens) of every column, nats, `[cols]`; NaN where a logit is not finite."""
    return target.constant - target.logit(head, x) + _distribution(head, x)[1]


def _two_products(head: LinearHead, x: Tensor, target: LinearTarget) -> tuple[Tensor, Tensor]:
    """Return the sum of the loss, and its gradient by `x` `[cols, d]`."""
    with torch.no_grad():
        probs, log_normalizer = _distribution(head, x)  # the first product
        losses = (target.constant - target.logit(head, x) + log_normalizer) * target.counts
        gradient = _expected_weight(head, probs).sub_(target.mean_weight)  # the second
        return losses.sum(), gradient.mul_((head.scale * target.counts)[:, None])


def _distribution(head: LinearHead, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return `softmax(z)` `[cols, vocabulary]` and `log Σ exp z` `[cols]`, float32."""
    logits = product(x.to(head.weight.dtype), head.weight, head.bias)
    if head.scale != 1.0:
        logits *= head.scale
    probs = logits.softmax(-1, dtype=torch.float32)
    # By the likeliest token, whose probability never underflows: cheaper than summing exponentials again.
    return probs, logits.amax(-1).float() - probs.amax(-1).log()


def _expected_weight(head: LinearHead, probs: Tensor) -> Tensor:
    """Return `E[w]` `[cols, d]`, float32."""
    return (probs.to(head.weight.dtype) @ head.weight).float()


# ── any other head ───────────────────────────────────────────────────────────────────────────────────────


class _Target:
    """The target of all rows, for any head: a distribution, or the next token where there is one."""

    def __init__(self, probs: Tensor | None, constant: Tensor, following: Tensor) -> None:
        self.probs = probs  # [cols, vocabulary]; None for the next tokens
        self.constant = constant  # `Σ p log p` of every column, `[cols]`; 0 for the next tokens
        self.counts = (following >= 0) if probs is None else torch.ones_like(following, dtype=torch.bool)
        self.following = following.clamp(min=0)[:, None]  # [cols, 1]

    def of(self, logits: Tensor) -> Tensor:
        """Return `Σ p z` of every column, `[cols]`."""
        if self.probs is None:
            return logits.gather(1, self.following)[:, 0]
        product: Tensor = torch.linalg.vecdot(self.probs, logits.clamp(min=_LOWEST))
        return product


def _target(model: Model, final: Tensor, following: Tensor, loss: Loss) -> _Target:
    with torch.no_grad():
        if loss == "ce":
            return _Target(None, final.new_zeros(()).float(), following)
        log_probs = model.head.logits(final).log_softmax(-1)
        probs = log_probs.exp()
        total = probs.sum(-1, keepdim=True)  # off 1 by float32's rounding, which would show in a large KL
        probs /= total
        log_probs -= total.log()
        constant = torch.linalg.vecdot(probs, log_probs.clamp_(min=_LOWEST))
        return _Target(probs, constant, following)


def _through_the_head(model: Model, x: Tensor, target: _Target) -> tuple[Tensor, Tensor]:
    """Return the sum of the loss and its gradient by `x`, by autograd through the model's own code."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        logits = model.head.logits(leaf)
        loss = ((logits.logsumexp(-1) - target.of(logits)) * target.counts).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach() + target.constant.sum(), gradient
