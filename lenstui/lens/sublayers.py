"""What attention and MLP each add to the residual stream, found by value in what the blocks compute.

No table of families: every block is watched, and a pair of its submodules' outputs that adds up to what the
block added is taken, with the factor that some configs name. So sandwich norms, post-norms and residual
multipliers need no case of their own, and what does not add up is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lenstui.lens.contribution import find_contribution
from lenstui.lens.errors import LensError
from lenstui.lens.model import WIRING_TEXT, Model
from lenstui.lens.rows import ATTENTION, MID, MLP, Row

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}  # of what the block added
_FACTORS = ("residual_multiplier",)  # what families call the factor on what is added, in their configs
_ATTENTION = ("attn", "attention", "mixer", "mamba", "ssm", "conv", "recurrent", "time_mix", "linear_att")
_MLP = ("mlp", "moe", "feedforward", "ffn")  # in the name of a class, where a block has one part alone

_known_parts: WeakKeyDictionary[nn.Module, tuple[tuple[str, ...], ...]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Sublayers:
    """The residual stream and the parts of every block's addition, on the device of the head.

    Attributes:
        stream: `h_0 … h_L`, `[L + 1, cols, d]`.
        attention: what attention, or what stands in its place, added, `[L, cols, d]`; zeros likewise.
        mlp: what the MLP added, `[L, cols, d]`; zeros in blocks that have none.
        is_sequential: the MLP reads what attention added, so that there is a `mid`.
    """

    stream: Tensor
    attention: Tensor
    mlp: Tensor
    is_sequential: bool

    @property
    def mid(self) -> Tensor | None:
        """`resid_mid`, the stream between the two, `[L, cols, d]`; None where they run side by side."""
        return self.stream[:-1] + self.attention if self.is_sequential else None

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Which rows each block has besides the one that it hands on."""
        pair = (ATTENTION, MID, MLP) if self.is_sequential else (ATTENTION, MLP)
        return tuple(
            pair if attention.any() and mlp.any() else (ATTENTION,) if attention.any() else (MLP,)
            for attention, mlp in zip(self.attention, self.mlp, strict=True)
        )

    def of(self, row: Row, columns: slice) -> Tensor:
        """What a row is made of, `[cols, d]`."""
        if row.part is None:
            return self.stream[row.h, columns]
        if row.part == MID:
            return self.stream[row.h - 1, columns] + self.attention[row.h - 1, columns]
        return (self.attention if row.part == ATTENTION else self.mlp)[row.h - 1, columns]


@dataclass(frozen=True)
class _Call:
    """A submodule's call: its name in the block, its class, what came in and what went out, `[cols, d]`."""

    name: str
    kind: str
    entered: Tensor | None
    left: Tensor | None


def parts_of(model: Model) -> tuple[tuple[str, ...], ...]:
    """Which rows each block has besides the one that it hands on; found once for a model, on a short text.

    Args:
        model: from `load`.

    Raises:
        LensError: if a block cannot be taken apart, or what its parts add not be given in logits.
    """
    if model.module not in _known_parts:
        ids = [token for token in model.tokenizer(WIRING_TEXT)["input_ids"] if token < model.vocabulary]
        found = read_sublayers(model, ids[:32] or [0, 1])
        find_contribution(model.head, found.stream[-1])
        _known_parts[model.module] = found.parts
    return _known_parts[model.module]


def read_sublayers(model: Model, ids: Sequence[int]) -> Sublayers:
    """Run a prompt and take every block apart.

    Args:
        model: from `load`.
        ids: token ids, one per column.

    Raises:
        LensError: if a block's addition is not the sum of two of its submodules' outputs, or one's.
    """
    watch = _Watch(model, len(ids))
    try:
        h = model.stream(torch.tensor([list(ids)]))[:, 0]  # [L + 1, cols, d]
    finally:
        watch.end()
    return Sublayers(h, watch.attention, watch.mlp, watch.is_sequential)


class _Watch:
    """Hooks that take a block apart as soon as the next one begins: the calls of one alone are kept."""

    def __init__(self, model: Model, columns: int) -> None:
        anatomy, shape = model.anatomy, (model.num_blocks, columns, model.d_model)
        self.attention, self.mlp = (
            torch.empty(shape, dtype=model.dtype, device=model.device) for _ in range(2)
        )
        self.is_sequential = True
        self._model = model
        self._calls: list[_Call] = []
        self._number: int | None = None  # of the block under way
        self._before: Tensor | None = None
        modules = {module: name for block in anatomy.blocks for name, module in block.named_modules() if name}
        handles = [module.register_forward_hook(self._keeper(name)) for module, name in modules.items()]
        for number, block in enumerate(anatomy.blocks):
            handles.append(block.register_forward_pre_hook(self._entering(number)))
        if anatomy.final_norm is not None:
            handles.append(anatomy.final_norm.register_forward_pre_hook(self._entering(None)))
        else:
            handles.append(anatomy.blocks[-1].register_forward_hook(self._left_last))
        self._handles = handles

    def end(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()

    def _entering(self, number: int | None) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            self._finish(args[0])
            self._number, self._before = number, _hidden(args[0], self.attention)

        return enter

    def _left_last(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._finish(output[0] if isinstance(output, (tuple, list)) else output)

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            left = output[0] if isinstance(output, (tuple, list)) and output else output
            entered = args[0] if args else None
            hidden = (_hidden(value, self.attention) for value in (entered, left))
            self._calls.append(_Call(name, type(module).__name__, *hidden))

        return keep

    def _finish(self, after: Tensor) -> None:
        """The block under way has ended, and handed this on."""
        calls, self._calls = self._calls, []
        number, self._number = self._number, None
        handed_on = _hidden(after, self.attention)
        if number is None or self._before is None or handed_on is None:
            return
        attention, mlp, is_sequential = _taken_apart(
            self._model, number, calls, torch.stack([self._before, handed_on])
        )
        self.attention[number], self.mlp[number] = attention, mlp
        self.is_sequential &= is_sequential


def _hidden(value: Any, like: Tensor) -> Tensor | None:
    """`[cols, d]` of a hidden state of one prompt; a clone, as some families go on adding in place."""
    if (
        not isinstance(value, Tensor)
        or value.ndim not in {2, 3}
        or value.shape[-1] != like.shape[-1]
        or value.numel() != like[0].numel()
    ):
        return None
    return value.detach().reshape(like.shape[1:]).to(like.device, copy=True)


def _taken_apart(model: Model, number: int, calls: Sequence[_Call], h: Tensor) -> tuple[Tensor, Tensor, bool]:
    """What attention and MLP added in one block, between two `h`, `[2, cols, d]`, and whether in turn."""
    before, added = h[0].float(), h[1].float() - h[0].float()
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
            alone = not (attention.any() and mlp.any())
            return attention, mlp, between or alone
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
            nothing = torch.zeros_like(output)
            alone = (nothing, output) if _is_mlp(call) else (output, nothing)
            found.append((2 * _depth(call) + 1, -later, *alone))
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


def _is_mlp(call: _Call) -> bool:
    return any(word in call.kind.lower() for word in _MLP)


def _near(one: Tensor, other: Tensor, room: float) -> bool:
    return float((one - other).abs().max()) <= room
