"""The likeliest tokens of one cell, as many as one likes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lenstui.lens.tuned import TunedLens
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.tokens import Prompt
from lenstui.readout.cells import Ranking
from lenstui.readout.reduction import is_number, top_tokens
from lenstui.readout.streams import Streams


def rank_cell(
    model: Model,
    prompt: Prompt,
    row: Row,
    column: int,
    lens: TunedLens | None = None,
    *,
    count: int,
    final_norm: bool = True,
) -> Mapping[str, Ranking]:
    """The `count` likeliest tokens of a cell by lens name, the tuned lens only where it reads that row.

    There are none in a cell that is not a number.

    Args:
        model: from `load`.
        prompt: from `encode`.
        row: which row.
        column: index of the column.
        lens: a tuned lens for this model.
        count: how many tokens; fewer where the vocabulary is smaller.
        final_norm: False has the logit lens pass over the final norm, but for the last row.

    Raises:
        LensError: for a lens that does not fit the model, or blocks that cannot be taken apart.
    """
    if lens is not None:
        lens.check_fits(model.num_blocks, model.d_model)
        lens = lens.to(model.device)
    streams = Streams.of(model, prompt.ids, final_norm=final_norm, sublayers=row.part is not None)
    columns = slice(column, column + 1)
    with torch.inference_mode():
        rankings = {"logit": _ranking(streams.logits(row, columns), count)}
        if lens is not None and row.h == model.num_blocks and row.part is None:
            rankings["tuned"] = rankings["logit"]
        elif lens is not None and row.part is None:
            h = lens.translate(streams.h[row.h, columns], row.h)
            rankings["tuned"] = _ranking(model.head(h), count)
    return rankings


def _ranking(logits: Tensor, count: int) -> Ranking:
    """Of `[1, vocabulary]`. One cell can afford float64."""
    top, ids = top_tokens(logits, count if bool(is_number(logits).all()) else 0)
    total = logits.cpu().double().logsumexp(-1)
    top = top[0].float().cpu()
    return Ranking(ids[0].to(torch.int32).cpu().numpy(), top.numpy(), (top.double() - total).exp().numpy())
