"""The convergence of a fit: how many top tokens two halves of the prompts have in common.

Halves are lenses of the prompts with even and with odd numbers. No matrices are kept for them: only what they
make of some held-out hidden states, summed over the prompts, to which each prompt's Jacobian adds its part.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from lenstui.model.load import Model

TOP = 10
_POSITIONS = 64  # held-out columns, of all prompts together


def held_out_states(model: Model, prompts: tuple[Tensor, ...], rows: range, first: int) -> Tensor:
    """Return hidden states of held-out columns, `[rows, positions, d]`, float32, on the CPU.

    Args:
        model: from `load`.
        prompts: the held-out prompts, `[cols]` each.
        rows: the rows to read.
        first: the first column that may be chosen; the last one is never chosen.
    """
    each = -(-_POSITIONS // len(prompts))
    chosen = []
    for prompt in prompts:
        last = len(prompt) - 2
        columns = torch.linspace(first, last, min(each, last - first + 1)).round().long()
        h = model.stream(prompt[None])[rows.start : rows.stop, 0]  # [rows, cols, d]
        chosen.append(h[:, columns.to(h.device)].float().cpu())
    return torch.cat(chosen, 1)[:, :_POSITIONS].clone()  # no inference tensor


def shared_top(model: Model, halves: Tensor) -> Generator[float, None, Tensor]:
    """Compare the top tokens of two halves, and return the share that they have in common, `[rows]`.

    Args:
        model: from `load`.
        halves: what each half makes of the same hidden states, `[2, rows, positions, d]`.

    Yields:
        The finished share of the work, after each row.
    """
    shares = []
    for row in range(halves.shape[1]):
        with torch.inference_mode():
            one, other = (_top(model, half[row]) for half in halves)
            common = (one[:, :, None] == other[:, None, :]).any(-1)
            shares.append(common.float().mean().cpu())
        yield (row + 1) / halves.shape[1]
    return torch.stack(shares).clone()


def _top(model: Model, states: Tensor) -> Tensor:
    """Return the ids of the top tokens, `[positions, TOP]`, of transported hidden states."""
    logits = model.head(states.to(model.device, model.dtype))
    return logits.topk(min(TOP, logits.shape[-1])).indices
