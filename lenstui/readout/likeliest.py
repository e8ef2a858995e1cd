"""The likeliest tokens of a row of logits, lowest id first among equals.

The search has two stages, which on a CPU are several times as fast as one: the `k` blocks of the vocabulary
with the largest maxima, then the `k` best tokens within these.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 64  # logits


def block_maxima(logits: Tensor) -> Tensor:
    """Return the largest of every 64 logits, and of those left over, `[…, blocks]`.

    Args:
        logits: `[…, vocabulary]`.
    """
    vocabulary = logits.shape[-1]
    whole = vocabulary // _BLOCK * _BLOCK
    maxima = logits[..., :whole].view(*logits.shape[:-1], -1, _BLOCK).amax(-1)
    if whole == vocabulary:
        return maxima
    return torch.cat([maxima, logits[..., whole:].amax(-1, keepdim=True)], dim=-1)


def top_tokens(logits: Tensor, k: int, maxima: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of `logits` `[cols, vocabulary]` and their ids, lowest id first among equals.

    Args:
        logits: `[cols, vocabulary]`.
        k: the number of tokens.
        maxima: from `block_maxima` of the same logits; None to have them made.

    Returns:
        Logits and ids, `[cols, k]`; fewer where the vocabulary is smaller.
    """
    vocabulary = logits.shape[1]
    k = min(k, vocabulary)
    if vocabulary <= 4 * _BLOCK * k:
        ids = _places_of_largest(logits, k)
        return logits.gather(1, ids), ids
    if maxima is None:
        maxima = block_maxima(logits)
    # In order of id, so that among equal candidates the first place is the lowest id.
    blocks = _places_of_largest(maxima, k).sort(-1).values
    ids = (blocks[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=logits.device)).flatten(1)
    is_token = ids < vocabulary  # the last block may be short
    candidates = logits.gather(1, ids.clamp(max=vocabulary - 1)).where(is_token, -torch.inf)
    # A filler has the highest places of all, and there are k tokens without it.
    ids = ids.gather(1, _places_of_largest(candidates, k))
    return logits.gather(1, ids), ids


def top_tokens_among(logits: Tensor, words: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of some tokens' logits and their ids, `[cols, k]`, as `top_tokens` does.

    Args:
        logits: `[cols, vocabulary]`.
        words: the ids of these tokens, ascending.
        k: the number of tokens to return; fewer where there are fewer words.
    """
    values, places = top_tokens(logits.index_select(1, words), k)
    return values, words[places]


def _places_of_largest(values: Tensor, k: int) -> Tensor:
    """Return the places of the `k` largest of each row, largest first, the lowest place first among equals.

    A whole number is made of each value and its place, and no two of these are equal: `topk` alone would
    take any of equal values.

    Args:
        values: `[rows, n]`, floating point.
        k: how many, at most `n`.

    Returns:
        Places, `[rows, k]`.
    """
    # A NaN counts as the largest, whatever its sign: else what fills a short block would come before it.
    numbers = values.float().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    bits = (numbers + 0.0).view(torch.int32)  # -0.0 is 0.0 now
    # The bits of a float are in the order of the floats, and the other way round for negative ones.
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    behind = torch.arange(values.shape[1], device=values.device).neg_()
    keys = (ordered.long() << 32).add_(behind)
    return keys.topk(k).indices
