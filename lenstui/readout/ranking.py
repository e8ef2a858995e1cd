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
from lenstui.readout.reduction import ranked
from lenstui.readout.remote import rank_remotely
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
    words = word_ids(model) if words_only else None
    is_last = row.part is None and row.h == model.num_blocks
    if model.remote is not None:
        of_lenses = rank_remotely(model, prompt.ids, lenses, row, column, count=count, words=words)
        return {key: _ranking(numbers) for key, numbers in of_lenses.items()}
    streams = Streams.of(model, prompt.ids, lenses, [row])
    columns = slice(column, column + 1)
    with torch.inference_mode():
        return {
            key: _ranking(ranked(streams.logits(each, row, columns), count, words))
            for key, each in zip(lens_keys(lenses), lenses, strict=True)
            if is_last or each.reads(row)
        }


def _ranking(numbers: Mapping[str, Tensor]) -> Ranking:
    """Return the ranking of the numbers of `ranked`."""
    return Ranking(**{name: of_tokens.numpy() for name, of_tokens in numbers.items()})
