"""Reduction of logits to the numbers of cells, some rows of a tile at a time.

`final_of`, `reduce_rows` and all that they call are plain functions of tensors: a model's service runs them
where the weights are (`readout/remote`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from lenstui.readout.cells import NOT_A_NUMBER, NOT_READ, Cells
from lenstui.readout.likeliest import top_tokens, top_tokens_among
from lenstui.readout.vocabulary_sums import slices, vocabulary_sums

_LOWEST = torch.finfo(torch.float32).min
DIVERGENCES = ("kl", "js")  # from the final distribution, and so 0 in the last row
_AGAINST_FINAL = {*DIVERGENCES, "final_rank"}  # missing in a column without a final distribution


class Final(TypedDict):
    """The final distribution and the next tokens of a tile, with which every row is compared.

    Attributes:
        probs: the final distribution, `[cols, vocabulary]`.
        neg_entropy: its `Σ p log p`, `[cols]`; not finite in a column without a final distribution, whose
            logits have a NaN or +inf among them, or are all -inf.
        top1: its likeliest token, `[cols]`.
        next_ids: the prompt's next token, `[cols]`, or one fewer in the prompt's last tile.
    """

    probs: Tensor
    neg_entropy: Tensor
    top1: Tensor
    next_ids: Tensor


def final_of(logits: Tensor, next_ids: Tensor) -> Final:
    """Return the final distribution of the model's own logits, `[cols, vocabulary]`."""
    top1 = top_tokens(logits, 1)[1][:, 0]
    probs = torch.empty_like(logits, dtype=torch.float32)
    neg_entropy = probs.new_empty(len(logits))
    for part in slices(logits):
        log_probs = logits[part].float().log_softmax(-1)
        of_part = torch.exp(log_probs, out=probs[part])
        # The float32 sum is off 1 by 1e-5, which would change a KL of 40 nats in its fourth digit.
        total = of_part.sum(-1, keepdim=True)
        of_part /= total
        log_probs -= total.log()
        # 0 · -inf is 0 here: a head may mask tokens out.
        neg_entropy[part] = torch.linalg.vecdot(of_part, log_probs.clamp_(min=_LOWEST))
    return {"probs": probs, "neg_entropy": neg_entropy, "top1": top1, "next_ids": next_ids}


def reduce_rows(
    logits: Tensor,
    final: Final,
    top_k: int,
    pins: tuple[int, ...],
    words: Tensor | None = None,
    *,
    sums: Tensor | None = None,
) -> list[dict[str, Tensor]]:
    """Return the numbers of some rows of a tile, by name, `[cols, …]` each.

    Args:
        logits: the rows' logits, `[rows, cols, vocabulary]`, in the dtype of the head.
        final: the final distribution and next tokens of the same columns.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose numbers each cell keeps.
        words: the ids of the tokens to keep the likeliest of, ascending; None for all.
        sums: what the distributions are added to, `[rows, vocabulary]`, if anything; NaN for a cell that is
            not a number.
    """
    rows, columns, _ = logits.shape
    following = len(final["next_ids"])  # the prompt's last column has no next token
    pin_ids = torch.tensor(pins, dtype=torch.long, device=logits.device).expand(columns, -1)
    next_ids = _pad(final["next_ids"], columns, 0)
    followed = torch.cat([final["top1"][:, None], next_ids[:, None], pin_ids], dim=1)  # [cols, 2 + pins]
    own = logits.gather(2, followed.expand(rows, -1, -1)).float()  # [rows, cols, 2 + pins]
    over = vocabulary_sums(logits, final["probs"], own, sums)
    cells = logits.flatten(0, 1)  # [rows · cols, vocabulary]
    best_logits, best_ids = top_tokens(cells, top_k, over["maxima"].flatten(0, 1))
    top1 = best_ids[:, 0]
    if words is not None:
        best_logits, best_ids = top_tokens_among(cells, words, top_k)
    top_ids, top_logits = (each.view(rows, columns, -1) for each in (best_ids, best_logits.float()))

    # Less the largest logit, every sum is of moderate numbers: float32 keeps 1e-5 nats.
    log_total = over["total"].log()
    log_normalizer = (log_total + over["peak"])[..., None]
    entropy = log_total - over["weighted"] / over["total"]
    kl = final["neg_entropy"] - over["cross"] + log_total
    # H(m) - (H(p) + H(q)) / 2, p + q = 2m
    js = (final["neg_entropy"] - entropy - over["mixed"]) / 2 + math.log(2)
    log_probs = own - log_normalizer
    numbers = {
        "top1": top1.view(rows, columns),
        "top_ids": top_ids,
        "top_logits": top_logits,
        "top_probs": (top_logits - log_normalizer).exp(),
        "entropy": entropy.clamp_(min=0),
        "kl": kl.clamp_(min=0),
        "js": js.clamp_(0, math.log(2)),
        "final_rank": over["greater"][..., 0],
        "next_logprob": _pad(log_probs[:, :following, 1], columns, float("nan")),
        "next_rank": _pad(over["greater"][:, :following, 1], columns, -1),
        "pin_logits": own[..., 2:],
        "pin_logprobs": log_probs[..., 2:],
        "pin_ranks": over["greater"][..., 2:],
    }
    masked = _without_what_is_none(numbers, over["total"].isfinite(), final["neg_entropy"].isfinite())
    return [{name: of_rows[row] for name, of_rows in masked.items()} for row in range(rows)]


def ranked(logits: Tensor, count: int, words: Tensor | None) -> dict[str, Tensor]:
    """Return the likeliest tokens of one cell, best first: `ids`, `logits`, `probs` and `ranks`, `[k]`.

    There are none where the cell is not a number. Probabilities are in float64.

    Args:
        logits: the cell's, `[1, vocabulary]`.
        count: the number of tokens; fewer where there are fewer.
        words: the ids of the tokens to rank, ascending; None for all.
    """
    most = count if bool(is_number(logits).all()) else 0
    top, ids = top_tokens(logits, most) if words is None else top_tokens_among(logits, words, most)
    total = logits.cpu().double().logsumexp(-1)
    # As many logits are greater than a token's own as are smaller among the negative ones.
    ranks = torch.searchsorted((-logits[0]).sort().values, -top[0])
    of_top = top[0].float().cpu()
    return {
        "ids": ids[0].to(torch.int32).cpu(),
        "logits": of_top,
        "probs": (of_top.double() - total).exp(),
        "ranks": ranks.to(torch.int32).cpu(),
    }


def is_number(logits: Tensor) -> Tensor:
    """Return whether the logits `[cols, vocabulary]` of each column make a distribution, `[cols]`.

    Logits with a NaN or +inf among them do not, nor do logits that are all -inf.
    """
    return logits.logsumexp(-1).isfinite()


def _without_what_is_none(
    numbers: dict[str, Tensor], is_number: Tensor, has_final: Tensor
) -> dict[str, Tensor]:
    """Return the numbers of some rows, masked in the cells that are not a number.

    Args:
        numbers: the numbers by name, `[rows, cols, …]`.
        is_number: whether each cell is a number, `[rows, cols]`.
        has_final: whether each column has a final distribution, `[cols]`.
    """
    against_final = is_number & has_final
    if bool(against_final.all()):
        return numbers
    kept: dict[str, Tensor] = {}
    for name, of_rows in numbers.items():
        known = against_final if name in _AGAINST_FINAL else is_number
        none = float("nan") if of_rows.is_floating_point() else NOT_A_NUMBER
        kept[name] = of_rows.masked_fill(~known.view(*known.shape, *[1] * (of_rows.ndim - 2)), none)
    return kept


def _pad(values: Tensor, length: int, filler: float) -> Tensor:
    """Return `values` `[…, n]` padded at the end with `filler` to a length."""
    return torch.nn.functional.pad(values, (0, length - values.shape[-1]), value=filler)


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
