"""The blocks that a fit goes through, and their hidden states: those of the closed form are used twice."""

from __future__ import annotations

import torch
from torch import Tensor

from lenstui.fitting.state import Fit, block_at

_MOST_KEPT = 64 << 20  # bytes of the hidden states of all blocks of the closed form


def closed_form_blocks(fit: Fit) -> int:
    """Return the number of blocks that the closed form sees: the first ones."""
    length = len(fit.blocks.train[0])
    return min(len(fit.blocks.train), max(1, fit.options.closed_form_tokens // length))


def block(fit: Fit, place: int) -> Tensor:
    """Return the token ids of the block at a place, `[cols]`."""
    train = fit.blocks.train
    return train[block_at(place, len(train), fit.options.seed)]


def places_of_steps(fit: Fit, positions: range) -> list[int]:
    """Return the places of blocks that steps see, by how many blocks the fit has seen before.

    They follow those of the closed form. The last steps see the blocks of the closed form again, where the
    hidden states of these are kept: that a block is new lowers the KL by less than what it costs to run it.
    """
    if not _keeps(fit):
        return [*positions]
    seen = fit.options.steps * fit.blocks_per_step
    return [position if position < seen else position - seen for position in positions]


def stream(fit: Fit, place: int) -> Tensor:
    """Return the hidden states of a block, `[L + 1, cols, d]`, and keep them where a step sees it again."""
    if place in fit.streams:
        return fit.streams[place]
    h = fit.model.stream(block(fit, place)[None])[:, 0]
    if _keeps(fit):
        fit.streams[place] = h
    return h


def last_streams(fit: Fit, places: list[int]) -> Tensor:
    """Return the hidden states of blocks, `[L + 1, blocks, cols, d]`, and keep none of them any longer."""
    if not _keeps(fit) or min(places) >= closed_form_blocks(fit):
        return fit.model.stream(torch.stack([block(fit, place) for place in places]))
    # One by one, as in the closed form: a fit that goes on from a checkpoint has the same numbers then.
    h = torch.stack([stream(fit, place) for place in places], dim=1)
    for place in places:
        fit.streams.pop(place)
    return h


def _keeps(fit: Fit) -> bool:
    """Return whether the hidden states of the closed form's blocks are kept; a resumed fit says the same."""
    model, options = fit.model, fit.options
    if not options.closed_form_tokens or not options.steps:
        return False
    columns = closed_form_blocks(fit) * len(fit.blocks.train[0])
    return columns * (model.num_blocks + 1) * model.d_model * model.dtype.itemsize <= _MOST_KEPT
