"""A tuned lens: one affine translator per row but the last.

Belrose et al., "Eliciting Latent Predictions from Transformers with the Tuned Lens", arXiv 2303.08112.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lenstui.lens.lens import Carried, Lens


def translated(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `h + A h + b`, `[cols, d]`, computed in float32, in `h`'s dtype."""
    wide = h.float()
    return torch.addmm(wide + bias, wide, weight.T).to(h.dtype)


@dataclass(frozen=True, eq=False)
class TunedLens(Lens):
    """A tuned lens, with translators in residual form: `T_i(h) = h + A_i h + b_i`.

    Attributes:
        weight: `A`, `[L, d, d]`, float32, in `nn.Linear` orientation (`A_i h` is `h @ A[i].T`).
        bias: `b`, `[L, d]`, float32.
        config: the model that the lens is for, as plain values.
        fit: how the lens was fitted, and the KL that it reached.
        name: the lens's name on screen.
        remarks: remarks for the user, each a sentence without its full stop.
        file: the file that the lens was read from, or None.
    """

    kind: ClassVar[str] = "tuned"
    weight: Tensor
    bias: Tensor
    config: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    name: str = "untrained"
    remarks: tuple[str, ...] = ()
    file: Path | None = None

    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `h + A h + b` of row `row`, `[cols, d]`, computed in float32, in `h`'s dtype."""
        return translated(h, self.weight[row], self.bias[row])

    def carried(self, row: int) -> Carried:
        """Return `T_i` of a row as something that can be sent elsewhere."""
        return translated, (self.weight[row], self.bias[row])

    def to(self, device: torch.device) -> TunedLens:
        """Return this lens with its translators on `device`; itself where they are there."""
        if self.weight.device == device and self.bias.device == device:
            return self
        return replace(self, weight=self.weight.to(device), bias=self.bias.to(device))

    @property
    def shape(self) -> tuple[int, int]:
        """The number of blocks and the width of the lens's model."""
        blocks, d_model = self.bias.shape
        return blocks, d_model


def untrained_lens(num_blocks: int, d_model: int) -> TunedLens:
    """Return a tuned lens with all translators zero, which reads exactly as the logit lens does."""
    return TunedLens(torch.zeros(num_blocks, d_model, d_model), torch.zeros(num_blocks, d_model))
