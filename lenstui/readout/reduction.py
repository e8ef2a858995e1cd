"""Reduction of logits to the numbers of cells, a row of a tile at a time, in small, fast slices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, Cells

# Slices that stay in a CPU's cache are three times as fast.
_SLICE_BYTES = {"cpu": 3 << 20}
_SLICE_BYTES_ACCELERATOR = 256 << 20
_LOWEST = torch.finfo(torch.float32).min
_SMALLEST = torch.finfo(torch.float32).tiny
_ENDLESS = 1e20  # nats of KL: only logits that forbid a token are so far apart
DIVERGENCES = ("kl", "js")  # from the final distribution, and so 0 in the last row
_AGAINST_FINAL = {*DIVERGENCES, "final_rank"}  # missing in a column without a final distribution
_TOP_BLOCK = 64  # logits per block in the first stage of the top-k search


@dataclass(frozen=True, eq=False)
class Final:
    """The final distribution and the next tokens of a tile, with which every row is compared.

    Attributes:
        probs: the final distribution, `[cols, vocabulary]`.
        neg_entropy: its `Σ p log p`, `[cols]`.
        top1: its likeliest token, `[cols]`.
        next_ids: the prompt's next token, `[cols]`, or one fewer in the prompt's last tile.
    """

    probs: Tensor
    neg_entropy: Tensor
    top1: Tensor
    next_ids: Tensor

    @classmethod
    def of(cls, logits: Tensor, next_ids: Tensor) -> Final:
        """Return the final distribution of the model's own logits, `[cols, vocabulary]`."""
        top1 = logits.argmax(-1)  # the lowest id among equals
        probs = torch.empty_like(logits)
        neg_entropy = logits.new_empty(len(logits))
        for part in _slices(logits):
            log_probs = logits[part].log_softmax(-1)
            torch.exp(log_probs, out=probs[part])
            # The float32 sum is off 1 by 1e-5, which would change a KL of 40 nats in its fourth digit.
            total = probs[part].sum(-1, keepdim=True)
            probs[part] /= total
            log_probs -= total.log()
            # 0 · -inf is 0 here: a head may mask tokens out.
            neg_entropy[part] = _dot(probs[part], log_probs.clamp_(min=_LOWEST))
        return cls(probs, neg_entropy, top1, next_ids)

    def __getitem__(self, part: slice) -> Final:
        return Final(self.probs[part], self.neg_entropy[part], self.top1[part], self.next_ids[part])

    @property
    def is_number(self) -> Tensor:
        """Whether each column has a final distribution, `[cols]`: its logits are finite, or forbid tokens."""
        return self.neg_entropy.isfinite()


def _slice_width(logits: Tensor) -> int:
    """Return the number of columns per slice of a tile."""
    size = _SLICE_BYTES.get(logits.device.type, _SLICE_BYTES_ACCELERATOR)
    return max(1, size // (4 * logits.shape[-1]))


def _slices(logits: Tensor) -> Iterator[slice]:
    width = _slice_width(logits)
    for start in range(0, len(logits), width):
        yield slice(start, start + width)


def reduce_row(
    logits: Tensor,
    final: Final,
    top_k: int,
    pins: tuple[int, ...],
    words: Tensor | None = None,
    *,
    sums: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the numbers of one row of a tile, by name. Overwrites `logits`.

    Args:
        logits: the row's logits, `[cols, vocabulary]`.
        final: the final distribution and next tokens of the same columns.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose numbers each cell keeps.
        words: the ids of the tokens to keep the likeliest of, ascending; None for all.
        sums: what the distributions are added to, `[vocabulary]`, if anything; NaN for a cell that is not a
            number.
    """
    parts = [
        _reduce_slice(logits[part], final[part], top_k, pins, words, sums=sums) for part in _slices(logits)
    ]
    numbers = {name: torch.cat([part[name] for part, _ in parts]) for name in parts[0][0]}
    is_number = torch.cat([each for _, each in parts])
    return _without_what_is_none(numbers, is_number, final.is_number)


def is_number(logits: Tensor) -> Tensor:
    """Return whether the logits `[cols, vocabulary]` of each column make a distribution, `[cols]`.

    Logits with a NaN or +inf among them do not, nor do logits that are all -inf.
    """
    return logits.logsumexp(-1).isfinite()


def _without_what_is_none(
    numbers: dict[str, Tensor], is_number: Tensor, has_final: Tensor
) -> dict[str, Tensor]:
    """Return the numbers of one row of a tile, masked in the cells that are not a number.

    Args:
        numbers: the numbers by name, `[cols, …]`.
        is_number: whether each cell is a number, `[cols]`.
        has_final: whether each column has a final distribution, `[cols]`.
    """
    if bool((is_number & has_final).all()):
        return numbers
    against_final = is_number & has_final
    kept: dict[str, Tensor] = {}
    for name, of_row in numbers.items():
        known = against_final if name in _AGAINST_FINAL else is_number
        none = float("nan") if of_row.is_floating_point() else NOT_A_NUMBER
        kept[name] = of_row.masked_fill(~known.view(-1, *[1] * (of_row.ndim - 1)), none)
    return kept


def _reduce_slice(
    logits: Tensor,
    final: Final,
    top_k: int,
    pins: tuple[int, ...],
    words: Tensor | None,
    *,
    sums: Tensor | None,
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the numbers of some columns of a row, and whether each of these cells is a number."""
    if words is None:
        top_logits, top_ids = top_tokens(logits, top_k)
        peak, top1 = top_logits[:, :1].clone(), top_ids[:, 0]
    else:
        top_logits, top_ids = top_tokens_among(logits, words, top_k)
        peak, best = top_tokens(logits, 1)
        top1 = best[:, 0]
    following = len(final.next_ids)  # the columns that have a next token
    numbers = {
        "top1": top1,
        "top_ids": top_ids,
        "top_logits": top_logits,
        "final_rank": _ranks(logits, final.top1),
        "next_rank": _pad(_ranks(logits[:following], final.next_ids), len(logits), -1),
    }
    pin_ids = torch.tensor(pins, dtype=torch.long, device=logits.device)
    pin_logits = logits[:, pin_ids]  # [cols, pins]
    pin_ranks = [_ranks(logits, pin.expand(len(logits))) for pin in pin_ids]
    next_logits = logits[:following].gather(1, final.next_ids[:, None])[:, 0]

    # Less the largest logit, every sum below is of moderate numbers: float32 keeps 1e-5 nats.
    shifted = logits.sub_(peak).clamp_(min=_LOWEST)
    weights = shifted.exp()
    total = weights.sum(-1)
    if sums is not None:
        sums.addmv_(weights.T, total.reciprocal())
    log_total = total.log()
    log_normalizer = log_total + peak[:, 0]
    entropy = log_total - _dot(weights, shifted) / total
    kl = final.neg_entropy - _dot(final.probs, shifted) + log_total
    # JS = H(m) - (H(p) + H(q)) / 2, from p + q = 2m; the clamp is for tokens that are forbidden in both.
    # Both buffers are used again: to fill new ones of this size takes longer than the arithmetic.
    both = torch.addcmul(final.probs, weights, total.reciprocal()[:, None], out=weights)
    logs = torch.log(both.clamp_(min=_SMALLEST), out=shifted)
    js = (final.neg_entropy - entropy - _dot(both, logs)) / 2 + math.log(2)
    numbers |= {
        "top_probs": (top_logits - log_normalizer[:, None]).exp(),
        "entropy": entropy.clamp_(min=0),
        "kl": kl.clamp_(min=0).masked_fill_(kl > _ENDLESS, float("inf")),  # a token is forbidden only here
        "js": js.clamp_(0, math.log(2)),
        "next_logprob": _pad(next_logits - log_normalizer[:following], len(logits), float("nan")),
        "pin_logits": pin_logits,
        "pin_logprobs": pin_logits - log_normalizer[:, None],
        "pin_ranks": torch.stack(pin_ranks, dim=-1) if pin_ranks else pin_ids.new_zeros(len(logits), 0),
    }
    return numbers, total.isfinite()  # equals `is_number`: with a NaN or +inf the sum is NaN


def top_tokens(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of `logits` `[cols, vocabulary]` and their ids, lowest id first among equals.

    The search has two stages, which on a CPU are several times as fast as one: the `k` blocks with the
    largest maxima, then the `k` best tokens within these. Columns with ties are searched again.

    Returns:
        Logits and ids, `[cols, k]`; fewer where the vocabulary is smaller.
    """
    columns, vocabulary = logits.shape
    k = min(k, vocabulary)
    wanted = min(k + 1, vocabulary)  # one more tells whether the k-th place is shared
    blocks = vocabulary // _TOP_BLOCK
    if blocks > 4 * wanted:
        whole = blocks * _TOP_BLOCK
        best_blocks = logits[:, :whole].view(columns, blocks, _TOP_BLOCK).amax(-1).topk(wanted).indices
        inside = torch.arange(_TOP_BLOCK, device=logits.device)
        ids = (best_blocks[:, :, None] * _TOP_BLOCK + inside).flatten(1)
        rest = torch.arange(whole, vocabulary, device=logits.device).expand(columns, -1)
        ids = torch.cat([ids, rest], dim=1)
        values, places = logits.gather(1, ids).topk(wanted)
        ids = ids.gather(1, places)
    else:
        values, ids = logits.topk(wanted)
    tied = (values[:, 1:] == values[:, :-1]).any(-1) & values[:, 0].isfinite()
    for column in tied.nonzero()[:, 0].tolist():  # in bfloat16 one position in twenty
        candidates = (logits[column] >= values[column, -1]).nonzero()[:, 0]  # in order of id
        order = logits[column, candidates].sort(descending=True, stable=True).indices[:wanted]
        ids[column] = candidates[order]
    return values[:, :k], ids[:, :k]


def top_tokens_among(logits: Tensor, words: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of some tokens' logits and their ids, `[cols, k]`, as `top_tokens` does.

    Args:
        logits: `[cols, vocabulary]`.
        words: the ids of these tokens, ascending.
        k: the number of tokens to return; fewer where there are fewer words.
    """
    values, places = top_tokens(logits.index_select(1, words), k)
    return values, words[places]


def _ranks(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the rank of each column's token: how many logits are strictly greater, `[cols]`."""
    own = logits.gather(1, tokens[:, None])
    return (logits > own).sum(-1, dtype=torch.int32)  # half the work of int64


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the row-wise dot product `[cols]` of two `[cols, vocabulary]`."""
    product: Tensor = torch.linalg.vecdot(a, b)
    return product


def _pad(values: Tensor, length: int, filler: float) -> Tensor:
    """Return `values` padded at the end with `filler` to a length."""
    return torch.nn.functional.pad(values, (0, length - len(values)), value=filler)


def nothing(like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the numbers of a row that a lens does not read: NaN and `NOT_READ`."""
    return {
        name: torch.full_like(numbers, float("nan") if numbers.is_floating_point() else NOT_READ)
        for name, numbers in like.items()
    }


def stack(rows: Sequence[Mapping[str, Tensor]]) -> Cells:
    """Stack the numbers of all rows, `[cols, …]` each, to cells with arrays `[rows, cols, …]`."""
    arrays: dict[str, np.ndarray] = {}
    for name in rows[0]:
        stacked = torch.stack([row[name] for row in rows])
        dtype = torch.float32 if stacked.is_floating_point() else torch.int32
        arrays[name] = stacked.to(dtype).cpu().numpy()
    return Cells(**arrays)
