"""The closed form of a tuned lens: weighted ridge regression of `h_L` on every `h_i`, streamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lenstui.fitting.state_schema import table, tensor, whole
from lenstui.support.errors import LensError

RIDGE = 1e-4
_MEMORY = 2 << 30  # most bytes of normal equations at a time


def equations_size(d: int) -> int:
    """Return the bytes of the normal equations of a row, in a model of width `d`."""
    return 8 * (d + 1) * (2 * d + 1)


def rows_at_a_time(d: int) -> int:
    """Return the number of rows, at least 1, whose normal equations may be in memory together."""
    return max(1, _MEMORY // equations_size(d))


@dataclass(eq=False)
class NormalEquations:
    """The normal equations of some rows, float64: sums over hidden states, which are not kept themselves.

    Attributes:
        gram: `[rows, d + 1, d + 1]`.
        cross: `[rows, d + 1, d]`.
        first_row: the index of the first row.
        blocks: the number of blocks that were added.
    """

    gram: Tensor
    cross: Tensor
    first_row: int
    blocks: int = 0

    @classmethod
    def new(cls, first_row: int, num_rows: int, d: int, device: torch.device) -> NormalEquations:
        """Return empty equations for as many rows as fit in memory, from `first_row` up to `num_rows`.

        They are on the CPU where `device` has no float64.
        """
        rows = min(num_rows - first_row, rows_at_a_time(d))
        place = _place(device)
        return cls(
            torch.zeros(rows, d + 1, d + 1, dtype=torch.float64, device=place),
            torch.zeros(rows, d + 1, d, dtype=torch.float64, device=place),
            first_row,
        )

    def to(self, device: torch.device) -> NormalEquations:
        """Return these equations on the device that a model on `device` needs them on."""
        place = _place(device)
        return replace(self, gram=self.gram.to(place), cross=self.cross.to(place))

    @property
    def rows(self) -> range:
        """The indices of the rows in the lens."""
        return range(self.first_row, self.first_row + len(self.gram))

    def parts_of(self, row: int) -> tuple[Tensor, Tensor]:
        """Return the sums of one of `rows`, of which several processes have parts."""
        return self.gram[row - self.first_row], self.cross[row - self.first_row]

    def add(self, h: Tensor) -> None:
        """Add the hidden states of a block, `[L + 1, cols, d]`.

        Each position weighs `1 / mean(h_L²)`, because the final norm divides by that.
        """
        h = h.to(self.gram.device).double()
        root = h[-1].square().mean(-1, keepdim=True).rsqrt()  # of the weight: on both sides of a product
        for place, row in enumerate(self.rows):
            x = torch.nn.functional.pad(h[row], (0, 1), value=1.0) * root  # [cols, d + 1]
            self.gram[place] += x.T @ x
            self.cross[place] += x.T @ ((h[-1] - h[row]) * root)  # the target in residual form
        self.blocks += 1

    def solve(self, row: int, ridge: float = RIDGE) -> tuple[Tensor, Tensor]:
        """Return `A` `[d, d]` and `b` `[d]`, float32, with `h + A h + b` of a row closest to `h_L`.

        Args:
            row: one of `rows`.
            ridge: a share of the diagonal's mean that is added to the diagonal; it pulls towards the logit
                lens.

        Raises:
            LensError: if the model's numbers were not finite.
        """
        gram, cross = self.parts_of(row)
        if not torch.isfinite(gram).all():
            raise LensError("The model's hidden states are not finite on this text: no lens can be fitted.")
        penalty = torch.full_like(gram.diagonal(), ridge * float(gram.diagonal()[:-1].mean()))
        penalty[-1] = 0  # the bias is not pulled towards zero
        solution = torch.linalg.solve(gram + penalty.diag(), cross)  # [d + 1, d]
        return solution[:-1].T.float(), solution[-1].float()

    def state_dict(self) -> dict[str, Any]:
        """Return the equations as tensors on the CPU and plain values, for a checkpoint."""
        kept = asdict(self)
        return {name: value.cpu() if isinstance(value, Tensor) else value for name, value in kept.items()}


def is_normal(kept: object, rows: int, d: int) -> bool:
    """Return whether a value is the state of the normal equations of some of a model's rows, of width `d`."""
    if not isinstance(kept, Mapping) or not whole(0, rows - 1)(kept.get("first_row")):
        return False
    count = min(rows - kept["first_row"], rows_at_a_time(d))
    schema = {
        "gram": tensor(count, d + 1, d + 1, dtype=torch.float64),
        "cross": tensor(count, d + 1, d, dtype=torch.float64),
        "first_row": whole(),
        "blocks": whole(),
    }
    return table(schema)(kept)


def _place(device: torch.device) -> torch.device:
    """Return `device`, or the CPU where `device` has no float64."""
    return torch.device("cpu") if device.type == "mps" else device
