"""The parts that a logit is made of, as the screen lists them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenstui.causal.contributions import BIAS, Contributions
from lenstui.model.rows import ATTENTION, MLP

ATTENTION_BIAS = "attn bias"  # of all blocks: what attention adds beside its heads


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a logit: a component, or one of the attention heads of a block.

    Attributes:
        name: `emb`, `3.mlp`, `3.5` for an attention head, `bias`, `attn bias`.
        contribution: its share of the logit.
        block: the index of its block; None for the embedding and the biases.
        head: the number of the attention head, or None.
    """

    name: str
    contribution: float
    block: int | None = None
    head: int | None = None

    @property
    def edit(self) -> str | None:
        """The edit that takes it away, as it is typed; None where there is none."""
        if self.name in {BIAS, ATTENTION_BIAS}:
            return None
        return f"ablate {self.name}"


def strongest_parts(of: Contributions) -> tuple[Part, ...]:
    """Return the parts that add up to the logit, the largest first, whatever their sign.

    Attention stands by head where a block has heads; what it adds beside them, in all blocks, is a part too.
    """
    parts = [Part("emb", of.embedding), Part(BIAS, of.bias)]
    beside_heads = 0.0
    for block, (attention, mlp) in enumerate(zip(of.attention, of.mlp, strict=True)):
        if of.no_heads[block] is None:
            heads = of.heads[block]
            parts += [
                Part(f"{block}.{head}", float(heads[head]), block, head)
                for head in np.flatnonzero(~np.isnan(heads)).tolist()
            ]
            beside_heads += float(np.nan_to_num(of.attention_bias[block]))
        elif not np.isnan(attention):
            parts.append(Part(f"{block}.{ATTENTION}", float(attention), block))
        if not np.isnan(mlp):
            parts.append(Part(f"{block}.{MLP}", float(mlp), block))
    if beside_heads:
        parts.append(Part(ATTENTION_BIAS, beside_heads))
    return tuple(sorted(parts, key=lambda part: -abs(part.contribution)))
