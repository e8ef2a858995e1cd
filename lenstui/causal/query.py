"""The attention of a single column, seen without eager attention over the whole prompt.

A pass with the model's own attention leaves keys and values in a cache. One more pass, of the column's token
alone and with eager attention, shows what the column gave to each column before it. Its time and memory grow
with the prompt's length, not with the square of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lenstui.causal.eager import ValueCache
from lenstui.causal.maps import Maps
from lenstui.model.calls import Call, OnCall, hook_calls, hook_inputs
from lenstui.model.load import Model
from lenstui.model.summands import find_summands
from lenstui.model.transformers_hacks import eager_attention


def query_weights(
    model: Model, token: int, stream: Tensor, maps: Maps, cache: ValueCache
) -> dict[int, Tensor]:
    """Return what a column gives to each column up to itself, by block, `[heads, column + 1]`, float32.

    Each block is given the stream that it had in the pass, as edits or rounding left it, and so asks what it
    asked there. What blocks hand on is not used, and MLPs are given nothing to do. It is for the caller to
    compare what is read by these weights with what attention's projection read in the pass.

    Args:
        model: from `load`.
        token: the token id in the column.
        stream: `h_0 … h_L` in the column, `[L + 1, d]`, of a pass over the prompt.
        maps: of the model.
        cache: what that pass left of the columns in front.
    """
    found: dict[int, Tensor] = {}

    def giving(number: int) -> Any:
        def give(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (stream[number].to(args[0]).reshape(args[0].shape), *args[1:])

        return give

    def keeping(number: int, place: int) -> OnCall:
        def keep(args: tuple[Any, ...], output: Any) -> None:
            found[number] = output[place][0, :, 0].float().clone()

        return keep

    def no_columns(args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][..., :0, :], *args[1:])

    def one_column(args: tuple[Any, ...], output: Any) -> Any:
        zeros = args[0].new_zeros(*args[0].shape[:-2], 1, model.d_model)
        return type(output)((zeros, *output[1:])) if isinstance(output, (tuple, list)) else zeros

    mlps = [block.mlp for block in find_summands(model)]
    calls: list[list[Call]] = [[] if mlp is None else [(mlp.module, mlp.call)] for mlp in mlps]
    wanted: list[dict[Call, OnCall]] = [dict.fromkeys(own, one_column) for own in calls]
    for number, block in enumerate(maps.blocks):
        if block.weights is not None:
            wanted[number][block.weights.call] = keeping(number, block.weights.place)
    blocks = model.anatomy.blocks
    handles = [
        *(block.register_forward_pre_hook(giving(number)) for number, block in enumerate(blocks)),
        *hook_inputs(blocks, [dict.fromkeys(own, no_columns) for own in calls]),
        *hook_calls(blocks, wanted),
    ]
    try:
        with eager_attention(model.module):
            model.clean.stream(torch.tensor([[token]]), cache.options)
    finally:
        for handle in handles:
            handle.remove()
    return found
