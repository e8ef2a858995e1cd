"""The sums over the vocabulary that the numbers of a row's cells are made of, in one way through its logits.

Memory is slower than arithmetic. Each slice of a few columns is brought into the cache once, and everything
is made of it there, in two buffers that all slices use again. Powers are those of 2, which PyTorch computes
three times as fast as those of e.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from lenstui.model.trial import fastest
from lenstui.readout.likeliest import block_maxima

# Of one of the arrays that are gone over together, for each thread: four of them fit into a core's cache.
_SLICE_BYTES = 400 << 10
_SLICE_BYTES_ACCELERATOR = 128 << 20
_LOG2_E = 1 / math.log(2)
# No weight is less than this power of 2 times the largest: no sum can tell, and a processor is slow with the
# smallest numbers there are.
_LEAST = -100.0


@dataclass(frozen=True, eq=False)
class VocabularySums:
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

    @classmethod
    def of(cls, logits: Tensor, probs: Tensor, own: Tensor, sums: Tensor | None = None) -> VocabularySums:
        """Go through the logits of some rows once.

        Args:
            logits: `[rows, cols, vocabulary]`.
            probs: the final distribution, `[cols, vocabulary]`, float32.
            own: the logits of the tokens to rank, `[rows, cols, tokens]`.
            sums: what the distributions are added to, `[rows, vocabulary]`, if anything.
        """
        parts = slices(probs)
        buffers = [torch.empty_like(probs[parts[0]]) for _ in range(2)]
        # Of each slice in every row: all rows of a slice come together, since they share its `p`.
        found = [
            _of_slice(of_row, probs[part], of_own, buffers, None if sums is None else sums[row])
            for part in parts
            for row, (of_row, of_own) in enumerate(zip(logits[:, part], own[:, part], strict=True))
        ]
        of_rows = [found[row :: len(logits)] for row in range(len(logits))]
        joined = [
            torch.stack([torch.cat(of_parts) for of_parts in of_number])
            for of_number in zip(*(zip(*of_row, strict=True) for of_row in of_rows), strict=True)
        ]
        maxima, greater, peak, total, weighted, cross, mixed = joined
        unclear = cross.isnan() & total.isfinite()
        if bool(unclear.any()):  # 0 · -inf is 0 here
            z, p = logits[unclear].float(), probs.expand_as(logits)[unclear]
            cross[unclear] = torch.where(p > 0, p * (z - peak[unclear][:, None]), 0.0).sum(-1) * _LOG2_E
        return cls(maxima, greater.int(), peak, total, weighted.div_(_LOG2_E), cross.div_(_LOG2_E), mixed)


def _of_slice(
    logits: Tensor, p: Tensor, own: Tensor, buffers: Sequence[Tensor], sums: Tensor | None
) -> tuple[Tensor, ...]:
    """Return the numbers of `VocabularySums` for some columns of a row, `weighted` and `cross` in bits.

    Args:
        logits: `[cols, vocabulary]`.
        p: the final distribution, `[cols, vocabulary]`.
        own: the logits of the tokens to rank, `[cols, tokens]`.
        buffers: two of the shape of `p`, or of more columns; overwritten.
        sums: what the distributions are added to, `[vocabulary]`, if anything.
    """
    z = logits.float()
    one, other = (buffer[: len(z)] for buffer in buffers)
    maxima = block_maxima(z)
    peak = maxima.amax(-1, keepdim=True)
    # Four times as fast with floats as with bools, and sums of ones are exact.
    greater = [torch.gt(z, of_token, out=other).sum(-1) for of_token in torch.split(own, 1, dim=-1)]
    powers = torch.sub(z, peak, out=one).mul_(_LOG2_E)
    cross = torch.mul(p, powers, out=other).sum(-1)
    weights = torch.exp2(powers.clamp_(min=_LEAST), out=other)
    total = weights.sum(-1, keepdim=True)
    weighted = powers.mul_(weights).sum(-1)
    shares = total.reciprocal()
    if sums is not None:
        sums.addmv_(weights.T, shares[:, 0])
    s = torch.addcmul(p, weights, shares, out=other)
    mixed = log_of(s, out=one).mul_(s).sum(-1)
    return maxima, torch.stack(greater, dim=-1), peak[:, 0], total[:, 0], weighted, cross, mixed


def slices(logits: Tensor) -> list[slice]:
    """Return runs of columns of `logits` `[cols, vocabulary]` that are best gone over together."""
    on_cpu = logits.device.type == "cpu"
    size = _SLICE_BYTES * torch.get_num_threads() if on_cpu else _SLICE_BYTES_ACCELERATOR
    width = max(1, size // (4 * logits.shape[-1]))
    return [slice(start, min(start + width, len(logits))) for start in range(0, len(logits), width)]


def log_of(x: Tensor, out: Tensor) -> Tensor:
    """Return the natural logarithm of `x`, written into `out`: by PyTorch or NumPy, whichever is faster."""
    if x.device.type == "cpu" and _numpy_is_faster(torch.get_num_threads()):
        np.log(x.numpy(), out=out.numpy())
        return out
    return torch.log(x, out=out)


@cache
def _numpy_is_faster(threads: int) -> bool:
    """Return whether NumPy, which uses one thread, makes logarithms faster than PyTorch with some threads."""
    x = torch.rand(max(1, threads) * _SLICE_BYTES // 4)
    out = torch.empty_like(x)
    ways = {
        True: lambda: np.log(x.numpy(), out=out.numpy()),
        False: lambda: torch.log(x, out=out),
    }
    return fastest(ways)
