"""Cuts of attention: columns that may not read others, as −∞ before the softmax of chosen attention heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenstui.causal.maps import find_maps
from lenstui.edits.edit import PromptError
from lenstui.model.load import Model
from lenstui.model.transformers_hacks import eager_attention
from lenstui.support.errors import LensError


@dataclass(frozen=True, slots=True)
class HeadCut:
    """A cut in one block.

    Attributes:
        block: the index of the block.
        head: the number of the attention head; None for all of the block.
        readers: the columns that may not read.
        sources: the columns that they may not read.
    """

    block: int
    head: int | None
    readers: tuple[int, ...]
    sources: tuple[int, ...]


@contextmanager
def cutting(model: Model, cuts: Sequence[HeadCut], cols: int) -> Iterator[None]:
    """Have forward passes of a model run with cuts, in eager attention, which alone can be cut by head.

    Args:
        model: from `load`.
        cuts: for blocks whose attention gives weights.
        cols: the number of columns of the passes.
    """
    handles = []
    for number in dict.fromkeys(cut.block for cut in cuts):
        maps = find_maps(model).blocks[number]
        assert maps.weights is not None, number  # as the check of the edit has it
        own = [cut for cut in cuts if cut.block == number]
        hook = _masking(own, maps.heads, cols)
        handles.append(maps.weights.call[0].register_forward_pre_hook(hook, with_kwargs=True))
    try:
        with eager_attention(model.module) if cuts else nullcontext():
            yield
    finally:
        for handle in handles:
            handle.remove()


def check_cut(model: Model, cut: HeadCut, cols: int) -> None:
    """Refuse a cut that this model's attention does not take, by the weights that come out under it.

    Args:
        model: from `load`.
        cut: the cut.
        cols: the number of columns of the prompt.

    Raises:
        LensError: if the block's attention cannot be cut, or a column would be left with nothing to read.
    """
    for reader in cut.readers:
        if set(range(reader + 1)) <= set(cut.sources):
            raise PromptError(f"column {reader} would have nothing left to read")
    maps = find_maps(model).blocks[cut.block]
    if maps.weights is None:
        raise LensError(
            f"block {cut.block} cannot be cut: {maps.no_sources or 'its attention gives no weights'}"
        )
    module, call, place = *maps.weights.call, maps.weights.place
    seen: list[Tensor] = []

    def keep(module: Any, args: Any, output: Any) -> None:
        seen.append(output[place].detach())

    ids = torch.zeros(1, cols, dtype=torch.long)
    handle = module.register_forward_hook(keep)
    try:
        with cutting(model, [cut], cols):
            model.clean.stream(ids)
    finally:
        handle.remove()
    weights = seen[call] if len(seen) > call else None
    if weights is None or not _is_cut(weights[0], cut):
        raise LensError(f"block {cut.block} cannot be cut: its attention passes over the mask that says so")


def _is_cut(weights: Tensor, cut: HeadCut) -> bool:
    """Return whether attention weights, `[heads, cols, cols]`, are 0 where they are cut, and sum to 1."""
    heads = range(len(weights)) if cut.head is None else [cut.head]
    of_readers = weights[list(heads)][:, list(cut.readers)].float()  # [heads, readers, cols]
    return not bool(of_readers[..., list(cut.sources)].any()) and bool(
        ((of_readers.sum(-1) - 1).abs() < 1e-2).all()
    )


def _masking(cuts: Sequence[HeadCut], heads: int, cols: int) -> Any:
    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        mask = kwargs.get("attention_mask")
        if not isinstance(mask, Tensor) or mask.ndim != 4 or mask.shape[-2:] != (cols, cols):
            return args, kwargs  # the check of the cut notices
        mask = mask.expand(-1, heads, -1, -1).clone()  # [batch, heads, cols, cols]
        lowest = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
        for cut in cuts:
            part = slice(None) if cut.head is None else slice(cut.head, cut.head + 1)
            for reader in cut.readers:
                mask[:, part, reader, list(cut.sources)] = lowest
        return args, {**kwargs, "attention_mask": mask}

    return hook
