"""What attention and MLP each add to the residual stream, found by value in what the blocks compute.

No table of families: every block is watched, and a pair of its submodules' outputs that adds up to what the
block added is taken, with the factor that some configs name. So sandwich norms, post-norms and residual
multipliers need no case of their own, and what does not add up is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.residual import residual_stream

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}  # of what the block added
_FACTORS = ("residual_multiplier",)  # what families call the factor on what is added, in their configs
_ATTENTION = ("attn", "attention", "mixer", "mamba", "ssm", "conv", "recurrent", "time_mix", "linear_att")


@dataclass(frozen=True, eq=False)
class Sublayers:
    """The parts of every block's addition, each `[L, cols, d]`, on the device of the head.

    Attributes:
        attention: what attention, or what stands in its place, added.
        mlp: what the MLP added; zeros in blocks that have none.
        mid: `resid_mid`, the stream between the two; None where they run side by side.
    """

    attention: Tensor
    mlp: Tensor
    mid: Tensor | None


@dataclass(frozen=True)
class _Call:
    """A submodule's call: its name in the block, what came in and what went out, `[cols, d]`."""

    name: str
    entered: Tensor | None
    left: Tensor | None


def read_sublayers(model: Model, ids: Sequence[int]) -> Sublayers:
    """Run a prompt and take every block apart.

    Args:
        model: from `load`.
        ids: token ids, one per column.

    Raises:
        LensError: if a block's addition is not the sum of two of its submodules' outputs, or one's.
    """
    calls: list[list[_Call]] = [[] for _ in model.anatomy.blocks]
    handles = [
        module.register_forward_hook(_keeper(calls[number], name))
        for number, block in enumerate(model.anatomy.blocks)
        for name, module in block.named_modules()
        if name
    ]
    try:
        given = torch.tensor([list(ids)], device=model.device)
        h = residual_stream(model.module, model.anatomy, given)[:, 0]  # [L + 1, cols, d]
    finally:
        for handle in handles:
            handle.remove()
    with torch.inference_mode():
        parts = [_taken_apart(model, number, calls[number], h) for number in range(model.num_blocks)]
    mids = [part[2] for part in parts]
    return Sublayers(
        attention=torch.stack([part[0] for part in parts]),
        mlp=torch.stack([part[1] for part in parts]),
        mid=torch.stack([mid for mid in mids if mid is not None]) if None not in mids else None,
    )


def _keeper(calls: list[_Call], name: str) -> Any:
    def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        left = output[0] if isinstance(output, tuple) and output else output
        calls.append(_Call(name, *(_hidden(value) for value in (args[0] if args else None, left))))

    return keep


def _hidden(value: Any) -> Tensor | None:
    """`[cols, d]` of a hidden state of one prompt; a clone, as some families go on adding in place."""
    if not isinstance(value, Tensor) or value.ndim not in {2, 3}:
        return None
    return value.detach().reshape(-1, value.shape[-1]).clone()


def _taken_apart(
    model: Model, number: int, calls: Sequence[_Call], h: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What attention and MLP added in one block, and the stream between them where there is one."""
    before, added = h[number].float(), h[number + 1].float() - h[number].float()
    room = _TOLERANCE.get(h.dtype, 1e-4) * float(added.abs().max())
    room += 8 * torch.finfo(h.dtype).eps * float(before.abs().max())  # the subtraction's own rounding
    named = [float(value) for name in _FACTORS if (value := getattr(model.module.config, name, None))]
    for factor in dict.fromkeys((1.0, *named)):
        outputs = [
            (call, factor * call.left.float())
            for call in calls
            if call.left is not None and call.left.shape == added.shape
        ]
        found = _adding_up(outputs, added, room)
        if found is not None:
            attention, mlp = found
            mid = before + attention
            between = any(
                call.entered is not None
                and call.entered.shape == mid.shape
                and _near(call.entered.float(), mid, room)
                for call in calls
            )
            alone = not mlp.any()
            return attention, mlp, mid if between or alone else None
    raise LensError(
        f"{type(model.module).__name__}: what block {number} adds is not the sum of two of its parts' "
        "outputs, so that attention and MLP cannot be told apart."
    )


def _adding_up(
    outputs: Sequence[tuple[_Call, Tensor]], added: Tensor, room: float
) -> tuple[Tensor, Tensor] | None:
    """The outermost two outputs that add up to what was added, attention first; or one alone and zeros."""
    found: list[tuple[int, int, Tensor, Tensor]] = []
    for later in range(len(outputs)):
        call, output = outputs[later]
        if _near(output, added, room):
            found.append((2 * _depth(call) + 1, -later, output, torch.zeros_like(output)))
        for other, first in outputs[:later]:
            if _near(first + output, added, room):
                pair = (
                    (output, first) if _is_attention(call) and not _is_attention(other) else (first, output)
                )
                found.append((_depth(call) + _depth(other), -later, *pair))
    return None if not found else min(found, key=lambda each: each[:2])[2:]


def _depth(call: _Call) -> int:
    return call.name.count(".")


def _is_attention(call: _Call) -> bool:
    return any(word in call.name.lower() for word in _ATTENTION)


def _near(one: Tensor, other: Tensor, room: float) -> bool:
    return float((one - other).abs().max()) <= room
