"""The likeliest tokens of one cell, as many as one likes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lenstui.lens.cells import Ranking
from lenstui.lens.model import Model
from lenstui.lens.readout import top_tokens
from lenstui.lens.residual import residual_stream
from lenstui.lens.tokens import Prompt
from lenstui.lens.tuned_lens import TunedLens


def rank_cell(
    model: Model,
    prompt: Prompt,
    row: int,
    column: int,
    lens: TunedLens | None = None,
    *,
    count: int,
    final_norm: bool = True,
) -> Mapping[str, Ranking]:
    """The `count` likeliest tokens of a cell by lens name, the tuned lens only where there is one.

    Args:
        model: from `load`.
        prompt: from `encode`.
        row: index of the row, 0 for `emb`.
        column: index of the column.
        lens: a tuned lens for this model.
        count: how many tokens; fewer where the vocabulary is smaller.
        final_norm: False has the logit lens pass over the final norm, but for the last row.

    Raises:
        LensError: for a lens that does not fit the model.
    """
    if lens is not None:
        lens.check_fits(model.num_blocks, model.d_model)
        lens = lens.to(model.device)
    ids = torch.tensor([prompt.ids], device=model.device)
    h = residual_stream(model.module, model.anatomy, ids)[row, 0, column : column + 1]  # [1, d]
    with torch.inference_mode():
        is_last = row == model.num_blocks
        logits = model.head if final_norm or is_last else model.head.logits
        rankings = {"logit": _ranking(logits(h), count)}
        if lens is not None:
            rankings["tuned"] = (
                rankings["logit"] if is_last else _ranking(model.head(lens.translate(h, row)), count)
            )
    return rankings


def _ranking(logits: Tensor, count: int) -> Ranking:
    """Of `[1, vocabulary]`. One cell can afford float64."""
    top, ids = top_tokens(logits, count)
    total = logits.cpu().double().logsumexp(-1)
    top = top[0].float().cpu()
    return Ranking(ids[0].to(torch.int32).cpu().numpy(), top.numpy(), (top.double() - total).exp().numpy())
