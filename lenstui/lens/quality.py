"""How well a lens predicts, row by row, on a text. Knows nothing of how the lens was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lenstui.lens.cells import Cells, agreement
from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.readout import read_tiles
from lenstui.lens.tokens import Prompt
from lenstui.lens.tuned_lens import TunedLens

Sums = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quality:
    """Token means of one lens, per row, `emb` first, the model's own output last.

    A position counts where every cell of its column is a number, by every lens, so that all means are over
    the same ones. They are NaN where there is none.

    Attributes:
        kl: KL(final ‖ lens), nats.
        ce: cross-entropy of the token that really comes next, nats.
        top1_agreement: share of positions whose top-1 is the final top-1.
        kl_sem: standard error of `kl`, from how it varies from block to block, since the positions of one
            block are not independent; empty for a single block.
        tokens: how many positions were read.
        left_out: how many of them do not count, as their logits are not finite.
    """

    kl: tuple[float, ...]
    ce: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    kl_sem: tuple[float, ...] = ()
    tokens: int = 0
    left_out: int = 0

    @property
    def mean_kl(self) -> float:
        """Mean KL over the rows that have a translator: all but the last."""
        return sum(self.kl[:-1]) / len(self.kl[:-1])


def evaluate(model: Model, blocks: Iterable[Tensor], lens: TunedLens | None = None) -> Mapping[str, Quality]:
    """Judge the logit lens and, where there is one, a tuned lens.

    Args:
        model: from `load`.
        blocks: token ids `[cols]`, on the CPU.
        lens: a tuned lens for this model.

    Returns:
        By lens name, `"logit"` and `"tuned"`. KL and agreement are over all columns that count,
        cross-entropy over those that have a next token.

    Raises:
        LensError: if there is no block at all.
    """
    sums: dict[str, list[Sums]] = {}  # of each block, [3, rows]
    counts: list[tuple[int, int]] = []  # of each block: the positions that count, and those with a next token
    read = 0
    for block in blocks:
        of_block: dict[str, Sums] = {}
        counted = followed = 0
        for tile in read_tiles(model, Prompt("", tuple(block.tolist())), lens, top_k=1):
            counts_in = np.ones(tile.stop - tile.start, bool)
            counts_in[[column - tile.start for column in tile.not_numbers]] = False
            has_next = counts_in & (np.arange(tile.start, tile.stop) < len(block) - 1)
            counted += int(counts_in.sum())
            followed += int(has_next.sum())
            for name, cells in tile.lenses.items():
                of_block[name] = of_block.get(name, 0) + _sums(cells, counts_in, has_next)
        for name, total in of_block.items():
            sums.setdefault(name, []).append(total)
        counts.append((counted, followed))
        read += len(block)
    if not counts:
        raise LensError("There is too little text for a single block: give more, or shorter blocks.")
    return {name: _quality(np.stack(totals), np.array(counts), read) for name, totals in sums.items()}


def _sums(cells: Cells, counted: _Mask, followed: _Mask) -> Sums:
    """KL, cross-entropy and agreement of a tile, summed over the columns that count, `[3, rows]`."""
    parts = (
        cells.kl[:, counted],
        -cells.next_logprob[:, followed],
        agreement(cells.top_ids[:, :, 0])[:, counted],
    )
    return np.stack([part.sum(axis=1, dtype=np.float64) for part in parts])


def _quality(sums: Sums, counts: npt.NDArray[np.int64], read: int) -> Quality:
    """Means from the sums of every block `[blocks, 3, rows]`.

    Args:
        sums: of KL, cross-entropy and agreement.
        counts: over how many positions, and how many of them have a next token, `[blocks, 2]`.
        read: how many positions there are.
    """
    some = counts[:, 0] > 0
    sums, counts = sums[some], counts[some]
    columns, followed = counts.sum(axis=0).tolist()
    kl, ce, agreed = sums.sum(axis=0)
    nothing = np.full_like(kl, np.nan)
    return Quality(
        kl=tuple((kl / columns if columns else nothing).tolist()),
        ce=tuple((ce / followed if followed else nothing).tolist()),
        top1_agreement=tuple((agreed / columns if columns else nothing).tolist()),
        kl_sem=tuple(_standard_error(sums[:, 0], counts[:, 0]).tolist()) if len(counts) > 1 else (),
        tokens=read,
        left_out=read - columns,
    )


def _standard_error(sums: Sums, lengths: npt.NDArray[np.int64]) -> Sums:
    """Of the means `sums.sum(0) / lengths.sum()`, `[rows]`, between blocks.

    For blocks of one length it is the standard deviation of their means by the root of their number; where
    the lengths differ, that of a ratio.
    """
    mean = sums.sum(axis=0) / lengths.sum()
    off = sums - mean * lengths[:, None]
    blocks = len(lengths)
    error: Sums = np.sqrt((off**2).sum(axis=0) * blocks / (blocks - 1)) / lengths.sum()
    return error
