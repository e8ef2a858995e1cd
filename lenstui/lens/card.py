"""A lens's card: the metadata of its file, how closely it matches a model, and the size of its translators.

Plain values only, so that a screen can show a card without torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.lens.kinds import JACOBIAN, TUNED
from lenstui.lens.last_evaluation import LastEvaluation
from lenstui.lens.names import adapter_of, file_lens_name

if TYPE_CHECKING:
    from torch import Tensor

LEADING = 3  # singular values that a card shows
_EXACT_UP_TO = 1024  # columns; wider matrices take seconds each
_BLOCK, _DEPTH = 8, 16  # of the Krylov space: 128 directions


class Match(Enum):
    """The closeness of the match between a lens and a model, the closest first."""

    WEIGHTS = "yes"  # made for exactly these weights
    PARTLY = "in part"  # all weights that can be compared agree: with older files only the head
    SHAPE = "in shape"  # the shapes agree, and no weights can be compared
    BASE = "base"  # made for the base of an adapted model, without the adapter
    OTHER_WEIGHTS = "other"  # made for other weights, such as those before a fine-tuning
    NO = "no"  # the shapes differ


@dataclass(frozen=True, slots=True)
class LensCard:
    """The metadata of a lens file.

    Attributes:
        path: the file, or the folder of the `tuned-lens` library.
        config: the model that the lens is for.
        fit: how the lens was fitted, and the KL that it reached.
        blocks: the number of blocks of that model; for some Jacobian lenses, the least that it can have.
        d_model: the width of that model.
        size: the size of the file, in bytes.
        modified: when the file was written, seconds since 1970.
        kind: the kind of lens.
        rows: the indices of the rows that it has a matrix for, 0 for `emb`; None for all but the last.
        evaluation: its last evaluation, if that is known.
    """

    path: Path
    config: Mapping[str, Any]
    fit: Mapping[str, Any]
    blocks: int
    d_model: int
    size: int
    modified: float
    kind: str = TUNED
    rows: tuple[int, ...] | None = None
    evaluation: LastEvaluation | None = None

    @property
    def name(self) -> str:
        """The lens's name: that of its file without `.pt`, or of its folder; `instant` of an instant lens."""
        return file_lens_name(self.path)

    @property
    def made_for(self) -> str | None:
        """The model that the lens was made for, as its file names it."""
        name = self.config.get("base_model_name_or_path")
        return name if isinstance(name, str) and name else None

    @property
    def adapter(self) -> str | None:
        """The adapter that the lens was fitted under, as it was typed; None for none."""
        return adapter_of(self.config)

    @property
    def own_rows(self) -> tuple[int, ...]:
        """The indices of the rows that the lens has a matrix for, 0 for `emb`."""
        return tuple(range(self.blocks)) if self.rows is None else self.rows

    def fits(self, num_blocks: int, d_model: int) -> bool:
        """Return whether a model has the shape of the one that the lens is for."""
        if self.kind == JACOBIAN and self.config.get("num_hidden_layers") is None:
            return self.blocks <= num_blocks and self.d_model == d_model
        return (self.blocks, self.d_model) == (num_blocks, d_model)

    @property
    def held_out_kl(self) -> tuple[float, ...] | None:
        """The held-out KL of each row but the last, nats; None where the file does not say.

        A Jacobian lens has none: its KL says little of its quality.
        """
        return None if self.kind == JACOBIAN else self._by_row("held_out_kl")

    @property
    def logit_lens_kl(self) -> tuple[float, ...] | None:
        """The logit lens's KL on the same held-out text, of each row but the last, nats; None if unknown."""
        return self._by_row("logit_lens_kl")

    @property
    def convergence(self) -> tuple[float, ...] | None:
        """The convergence of a Jacobian lens in each of `own_rows`; None where the file does not say.

        It is the share of the top 10 tokens on held-out positions that half of the prompts give too.
        """
        return self._by_row("convergence")

    def _by_row(self, key: str) -> tuple[float, ...] | None:
        numbers = self.fit.get(key)
        if not isinstance(numbers, list) or len(numbers) != len(self.own_rows):
            return None
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            return None
        return tuple(map(float, numbers))


@dataclass(frozen=True, slots=True)
class TranslatorSize:
    """The size of a translator, or of the matrix of a Jacobian lens.

    Attributes:
        row: the index of the row, 0 for `emb`.
        weight: the Frobenius norm of its matrix.
        bias: the norm of its bias; None where it has none.
        singular_values: the leading singular values of its matrix, the largest first.
    """

    row: int
    weight: float
    bias: float | None
    singular_values: tuple[float, ...]

    @classmethod
    def of(cls, row: int, weight: Tensor, bias: Tensor | None) -> TranslatorSize:
        """Measure a translator, or the matrix of a Jacobian lens.

        Args:
            row: the index of the row.
            weight: `A` or `J`, `[d, d]`.
            bias: `b`, `[d]`, or None.
        """
        weight = weight.detach().float()
        length = None if bias is None else float(bias.detach().float().norm())
        return cls(row, float(weight.norm()), length, leading_singular_values(weight))


def leading_singular_values(matrix: Tensor, count: int = LEADING) -> tuple[float, ...]:
    """Return the `count` largest singular values of a square matrix, the largest first.

    For a wide matrix they are those of its restriction to a block Krylov space, too small by less than one in
    a thousand even where no direction stands out: 0.5 s instead of 10 s at width 4096.
    """
    import torch

    if not matrix.isfinite().all():
        return (math.nan,) * min(count, len(matrix))
    if len(matrix) <= _EXACT_UP_TO:
        return tuple(torch.linalg.svdvals(matrix)[:count].tolist())
    generator = torch.Generator(matrix.device).manual_seed(0)
    start = torch.randn(len(matrix), _BLOCK, generator=generator, device=matrix.device)
    basis = block = torch.linalg.qr(start).Q
    for _ in range(_DEPTH - 1):
        block = matrix.T @ (matrix @ block)
        block = torch.linalg.qr(block - basis @ (basis.T @ block)).Q
        basis = torch.cat((basis, block), dim=1)
    basis = torch.linalg.qr(basis).Q  # at a low rank, rounding leaves the blocks less than orthogonal
    return tuple(torch.linalg.svdvals(matrix @ basis)[:count].tolist())
