"""The likeliest tokens of one cell, in any number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lenstui.lens.lens import Lens, lens_keys, lenses_for
from lenstui.lens.logit import with_logit_lens
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
    lens: Lens | Sequence[Lens] | None = None,
    *,
    count: int,
    final_norm: bool = True,
) -> Mapping[str, Ranking]:
    """Return the `count` likeliest tokens of a cell by lens, under the keys of `lens_keys`.

    A lens that does not read the row is left out. A cell that is not a number has no tokens.

    Args:
        model: from `load`.
        prompt: from `encode`.
        row: the row of the cell.
        column: the index of the cell's column.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses.
        count: the number of tokens; fewer where the vocabulary is smaller.
        final_norm: False leaves out the logit lens's final norm, except in the last row.

    Raises:
        LensError: if a lens does not fit the model, or the blocks cannot be taken apart.
    """
    lenses = lenses_for(model, with_logit_lens(lens, final_norm=final_norm))
    streams = Streams.of(model, prompt.ids, lenses, [row])
    columns = slice(column, column + 1)
    is_last = row.part is None and row.h == model.num_blocks
    with torch.inference_mode():
        return {
            key: _ranking(streams.logits(each, row, columns), count)
            for key, each in zip(lens_keys(lenses), lenses, strict=True)
            if is_last or each.reads(row)
        }


def _ranking(logits: Tensor, count: int) -> Ranking:
    """Return the ranking of one cell's logits, `[1, vocabulary]`, with probabilities in float64."""
    top, ids = top_tokens(logits, count if bool(is_number(logits).all()) else 0)
    total = logits.cpu().double().logsumexp(-1)
    top = top[0].float().cpu()
    return Ranking(ids[0].to(torch.int32).cpu().numpy(), top.numpy(), (top.double() - total).exp().numpy())
