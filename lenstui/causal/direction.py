"""The direction in the residual stream along which a lens reads a token's logit.

With the final norm's scale held at what it is in the cell, a lens's logit is linear in `h`:

    logit = u · h + bias,    u = k Lᵀ P (gain ⊙ ΔW) / σ

with `L` the linear part of the lens's transport, `P` what takes the mean off in a LayerNorm, `ΔW` the
token's row of the unembedding less another token's, or less the mean over the vocabulary, `σ` the norm's
scale and `k` the head's. Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.causal.components import Components
from lenstui.lens.lens import Lens
from lenstui.model.contribution import FrozenNorm, find_contribution
from lenstui.model.head import Head, LinearHead
from lenstui.model.load import Model
from lenstui.model.product import product

_PIECE = 1024  # rows of the unembedding that are summed at a time


@dataclass(frozen=True, slots=True)
class Target:
    """A logit to explain: a token's, less another token's or less the mean over the vocabulary.

    The mean is over the ids that the tokenizer has, so that what raises every logit counts for nothing. A
    padded vocabulary has more.

    Attributes:
        token: the token id.
        minus: the id of the other token; None for the mean.
    """

    token: int
    minus: int | None = None

    def of(self, logits: Tensor, model: Model) -> Tensor:
        """Return the logit to explain, `[...]`, of logits `[..., vocabulary]`, in their dtype."""
        if self.minus is not None:
            return logits[..., self.token] - logits[..., self.minus]
        return logits[..., self.token] - logits[..., : real_ids(model)].mean(-1)


def real_ids(model: Model) -> int:
    """Return the number of token ids that have both a text and a logit."""
    return min(model.vocabulary, model.texts.size)


def uncapped_logits(head: Head, x: Tensor) -> Tensor:
    """Return logits before any softcap, `[cols, vocabulary]`, float32, of normed hidden states `[cols, d]`.

    A head that is the model's own code has proved to be linear, and then has no softcap.
    """
    if head.linear is None:
        return head.logits(x)
    logits = product(x.to(head.linear.weight.dtype), head.linear.weight, head.linear.bias)
    return logits.float() * head.linear.scale


@dataclass(frozen=True, slots=True, eq=False)
class HeadRow:
    """The head as a linear function to one number, `vector · x + constant`, before any softcap.

    Attributes:
        vector: `k ΔW`, `[d]`, float32.
        constant: what the head's bias gives.
    """

    vector: Tensor
    constant: float

    @classmethod
    def of(cls, model: Model, target: Target) -> HeadRow:
        """Return the row of a logit, from a head that has proved to be linear."""
        if model.head.linear is not None:
            with torch.no_grad():
                return _of_matrix(model, model.head.linear, target)

        def logit(x: Tensor) -> Tensor:
            return target.of(model.head.logits(x), model)

        zeros = torch.zeros(1, model.d_model, dtype=model.dtype, device=model.device)
        with torch.inference_mode():
            constant = float(logit(zeros)[0])
        return cls(gradient_of(logit, zeros)[0].float(), constant)


def _of_matrix(model: Model, head: LinearHead, target: Target) -> HeadRow:
    def less(rows: Tensor) -> Tensor:
        token = rows[target.token].float()
        if target.minus is not None:
            return token - rows[target.minus].float()
        return token - _mean(rows[: real_ids(model)])

    constant = 0.0 if head.bias is None else float(less(head.bias[:, None])[0]) * head.scale
    return HeadRow(less(head.weight) * head.scale, constant)


def _mean(rows: Tensor) -> Tensor:
    """Return the mean of rows `[n, d]`, `[d]`, float32. In pieces it is several times as fast."""
    sums = [piece.sum(0, dtype=torch.float32) for piece in torch.split(rows, _PIECE)]
    return torch.stack(sums).sum(0) / len(rows)


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A lens's logit at one cell as a linear function of the stream: `vector · h + bias`.

    Attributes:
        vector: `u`, `[d]`, float32.
        bias: what the biases of norm, head and transport give.
    """

    vector: Tensor
    bias: float


def find_direction(components: Components, of_head: HeadRow, lens: Lens, row: int) -> Direction:
    """Return the direction of a logit in a row of the column that components are of.

    Args:
        components: from `read_components`.
        of_head: the row of the head for the logit.
        lens: the lens, which reads the row.
        row: the index of the row, 0 for `emb`.

    Raises:
        LensError: if final norm or head is not linear.
    """
    model, h = components.model, components.stream[row]
    is_last = row == model.num_blocks
    contribution = find_contribution(model.head, components.sound, final_norm=is_last or lens.final_norm)

    def transport(states: Tensor) -> Tensor:
        return states if is_last else lens.transport(states, row)

    wide = h.float()[None]
    zeros = torch.zeros_like(wide)
    with torch.inference_mode():
        offset = transport(zeros)[0]
        normed, constant = _past_norm(contribution.norm, of_head, transport(wide))
        bias = constant + float(normed.double().cpu() @ offset.double().cpu())
    if is_last:
        return Direction(normed.clone(), bias)
    fixed = normed.clone()  # no tensor of inference mode can take part in a gradient
    return Direction(gradient_of(lambda states: transport(states) @ fixed, zeros)[0], bias)


def _past_norm(norm: FrozenNorm | None, row: HeadRow, transported: Tensor) -> tuple[Tensor, float]:
    """Return the direction of a logit in front of the norm, `[d]`, and what the biases behind give."""
    if norm is None:
        return row.vector, row.constant
    constant = row.constant + float(row.vector.double().cpu() @ norm.bias.double().cpu())
    return norm.transposed(row.vector) * norm.inverse_scale(transported)[0], constant


def gradient_of(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return the gradient of a function of `[1, d]` to one number, `[1, d]`."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        x = torch.zeros(at.shape, dtype=at.dtype, device=at.device, requires_grad=True)
        (gradient,) = torch.autograd.grad(function(x).sum(), x)
    return gradient
