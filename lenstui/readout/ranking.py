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
from lenstui.readout.likeliest import top_tokens, top_tokens_among
from lenstui.readout.reduction import is_number
from lenstui.readout.streams import Streams
from lenstui.readout.word_filter import word_ids


def rank_cell(
    model: Model,
    prompt: Prompt,
    row: Row,
    column: int,
    lens: Lens | Sequence[Lens] | None = None,
    *,
    count: int,
    final_norm: bool = True,
    words_only: bool = False,
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
        words_only: whether to return the likeliest tokens with a letter or digit alone.

    Raises:
        LensError: if a lens does not fit the model, the blocks cannot be taken apart, or no token is a word.
    """
    lenses = lenses_for(model, with_logit_lens(lens, final_norm=final_norm))
    streams = Streams.of(model, prompt.ids, lenses, [row])
    columns = slice(column, column + 1)
    words = word_ids(model) if words_only else None
    is_last = row.part is None and row.h == model.num_blocks
    with torch.inference_mode():
        return {
            key: _ranking(streams.logits(each, row, columns), count, words)
            for key, each in zip(lens_keys(lenses), lenses, strict=True)
            if is_last or each.reads(row)
        }


def _ranking(logits: Tensor, count: int, words: Tensor | None) -> Ranking:
    """Return the ranking of one cell's logits, `[1, vocabulary]`, with probabilities in float64.

    Args:
        logits: the logits.
        count: the number of tokens.
        words: the ids of the tokens to rank, ascending; None for all.
    """
    most = count if bool(is_number(logits).all()) else 0
    top, ids = top_tokens(logits, most) if words is None else top_tokens_among(logits, words, most)
    total = logits.cpu().double().logsumexp(-1)
    # As many logits are greater than a token's own as are smaller among the negative ones.
    ranks = torch.searchsorted((-logits[0]).sort().values, -top[0])
    top = top[0].float().cpu()
    return Ranking(
        ids=ids[0].to(torch.int32).cpu().numpy(),
        logits=top.numpy(),
        probs=(top.double() - total).exp().numpy(),
        ranks=ranks.to(torch.int32).cpu().numpy(),
    )
