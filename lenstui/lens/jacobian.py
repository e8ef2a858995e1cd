"""A Jacobian lens: one matrix per row, the average derivative of the last row by that row.

Gurnee et al., 2026; R-Lens and J++ Lens are the same map, fitted otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lenstui.lens.lens import Carried, Lens
from lenstui.model.rows import Row
from lenstui.support.errors import LensError

LAST, PENULTIMATE = "last", "penultimate"  # targets: the last row, or the output of the block before the last
_SPARE = 1 << 30  # bytes of an accelerator that the matrices leave free


def multiplied(h: Tensor, matrix: Tensor) -> Tensor:
    """Return `J h`, `[cols, d]`, computed in float32, in `h`'s dtype."""
    return (h.float() @ matrix.float().T).to(h.dtype)


@dataclass(frozen=True, eq=False)
class JacobianLens(Lens):
    """A Jacobian lens, `T_i(h) = J_i h`, without a bias.

    It reads what a state is disposed to make the model say later, not the next token: its KL says little of
    its quality.

    Attributes:
        matrices: `J_i`, `[d, d]`, of a floating dtype, by the index `i` of the row that it reads: 0 for
            `emb`, `k + 1` for row `k`. They may be memory-mapped; there may be none for some rows.
        config: the model that the lens is for, as plain values.
        fit: how the lens was fitted. Its `target` is `last` or `penultimate`, or missing where the file does
            not say.
        name: the lens's name on screen.
        remarks: remarks for the user, each a sentence without its full stop.
        file: the file that the lens was read from, or None.
        device: the device to which a matrix is moved when its row is read.
    """

    kind: ClassVar[str] = "jacobian"
    matrices: Mapping[int, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    name: str = "unnamed"
    remarks: tuple[str, ...] = ()
    file: Path | None = None
    device: torch.device = field(default=torch.device("cpu"))
    _moved: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `J h` of row `row`, `[cols, d]`, computed in float32, in `h`'s dtype."""
        return multiplied(h, self._matrix(row))

    def carried(self, row: int) -> Carried:
        """Return `T_i` of a row as something that can be sent elsewhere."""
        return multiplied, (self.matrices[row],)

    def _matrix(self, row: int) -> Tensor:
        """Return the matrix of a row on the lens's device, where it stays if there is room for it."""
        moved = self._moved.get(row)
        if moved is None:
            moved = self.matrices[row].to(self.device)
            if moved is not self.matrices[row] and _has_room(self.device):
                self._moved[row] = moved
        return moved

    def reads(self, row: Row) -> bool:
        """Return whether there is a matrix for a row of the residual stream."""
        return row.part is None and row.h in self.matrices

    def to(self, device: torch.device) -> JacobianLens:
        """Return this lens, whose matrices go to `device` when their rows are read."""
        return self if device == self.device else replace(self, device=device)

    @property
    def d_model(self) -> int:
        """The width of the lens's model."""
        return len(next(iter(self.matrices.values())))

    @property
    def num_blocks(self) -> int | None:
        """The number of blocks of the lens's model; None where the file does not say."""
        return self.config.get("num_hidden_layers")

    @property
    def shape(self) -> tuple[int, int]:
        """The number of blocks, at least, and the width of the lens's model."""
        return self.num_blocks or least_blocks(self.matrices), self.d_model

    def check_fits(self, num_blocks: int, d_model: int) -> None:
        """Refuse a model of another shape, or one whose last rows this lens cannot have read.

        Raises:
            LensError: if the shapes differ; the message names both.
        """
        (blocks, d), is_known = self.shape, self.num_blocks is not None
        if d_model != d or num_blocks < blocks or (is_known and num_blocks > blocks):
            least = "" if is_known else "at least "
            raise LensError(
                f"This Jacobian lens is for a model of {least}{blocks} blocks and width {d}; the open model "
                f"has {num_blocks} blocks and width {d_model}. Choose a lens for this model."
            )
        if self.fit.get("target") == PENULTIMATE and max(self.matrices) >= num_blocks - 1:
            raise LensError(
                f"This Jacobian lens leads to the output of block {num_blocks - 2}, yet has a matrix for row "
                f"{Row(max(self.matrices)).label}: it is damaged, or for another model."
            )

    def doubt(self, num_blocks: int) -> str | None:
        """Return that nothing says where the lens leads, if so, as a sentence without its full stop."""
        if self.fit.get("target") is not None or max(self.matrices) == num_blocks - 1:
            return None
        top, below = Row(max(self.matrices)).label, Row(num_blocks - 1).label
        return (
            f"The Jacobian lens {self.name} does not say whether it leads to the last row or to the one "
            f"before: its top row is {top}, and one to the last row would have row {below} too"
        )


def least_blocks(matrices: Mapping[int, Any]) -> int:
    """Return the least number of blocks that a model has whose rows these are: none of them is its last."""
    return max(matrices) + 1


def _has_room(device: torch.device) -> bool:
    """Return whether an accelerator has memory left to keep the matrices that were moved to it."""
    return device.type != "cuda" or torch.cuda.mem_get_info(device)[0] > _SPARE
