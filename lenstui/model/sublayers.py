"""The additions of attention and MLP to the residual stream, for one prompt.

The submodules are found once for each model, whatever its dtype (`lenstui.model.summands`). For every prompt
it is checked, entry by entry, that their outputs add up to what the block adds: a large entry must not excuse
an error in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lenstui.model.calls import OnCall, hook_calls
from lenstui.model.contribution import find_contribution
from lenstui.model.load import Model, wiring_ids
from lenstui.model.rows import ATTENTION, MID, MLP, Row
from lenstui.model.summands import BlockSum, Summand, find_summands
from lenstui.support.errors import LensError

_ROUNDINGS = 4  # roundings of each entry: two products with a factor, two sums

_known_parts: WeakKeyDictionary[nn.Module, tuple[tuple[str, ...], ...]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Sublayers:
    """The residual stream and the additions of each block's parts, on the device of the head.

    Attributes:
        stream: `h_0 … h_L`, `[L + 1, cols, d]`. This and the additions may be of a single column.
        attention: the addition of attention, or of the mixer in its place, `[L, cols, d]`; zeros in blocks
            that have none.
        mlp: the addition of the MLP, `[L, cols, d]`; zeros in blocks that have none.
        sums: the submodules that add to the stream, for each block.
        final: `h_L` in every column of the prompt, `[prompt's cols, d]`.
    """

    stream: Tensor
    attention: Tensor
    mlp: Tensor
    sums: tuple[BlockSum, ...]
    final: Tensor

    @property
    def mid(self) -> Tensor | None:
        """`resid_mid`, the stream between attention and MLP, `[L, cols, d]`; None where they are parallel."""
        return self.stream[:-1] + self.attention if _is_sequential(self.sums) else None

    def of(self, row: Row, columns: slice) -> Tensor:
        """Return the vectors that a row is read from, `[cols, d]`."""
        if row.part is None:
            return self.stream[row.h, columns]
        if row.part == MID:
            return self.stream[row.h - 1, columns] + self.attention[row.h - 1, columns]
        return (self.attention if row.part == ATTENTION else self.mlp)[row.h - 1, columns]

    def summed(self, columns: slice) -> Tensor:
        """Return `h_0` plus all additions of the blocks, `[cols, d]`, float32: `h_L` but for rounding."""
        h, parts = self.stream[:, columns].float(), (self.attention[:, columns], self.mlp[:, columns])
        # Each block's parts minus its own addition, so that large entries cancel before they are summed.
        missing = (h[:-1] - h[1:]) + parts[0].float() + parts[1].float()
        return h[-1] + missing.sum(0)


def parts_of(model: Model) -> tuple[tuple[str, ...], ...]:
    """Return the names of each block's sublayer rows; found once for each model, on a short text.

    Args:
        model: from `load`.

    Raises:
        LensError: if a block cannot be taken apart, or its parts' additions cannot be given in logits.
    """
    if model.module not in _known_parts:
        sums = find_summands(model)
        h = model.clean.stream(wiring_ids(model.tokenizer, model.vocabulary))
        find_contribution(model.head, h[-1, 0])
        pair = (ATTENTION, MID, MLP) if _is_sequential(sums) else (ATTENTION, MLP)
        _known_parts[model.module] = tuple(
            pair if block.attention and block.mlp else (ATTENTION,) if block.attention else (MLP,)
            for block in sums
        )
    return _known_parts[model.module]


def _is_sequential(sums: Sequence[BlockSum]) -> bool:
    return all(block.is_sequential for block in sums)


def read_sublayers(
    model: Model, ids: Sequence[int], options: Mapping[str, Any] | None = None, *, column: int | None = None
) -> Sublayers:
    """Run a prompt and take every block apart.

    Args:
        model: from `load`.
        ids: token ids, one per column.
        options: further arguments of the model's forward pass.
        column: the only column that is kept, and checked; None for all.

    Raises:
        LensError: if a block cannot be taken apart, or its parts do not add up to what it adds.
    """
    sums = find_summands(model)
    outputs: dict[Summand, Tensor] = {}
    columns = slice(None) if column is None else slice(column, column + 1)
    handles = _keep_outputs(model, sums, outputs, columns)
    try:
        whole = model.stream(torch.tensor([list(ids)]), options)[:, 0]  # [L + 1, prompt's cols, d]
    finally:
        for handle in handles:
            handle.remove()
    h = whole[:, columns]
    nothing = torch.zeros_like(h[0])
    attention, mlp = (
        torch.stack([nothing if part is None else outputs[part].to(h.device) for part in parts])
        for parts in ([block.attention for block in sums], [block.mlp for block in sums])
    )
    _check(model, h, attention, mlp)
    return Sublayers(h, attention, mlp, sums, whole[-1])


def _keep_outputs(
    model: Model, sums: Sequence[BlockSum], outputs: dict[Summand, Tensor], columns: slice
) -> list[Any]:
    """Register hooks that keep each summand's output `[cols, d]`, times its factor; return their handles."""

    def keeping(part: Summand) -> OnCall:
        def keep(args: tuple[Any, ...], output: Any) -> None:
            left: Tensor = (output[0] if isinstance(output, (tuple, list)) else output).detach()
            left = left.reshape(-1, model.d_model)[columns]
            # A copy, since some families add in place.
            outputs[part] = left.clone() if part.factor == 1 else part.factor * left

        return keep

    wanted = [
        {(part.module, part.call): keeping(part) for part in (block.attention, block.mlp) if part is not None}
        for block in sums
    ]
    return hook_calls(model.anatomy.blocks, wanted)


def _check(model: Model, h: Tensor, attention: Tensor, mlp: Tensor) -> None:
    """Refuse parts that do not add up to what a block adds, entry by entry, but for rounding and overflow."""
    precision = torch.finfo(h.dtype).eps
    for number, (before, after, *parts) in enumerate(zip(h[:-1], h[1:], attention, mlp, strict=True)):
        terms = [before.float(), *(part.float() for part in parts)]
        off = (after.float() - terms[0] - terms[1] - terms[2]).abs().where(after.isfinite(), 0.0)
        room = _ROUNDINGS * precision * (terms[0].abs() + terms[1].abs() + terms[2].abs())
        if bool((off > room + torch.finfo(h.dtype).tiny).any()):
            raise LensError(
                f"{type(model.module).__name__}: the parts of block {number} do not add up to what it adds, "
                f"off by {float(off.max()):.2g}: attention and MLP cannot be told apart"
                + (", as an edit changes the stream itself." if model.edits else ".")
            )
