"""A tuned lens: one affine translator per row but the last.

Belrose et al., "Eliciting Latent Predictions from Transformers with the Tuned Lens", arXiv 2303.08112.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lenstui.support.errors import LensError


@dataclass(frozen=True, eq=False)
class TunedLens:
    """Translators in residual form: row `i` reads `head(final_norm(h_i + A_i h_i + b_i))`.

    Attributes:
        weight: `A`, `[L, d, d]`, float32, in `nn.Linear` orientation (`A_i h` is `h @ A[i].T`).
        bias: `b`, `[L, d]`, float32.
        config: which model it is for (section "Files" of the format: plain values only).
        fit: how it was fitted, and what it reached.
        name: what to call it on screen.
        remarks: what has to be said of it, each a sentence without its full stop.
    """

    weight: Tensor
    bias: Tensor
    config: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    name: str = "untrained"
    remarks: tuple[str, ...] = ()

    def translate(self, h: Tensor, row: int) -> Tensor:
        """`h + A h + b` of row `row`, `[cols, d]`; computed in float32, handed back in `h`'s dtype."""
        wide = h.float()
        return torch.addmm(wide + self.bias[row], wide, self.weight[row].T).to(h.dtype)

    def to(self, device: torch.device) -> TunedLens:
        """The same lens with its translators on `device`."""
        return replace(self, weight=self.weight.to(device), bias=self.bias.to(device))

    def check_fits(self, num_blocks: int, d_model: int) -> None:
        """Raise `LensError`, naming both shapes, unless this lens is for a model of that shape."""
        blocks, d = self.bias.shape
        if (blocks, d) != (num_blocks, d_model):
            raise LensError(
                f"This lens is for a model of {blocks} blocks and width {d}; the open model has {num_blocks} "
                f"blocks and width {d_model}. Choose a lens for this model, or fit one."
            )


def untrained_lens(num_blocks: int, d_model: int) -> TunedLens:
    """All zeros: reads exactly as the logit lens does."""
    return TunedLens(torch.zeros(num_blocks, d_model, d_model), torch.zeros(num_blocks, d_model))
