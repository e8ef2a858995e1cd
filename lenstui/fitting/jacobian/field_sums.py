"""The sums that a control variate takes beside those of the exact Jacobians (`mean_field`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

from lenstui.fitting.state_schema import Schema, tensor


@dataclass(eq=False)
class FieldSums:
    """Sums of the mean-field Jacobians over all prompts that are done, float32, on the CPU.

    Attributes:
        total: the sum, `[rows, d, d]`.
        halves: what those of either half make of the held-out hidden states, `[2, rows, positions, d]`.
        squares: the squared norms of each output dimension, `[rows, d]`.
        products: the products of what is exact less the mean field with the mean field, `[rows, d]`.
        counts: the number of prompts in either half, `[2]`.
    """

    total: Tensor
    halves: Tensor
    squares: Tensor
    products: Tensor
    counts: Tensor

    @classmethod
    def zeros(cls, total: Tensor, halves: Tensor) -> FieldSums:
        """Return empty sums, of the shapes of the others."""
        rows, d, _ = total.shape
        return cls(
            torch.zeros_like(total),
            torch.zeros_like(halves),
            torch.zeros(rows, d),
            torch.zeros(rows, d),
            torch.zeros(2),
        )

    def add_mean(self, mean: Tensor) -> Tensor:
        """Add the mean to that of the rest, `[rows, d, d]`, in place, and return it."""
        return mean.add_(self.total, alpha=1 / max(1.0, float(self.counts.sum())))

    @property
    def half_means(self) -> Tensor:
        """What the mean of either half makes of the held-out hidden states, `[2, rows, positions, d]`."""
        return self.halves / self.counts[:, None, None, None].clamp(min=1)

    def add(self, field: Tensor, half: int, held_out: Tensor) -> None:
        """Add the mean field of a prompt.

        Args:
            field: `[rows, d, d]`.
            half: the half that the prompt belongs to.
            held_out: the held-out hidden states, `[rows, positions, d]`.
        """
        self.total += field
        self.halves[half] += held_out @ field.mT
        self.squares += field.square().sum(-1)
        self.counts[half] += 1

    def variance(self, row: int, rest: Tensor, rest_counts: Tensor) -> Tensor:
        """Return what the mean field adds to the variance of a row's mean, a scalar.

        Args:
            row: the place of the row.
            rest: the mean of what is exact less the mean field, `[d, d]`.
            rest_counts: how many prompts each of its output dimensions holds, `[d]`.
        """
        count = self.counts.sum()
        mean = self.total[row] / count
        own = (self.squares[row] / count - mean.square().sum(-1)) / (count - 1)
        together = self.products[row] / rest_counts - (mean * rest).sum(-1)
        return (own + 2 * together / count).sum()

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all of it."""
        return {name: value.clone() for name, value in asdict(self).items()}

    def load_state_dict(self, kept: Mapping[str, Tensor]) -> None:
        """Restore it from a `state_dict` that agrees with the schema."""
        for field in fields(self):
            setattr(self, field.name, kept[field.name])

    def schema(self) -> Schema:
        """Return what a `state_dict` of the same shapes holds."""
        return {name: tensor(*value.shape) for name, value in asdict(self).items()}
