"""Marginal bias: how far a lens's mean distribution over a text lies from the model's.

Belrose et al. 2023 show it for the logit lens: even where it is right, it is so by another scale of what is
common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lenstui.lens.lens import Lens
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.readout.streams import rows_to_read
from lenstui.readout.tiles import lens_rows
from lenstui.texts.bootstrap import GROUPS, BlockSums

Array = npt.NDArray[np.float64]

_MEMORY = 2 << 30  # bytes that the sums of all groups may take
_SMALLEST = float(np.finfo(np.float32).tiny)  # what is less is 0 in float32 by rounding alone


def marginal_bias_refusal(model: Model, lenses: Sequence[Lens]) -> str | None:
    """Return why the marginal bias of lenses cannot be measured at once: it takes too much memory."""
    size = 4 * GROUPS * (1 + len(_places(model, lenses))) * model.vocabulary
    if size <= _MEMORY:
        return None
    return (
        f"No marginal bias: its sums would take {size / 1e9:.1f} GB, and at most {_MEMORY / 1e9:.1f} GB are "
        "taken. Fewer lenses at a time take less."
    )


class MarginalSums:
    """The sums of the distributions of all rows over a text, in at most 32 groups of neighbouring blocks.

    Memory: `4 · 32 · vocabulary` bytes for each row of each lens, and as much for the final distribution.

    Attributes:
        block: what the tiles of a block are added to, as `read_tiles` does, `[distributions, vocabulary]`.
    """

    def __init__(self, model: Model, lenses: Sequence[Lens]) -> None:
        self._rows = model.num_blocks + 1
        self._places = _places(model, lenses)
        shape = (1 + len(self._places), model.vocabulary)
        self.block = torch.zeros(shape, dtype=torch.float32, device=model.device)
        self._groups = BlockSums(GROUPS)  # [distributions, vocabulary] each
        self._sizes = BlockSums(GROUPS)  # positions in each

    def close_block(self, positions: int) -> None:
        """Add the block that was read to its group, and begin the next one."""
        self._groups.add(self.block.cpu().numpy())
        self._sizes.add(np.array(positions))
        self.block.zero_()

    def biases(self, lens: int) -> tuple[Array, Array]:
        """Return the marginal bias of each row of a lens, by its place, and its standard error, `[rows]`.

        NaN in rows that the lens lacks, in those with a cell that is not a number, and for a single block.
        """
        bias, error = np.full((2, self._rows), np.nan)
        final = self._without_each(0)
        if np.isfinite(final[0]).all():
            bias[-1] = error[-1] = 0.0
        for place, (of_lens, row) in enumerate(self._places, 1):
            if of_lens == lens:
                whole, *without = _divergences(final, self._without_each(place))
                bias[row], error[row] = jackknife(whole, np.array(without), self._sizes.stacked())
        return bias, error

    def _without_each(self, place: int) -> Array:
        """Return a sum over all groups, and over all but each, `[1 + groups, vocabulary]`."""
        each = np.stack([group[place] for group in self._groups.entries]).astype(np.float64)
        whole = each.sum(axis=0)
        return np.concatenate([whole[None], whole - each])


def _places(model: Model, lenses: Sequence[Lens]) -> list[tuple[int, int]]:
    """Return lens and row of each distribution but the final one, in the order in which tiles add them."""
    rows, last = rows_to_read(model, None), Row(model.num_blocks)
    return [
        (place, rows.index(row))
        for place, lens in enumerate(lenses)
        for _, row in lens_rows([lens], rows, last)
    ]


def _divergences(final: Array, lens: Array) -> Array:
    """Return KL(final ‖ lens) of sums of distributions `[groups, vocabulary]`, each made to add up to 1."""
    with np.errstate(invalid="ignore", divide="ignore"):  # of a single group nothing is left without it
        p, q = (np.maximum(sums / sums.sum(axis=1, keepdims=True), _SMALLEST) for sums in (final, lens))
        divergence: Array = (p * np.log(p / q)).sum(axis=1)
    return divergence


def jackknife(whole: float, without: Array, sizes: npt.NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Return the delete-one-group jackknife's estimate of a statistic, less its bias, and its standard error.

    For groups of unequal size (Busing, Meijer and van der Leeden, 1999, "Delete-m jackknife for unequal m");
    for equal ones it is the usual jackknife. NaN for a single group.

    Args:
        whole: the statistic of all groups.
        without: that of all but each group, `[groups]`.
        sizes: the sizes of the groups, `[groups]`.
    """
    groups = len(sizes)
    if groups < 2:
        return np.nan, np.nan
    share = sizes / sizes.sum()  # 1 / h in the paper
    estimate = groups * whole - ((1 - share) * without).sum()
    pseudo = whole / share - (1 / share - 1) * without
    variance = ((pseudo - estimate) ** 2 / (1 / share - 1)).mean()
    return float(estimate), float(np.sqrt(variance))
