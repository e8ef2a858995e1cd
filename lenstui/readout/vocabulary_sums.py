"""The sums over the vocabulary that the numbers of a row's cells are made of, in one way through its logits.

Memory is slower than arithmetic. Each slice of a few columns is brought into the cache once, and everything
is made of it there, in a few buffers that all slices use again. Powers and logarithms are those of 2, which
PyTorch computes faster than those of e.

These are plain functions of tensors: a model's service runs them where the weights are (`readout/remote`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from lenstui.readout.likeliest import block_maxima

# Of one of the arrays that are gone over together, for each thread: small enough for the cache of a core, and
# large enough for the arithmetic to take longer than to call it.
_SLICE_BYTES = 640 << 10
_SLICE_BYTES_ACCELERATOR = 128 << 20
_LOG2_E = 1 / math.log(2)
# No weight is less than this power of 2 times the largest: no sum can tell, and a processor is slow with the
# smallest numbers there are.
_LEAST = -100.0


class VocabularySums(TypedDict):
    """Sums over the vocabulary for some rows of a tile; `z` are the logits, `p` the final distribution.

    A cell is not a number where `total` is not finite: its logits have a NaN or +inf among them, or are all
    -inf.

    Attributes:
        maxima: as from `block_maxima`, `[rows, cols, blocks]`.
        greater: how many logits are strictly greater than each of the tokens' own, `[rows, cols, tokens]`.
        peak: the largest logit, `[rows, cols]`.
        total: `Σ w` with the weights `w = exp(z − peak)`, `[rows, cols]`.
        weighted: `Σ w (z − peak)`, `[rows, cols]`.
        cross: `Σ p (z − peak)`, `[rows, cols]`; -inf where a token is forbidden that `p` allows.
        mixed: `Σ s log s` with `s = p + w / total`, `[rows, cols]`.
    """

    maxima: Tensor
    greater: Tensor
    peak: Tensor
    total: Tensor
    weighted: Tensor
    cross: Tensor
    mixed: Tensor


def vocabulary_sums(logits: Tensor, probs: Tensor, own: Tensor, sums: Tensor | None = None) -> VocabularySums:
    """Go through the logits of some rows once.

    Args:
        logits: `[rows, cols, vocabulary]`.
        probs: the final distribution, `[cols, vocabulary]`, float32.
        own: the logits of the tokens to rank, `[rows, cols, tokens]`.
        sums: what the distributions are added to, `[rows, vocabulary]`, if anything.
    """
    rows, columns, vocabulary = logits.shape
    width = _slice_width(probs)  # in cells: of one column in some rows, or of some columns in all rows
    buffers = [probs.new_empty(min(width, rows * columns) * vocabulary) for _ in range(3)]
    joined = [
        [
            _of_slice(
                logits[of_rows, of_columns],
                probs[of_columns],
                own[of_rows, of_columns],
                buffers,
                None if sums is None else sums[of_rows],
            )
            for of_rows in _runs(rows, width)
        ]
        for of_columns in _runs(columns, max(1, width // rows))
    ]
    by_column = [map(torch.cat, zip(*parts, strict=True)) for parts in joined]
    numbers = [torch.cat(parts, dim=1) for parts in zip(*by_column, strict=True)]
    maxima, greater, peak, total, weighted, cross, mixed = numbers
    unclear = cross.isnan() & total.isfinite()
    if bool(unclear.any()):  # 0 · -inf is 0 here
        z, p = logits[unclear].float(), probs.expand_as(logits)[unclear]
        cross[unclear] = torch.where(p > 0, p * (z - peak[unclear][:, None]), 0.0).sum(-1) * _LOG2_E
    return {
        "maxima": maxima,
        "greater": greater.int(),
        "peak": peak,
        "total": total,
        "weighted": weighted / _LOG2_E,
        "cross": cross / _LOG2_E,
        "mixed": mixed / _LOG2_E,
    }


def _of_slice(
    logits: Tensor, p: Tensor, own: Tensor, buffers: Sequence[Tensor], sums: Tensor | None
) -> tuple[Tensor, ...]:
    """Return the numbers of `VocabularySums` for some rows and columns, the last three in bits.

    Args:
        logits: `[rows, cols, vocabulary]`.
        p: the final distribution, `[cols, vocabulary]`.
        own: the logits of the tokens to rank, `[rows, cols, tokens]`.
        buffers: three that are as large as `logits`, or larger; overwritten.
        sums: what the distributions are added to, `[rows, vocabulary]`, if anything.
    """
    one, other, third = (buffer[: logits.numel()].view(logits.shape) for buffer in buffers)
    z = logits if logits.dtype == torch.float32 else third.copy_(logits)
    maxima = block_maxima(z)
    peak = maxima.amax(-1, keepdim=True)
    # Four times as fast with floats as with bools, and sums of ones are exact.
    greater = [torch.gt(z, of_token[..., None], out=other).sum(-1) for of_token in own.unbind(-1)]
    powers = torch.sub(z, peak, out=one).mul_(_LOG2_E)
    cross = torch.mul(powers, p, out=other).sum(-1)
    weights = torch.exp2(powers.clamp_(min=_LEAST), out=other)
    total = weights.sum(-1, keepdim=True)
    weighted = powers.mul_(weights).sum(-1)
    shares = total.reciprocal()
    if sums is not None:
        for of_row, row_weights, row_shares in zip(sums, weights, shares, strict=True):
            of_row.addmv_(row_weights.T, row_shares[:, 0])
    s = torch.addcmul(p, weights, shares, out=other)
    mixed = torch.log2(s, out=one).mul_(s).sum(-1)
    return maxima, torch.stack(greater, dim=-1), peak[..., 0], total[..., 0], weighted, cross, mixed


def slices(logits: Tensor) -> list[slice]:
    """Return runs of columns of `logits` `[cols, vocabulary]` that are best gone over together."""
    return _runs(len(logits), _slice_width(logits))


def _slice_width(logits: Tensor) -> int:
    """Return how many rows of a matrix `[…, vocabulary]` make a slice."""
    on_cpu = logits.device.type == "cpu"
    size = _SLICE_BYTES * torch.get_num_threads() if on_cpu else _SLICE_BYTES_ACCELERATOR
    return max(1, size // (4 * logits.shape[-1]))


def _runs(length: int, width: int) -> list[slice]:
    return [slice(start, min(start + width, length)) for start in range(0, length, width)]
