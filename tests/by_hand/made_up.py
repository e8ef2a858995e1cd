"""Cells made up by a formula: the same on every machine, and no model behind them."""

from __future__ import annotations

import numpy as np

from lenstui.readout.cells import Cells

ROWS, K = 7, 10
COLUMNS = ("The", "·trees", "·are", "·green", "·and", "·the", "·sky", "·is")
WORDS = ("·blue", "·the", "·a", "·very", "空色", "·unbelievably", "⏎", "\\x1b", ".", "·so", "·not", "·clear")


def cells(sharpness: float) -> Cells:
    """Made-up cells: the later the row, the surer."""
    shape = (ROWS, len(COLUMNS))
    row, column = np.indices(shape)
    ids = (row[..., None] * (column[..., None] % 3) + column[..., None] + np.arange(K)) % len(WORDS)
    ids = ids.astype(np.int32)
    logits = -np.arange(K) * sharpness * (row[..., None] + 1) / ROWS
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    kl = (ROWS - 1 - row) * (1 + column / 4) / sharpness
    following = np.where(column == len(COLUMNS) - 1, np.nan, -kl - 0.5)
    empty = np.zeros((*shape, 0))
    return Cells(
        top1=ids[..., 0],
        top_ids=ids,
        top_logits=logits.astype(np.float32),
        top_probs=probs.astype(np.float32),
        entropy=(kl + 1).astype(np.float32),
        kl=kl.astype(np.float32),
        js=(np.log(2) * kl / (kl + 2)).astype(np.float32),
        final_rank=(kl**3).astype(np.int32),
        next_logprob=following.astype(np.float32),
        next_rank=np.where(np.isnan(following), -1, 3 * row).astype(np.int32),
        pin_logits=empty.astype(np.float32),
        pin_logprobs=empty.astype(np.float32),
        pin_ranks=empty.astype(np.int32),
    )
