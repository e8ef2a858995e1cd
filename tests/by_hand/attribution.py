"""Contributions written out by hand, in float64: the norm with its scale held, products per head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lenstui.lens import JacobianLens, Lens, TunedLens
from tests.by_hand import naive
from tests.tiny.family import Family

# Family → the modules of a block whose outputs its code adds, the projection of its attention, the factor.
NAMES: dict[str, tuple[str, str, str, float]] = {
    "GPT-NeoX": ("attention", "mlp", "attention.dense", 1.0),
    "GPT-NeoX sequential": ("attention", "mlp", "attention.dense", 1.0),
    "GPT-2": ("attn", "mlp", "attn.c_proj", 1.0),
    "Phi": ("self_attn", "mlp", "self_attn.dense", 1.0),
    "Cohere": ("self_attn", "mlp", "self_attn.o_proj", 1.0),
    "Llama": ("self_attn", "mlp", "self_attn.o_proj", 1.0),
    "Qwen2": ("self_attn", "mlp", "self_attn.o_proj", 1.0),
    "Granite": ("self_attn", "mlp", "self_attn.o_proj", 0.2),
    "Gemma": ("self_attn", "mlp", "self_attn.o_proj", 1.0),
    "NanoChat": ("self_attn", "mlp", "self_attn.o_proj", 1.0),
    "Gemma-2": ("post_attention_layernorm", "post_feedforward_layernorm", "self_attn.o_proj", 1.0),
    "OLMo-2": ("post_attention_layernorm", "post_feedforward_layernorm", "self_attn.o_proj", 1.0),
}
HEADS = 4


def transported(lens: Lens, h: Tensor, row: int, last: int, *, bias: bool = True) -> Tensor:
    """`T_i(h)` by the formulas of the three lenses; without its bias, of a part of `h`."""
    if row == last:
        return h
    if isinstance(lens, TunedLens):
        return h + h @ lens.weight[row].double().T + (lens.bias[row].double() if bias else 0.0)
    return h @ lens.matrices[row].double().T if isinstance(lens, JacobianLens) else h


@dataclass(frozen=True)
class ByHand:
    """One cell of a tiny model.

    Attributes:
        family: what is known of the model.
        module: the model.
        ids: token ids, `[1, cols]`.
        column: the column.
        row: the index of the row.
        lens: the lens.
        target: makes the logit that is explained of logits `[..., vocabulary]`.
    """

    family: Family
    name: str
    module: Any
    ids: Tensor
    column: int
    row: int
    lens: Lens
    target: Callable[[Tensor], Tensor]

    @property
    def stream(self) -> Tensor:
        """`h_0 … h_L` in the column, `[L + 1, d]`."""
        rows, _ = naive.handed_on(self.module, self.ids, self.family.blocks, None, self.family.norm)
        return rows[:, self.column].double()

    def caught(self, paths: Sequence[str], *, inputs: bool = False) -> list[list[Tensor]]:
        """What modules of each block put out, or read, in the column: `[L][paths]`, each `[width]`."""
        blocks = self.module.get_submodule(self.family.blocks)
        kept: list[list[Tensor]] = [[] for _ in blocks]
        handles = []
        for number, block in enumerate(blocks):
            for path in paths:

                def keep(_: Any, args: Any, output: Any, number: int = number) -> None:
                    value = args[0] if inputs else output[0] if isinstance(output, tuple) else output
                    kept[number].append(value.detach().reshape(self.ids.numel(), -1)[self.column].double())

                handles.append(block.get_submodule(path).register_forward_hook(keep))
        with torch.no_grad():
            self.module(self.ids)
        for handle in handles:
            handle.remove()
        return kept

    def additions(self) -> list[list[Tensor]]:
        """What attention and MLP of each block add, `[L][2]`, each `[d]`."""
        attention, mlp, _, factor = NAMES[self.name]
        return [[factor * part for part in block] for block in self.caught([attention, mlp])]

    def whole(self) -> Tensor:
        """The logit that is explained, before any softcap."""
        h = transported(self.lens, self.stream[self.row], self.row, len(self.stream) - 1)
        return self.target(replace(self.family, softcap=None).logits(naive.weights(self.module), h))

    def share(self, part: Tensor) -> Tensor:
        """What a part of the stream contributes, with the final norm's scale held, without any bias."""
        last = len(self.stream) - 1
        h = transported(self.lens, self.stream[self.row], self.row, last)
        part = transported(self.lens, part, self.row, last, bias=False)
        return self.target(self._normed(part, h) @ self._unembedding().T * self.family.scale)

    def _normed(self, part: Tensor, h: Tensor) -> Tensor:
        p, kind, eps = naive.weights(self.module), self.family.kind, self.family.eps
        weight = p.get(f"{self.family.norm}.weight", torch.ones(()).double())
        gain = 1 + weight if kind.endswith("1 + w") else weight
        if kind.startswith("layer"):
            centred = h - h.mean()
            return (part - part.mean(-1, keepdim=True)) / (centred.square().mean() + eps).sqrt() * gain
        return part / (h.square().mean() + eps).sqrt() * gain

    def _unembedding(self) -> Tensor:
        return naive.weights(self.module)[self.family.unembedding]

    def bias(self) -> Tensor:
        """What the biases of transport, final norm and head contribute."""
        p, last = naive.weights(self.module), len(self.stream) - 1
        h = transported(self.lens, self.stream[self.row], self.row, last)
        offset = transported(self.lens, torch.zeros_like(h), self.row, last)
        x = self._normed(offset, h) + p.get(f"{self.family.norm}.bias", torch.zeros(()).double())
        logits = x @ self._unembedding().T
        if self.family.bias:
            logits = logits + p[self.family.unembedding.replace("weight", "bias")]
        return self.target(logits * self.family.scale)

    def heads(self) -> Tensor:
        """What each attention head adds, `[L, heads, d]`: products with slices of the matrix."""
        _, _, path, factor = NAMES[self.name]
        norm = NAMES[self.name][0] if "layernorm" in NAMES[self.name][0] else None
        vectors = []
        for number, (x,) in enumerate(self.caught([path], inputs=True)):
            block = self.module.get_submodule(self.family.blocks)[number]
            weight = block.get_submodule(path).weight.detach().double()
            weight = (
                weight.T if type(block.get_submodule(path)).__name__ == "Conv1D" else weight
            )  # [d, width]
            width = weight.shape[1] // HEADS
            each = torch.stack(
                [weight[:, head * width :][:, :width] @ x[head * width :][:width] for head in range(HEADS)]
            )
            if norm is not None:  # its scale is that of the whole sum
                gain = block.get_submodule(norm).weight.detach().double()
                gain = 1 + gain if self.family.kind.endswith("1 + w") else gain
                each = each * gain / (each.sum(0).square().mean() + self.family.eps).sqrt()
            vectors.append(factor * each)
        return torch.stack(vectors)
