"""Continuation of a prompt token by token, by the model or by a lens at one of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.lens.names import kind_word
from lenstui.model.load import Model
from lenstui.model.not_finite import no_logits
from lenstui.model.rows import Row
from lenstui.readout.reduction import is_number
from lenstui.support.errors import LensError


def generate(
    model: Model,
    ids: Sequence[int],
    *,
    count: int,
    row: int | None = None,
    lens: Lens | None = None,
    final_norm: bool = True,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[int]:
    """Generate the tokens that follow a prompt, one by one.

    At a row below the last they are what the model would say if it stopped there: each token is chosen from
    that row's distribution, appended, and read by the whole model again.

    Args:
        model: from `load`.
        ids: the prompt's token ids, one per column.
        count: the most tokens to generate; fewer where the text ends or the context is full.
        row: the index of the row to choose tokens at, 0 for `emb`; None for the last, which is the model
            itself.
        lens: the lens to read that row with; None for the logit lens.
        final_norm: False leaves out the logit lens's final norm, except in the last row.
        temperature: 0 takes the likeliest token, 1 draws from the unchanged distribution.
        seed: the seed of the draws.

    Yields:
        Token ids. The one that ends the text is the last.

    Raises:
        LensError: if there is no such row, the lens is for another model, the temperature is negative, the
            model does not have one of the tokens, or logits are not finite, so that no token follows from
            them.
    """
    last = model.num_blocks
    row = last if row is None else row
    if not 0 <= row <= last:
        raise LensError(f"There is no row {row}: the rows are 0 … {last}.")
    if temperature < 0:
        raise LensError(f"The temperature must not be negative, as {temperature} is.")
    (speaking,) = lenses_for(model, with_logit_lens(None if lens is None else [lens], final_norm=final_norm))
    if not (row == last or speaking.reads(Row(row))):
        raise LensError(
            f"The {kind_word(speaking.kind)} lens has no row {Row(row).label}: nothing follows from it."
        )
    generator = torch.Generator().manual_seed(seed)
    end = model.tokenizer.eos_token_id
    read = list(ids)
    while count and (model.context is None or len(read) < model.context):
        h = model.stream(torch.tensor([read]))[row, 0, -1:]  # [1, d]
        with torch.inference_mode():
            logits = speaking.logits(model, h, row)
            if not bool(is_number(logits).all()):
                raise LensError(no_logits(len(read) - 1, model.dtype_name))
            token = _chosen(logits[0], temperature, generator)
        yield token
        if token == end:
            return
        read.append(token)
        count -= 1


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """Return the likeliest token of `logits` `[vocabulary]`, the lowest id among equals, or draw one."""
    if not temperature:
        return int(logits.argmax())
    probs = (logits / temperature).softmax(-1).cpu()  # on the CPU a seed gives the same draws everywhere
    return int(torch.multinomial(probs, 1, generator=generator))
