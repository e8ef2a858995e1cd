"""Attention of one head over a whole prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenstui.causal.attention_memory import check_memory, no_memory
from lenstui.causal.components import is_faithful
from lenstui.causal.contributions import head_named, no_block, no_head, no_heads
from lenstui.causal.eager import running
from lenstui.causal.maps import Maps, find_maps
from lenstui.model.calls import hook_calls
from lenstui.model.load import Model
from lenstui.model.tokens import encode
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import LensError
from lenstui.support.turns import Turns


@dataclass(frozen=True, slots=True, eq=False)
class HeadAttention:
    """The attention of one head over a prompt.

    Attributes:
        ids: the prompt's token ids, one per column.
        block: the index of the block.
        head: the index of the head in its block.
        weights: how much of its attention each column gives to each column, `[cols, cols]`; a row is what one
            column gives. It sums to 1, or to less where the model gives attention to no column at all.
    """

    ids: tuple[int, ...]
    block: int
    head: int
    weights: FloatArray

    @property
    def name(self) -> str:
        """The head's name, such as `4.7`."""
        return f"{self.block}.{self.head}"


def attention(
    model: Model, text: str | Turns, head: str, *, bos: bool | None = None, chat: bool = False
) -> HeadAttention:
    """Run a prompt with eager attention, and return the attention of one head over it.

    Args:
        model: from `load`.
        text: the prompt, which may be the turns of a chat, as `encode` takes them.
        head: the head's name: block and head with a dot between, such as `4.7`.
        bos: whether to begin with the BOS token; None leaves it to the tokenizer.
        chat: whether to put the prompt into the tokenizer's chat template, as the user's message.

    Raises:
        LensError: if there is no such head, its attention gives no weights, or memory is short.
    """
    block, number = head_named(head)
    prompt = encode(model.tokenizer, text, bos=bos, chat=chat, context=model.context)
    return read_attention(model, prompt.ids, block, number)


def read_attention(model: Model, ids: Sequence[int], block: int, head: int) -> HeadAttention:
    """Return the attention of one head over a prompt that is tokenized.

    Args:
        model: from `load`.
        ids: token ids, one per column.
        block: the index of the block.
        head: the index of the head in its block.

    Raises:
        LensError: as `attention` does.
    """
    maps = find_maps(model)
    _check(maps, block, head)
    check_memory(model, maps, len(ids))
    kept: list[Tensor] = []
    weights = maps.blocks[block].weights
    assert weights is not None

    def keep(args: tuple[Any, ...], output: Any) -> None:
        kept.append(output[weights.place][0, head].float().clone())

    wanted = [{weights.call: keep} if number == block else {} for number in range(model.num_blocks)]
    handles = hook_calls(model.anatomy.blocks, wanted)
    try:
        with no_memory(len(ids)), running(model.module, maps.way) as (options, _):
            h = model.stream(torch.tensor([list(ids)]), options)
    finally:
        for handle in handles:
            handle.remove()
    if not is_faithful(model, ids, h[-1, 0]):
        raise LensError(
            f"{type(model.module).__name__} says something else with eager attention, which alone shows what "
            "its attention heads read."
        )
    return HeadAttention(tuple(ids), block, head, kept[0].cpu().numpy())


def _check(maps: Maps, block: int, head: int) -> None:
    if not 0 <= block < len(maps.blocks):
        raise LensError(no_block(block, len(maps.blocks)))
    known = maps.blocks[block]
    if known.no_heads is not None:
        raise LensError(no_heads(block, known.no_heads))
    if not 0 <= head < known.heads:
        raise LensError(no_head(block, head, known.heads))
    if known.weights is None:
        raise LensError(f"What attention head {block}.{head} read is not known: {known.no_sources}.")
