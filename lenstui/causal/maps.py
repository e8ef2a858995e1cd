"""The linear maps through which attention heads and MLP neurons add to the residual stream, found by value.

There is no table of families. In one pass on a short text, the first submodule of a block whose output is
what attention adds (or what the norm behind it reads) is taken for its output projection, if it proves to be
a linear map; the MLP's is found in the same way. The input of attention's falls into a slice for each head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from lenstui.causal.block_watch import Found, Watch, Weights
from lenstui.causal.eager import WAYS, Way, running
from lenstui.causal.projection import Projection
from lenstui.model.load import Model, wiring_ids
from lenstui.model.summands import BlockSum, find_summands
from lenstui.support.errors import FOREIGN_ERRORS


@dataclass(frozen=True, slots=True, eq=False)
class BlockMaps:
    """What is known of a block beyond the sum that it adds.

    Attributes:
        attention: attention's output projection, where its input falls into attention heads; else None.
        heads: the number of attention heads; 0 where `attention` is None.
        weights: where attention weights come out; None where they do not.
        mlp: the MLP's last linear map, whose input is its neurons; None where there is no single one.
        no_heads: why there are no attention heads, as a sentence without its full stop; None where there are.
        no_sources: why it is not known what they read, likewise.
        no_neurons: why there are no neurons, likewise.
    """

    attention: Projection | None
    heads: int
    weights: Weights | None
    mlp: Projection | None
    no_heads: str | None
    no_sources: str | None
    no_neurons: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """The maps of all blocks, and the pass in which attention heads and what they read were seen.

    Attributes:
        blocks: the maps of each block.
        way: how the model is run so that its attention can be seen.
    """

    blocks: tuple[BlockMaps, ...]
    way: Way


_known: WeakKeyDictionary[nn.Module, tuple[object, Maps]] = WeakKeyDictionary()


def find_maps(model: Model) -> Maps:
    """Return the linear maps of a model's blocks; found once for each model.

    Args:
        model: from `load`.

    Raises:
        LensError: if the blocks cannot be taken apart into attention and MLP.
    """
    place = model.device, model.dtype
    known = _known.get(model.module)
    if known is None or known[0] != place:  # norms are kept on the device where they were found
        known = _known[model.module] = place, _found(model.clean)
    return known[1]


def _found(model: Model) -> Maps:
    sums = find_summands(model)
    for way in WAYS[:-1]:
        try:
            return _watched(model, sums, way)
        except FOREIGN_ERRORS:  # a cache of another kind, or no eager attention
            continue
    return _watched(model, sums, WAYS[-1])


def _watched(model: Model, sums: Sequence[BlockSum], way: Way) -> Maps:
    """Run a short text once, and find the maps of every block as it ends."""
    ids = wiring_ids(model.tokenizer, model.vocabulary)
    found: list[Found] = []
    handles: list[Any] = []
    for block, block_sum in zip(model.anatomy.blocks, sums, strict=True):
        handles += Watch(block, block_sum, ids.shape[1], model.d_model).hooks(found)
    try:
        with running(model.module, way) as (options, cache):
            model.stream(ids, options)
    finally:
        for handle in handles:
            handle.remove()
    has_values = [cache is not None and cache.values(number) is not None for number in range(len(sums))]
    blocks = (_block_maps(model, each, has) for each, has in zip(found, has_values, strict=True))
    return Maps(tuple(blocks), way)


def _block_maps(model: Model, found: Found, has_values: bool) -> BlockMaps:
    """Return the maps of a block, or why there are none, from what a pass showed of it."""
    mlp, no_neurons = _known_or_why(found.mlp, model.quantized)
    attention, no_heads = _known_or_why(found.attention, model.quantized)
    heads, weights = 0, None
    if not found.weights and not has_values:
        no_heads = "it has no attention"
    elif attention is not None:
        config = model.module.config.get_text_config(decoder=True)
        heads, weights = getattr(config, "num_attention_heads", None) or 0, found.weights_of(attention)
        if weights is not None:
            heads = weights.heads
        elif found.weights:
            no_heads = f"{attention.name}, whose output it adds, is not attention's"
        if no_heads is None and (not heads or found.width % heads):
            no_heads = f"the input of {attention.name}, {found.width} wide, does not fall into {heads} heads"
    if no_heads is not None:
        return BlockMaps(None, 0, None, mlp, no_heads, no_heads, no_neurons)
    no_sources = None
    if weights is None:
        no_sources = "its attention gives no weights"
    elif not has_values:
        no_sources = "the values that its attention reads cannot be had from a cache"
    return BlockMaps(attention, heads, weights, mlp, None, no_sources, no_neurons)


def _known_or_why(found: Projection | str, quantized: str | None) -> tuple[Projection | None, str | None]:
    if isinstance(found, Projection):
        return found, None
    return None, found if quantized is None else f"{found} (the blocks are quantised, {quantized})"
