"""How well a lens predicts, row by row, on a text. Knows nothing of how the lens was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.readout import read_tiles
from lenstui.lens.tokens import Prompt
from lenstui.lens.tuned_lens import TunedLens

Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quality:
    """Token means of one lens, per row, `emb` first, the model's own output last.

    Attributes:
        kl: KL(final ‖ lens), nats.
        ce: cross-entropy of the token that really comes next, nats.
        top1_agreement: share of positions whose top-1 is the final top-1.
        kl_sem: standard error of `kl`, from how it varies from block to block, since the positions of one
            block are not independent; empty for a single block.
        tokens: how many positions were read.
    """

    kl: tuple[float, ...]
    ce: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    kl_sem: tuple[float, ...] = ()
    tokens: int = 0

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
        By lens name, `"logit"` and `"tuned"`. KL and agreement are over all columns, cross-entropy over
        those that have a next token.

    Raises:
        LensError: if there is no block at all.
    """
    sums: dict[str, list[Sums]] = {}  # of each block, [3, rows]
    lengths: list[int] = []
    for block in blocks:
        of_block: dict[str, Sums] = {}
        for tile in read_tiles(model, Prompt("", tuple(block.tolist())), lens, top_k=1):
            following = slice(len(block) - 1 - tile.start)  # the columns that have a next token
            for name, cells in tile.lenses.items():
                top1 = cells.top_ids[:, :, 0]
                parts = (cells.kl, -cells.next_logprob[:, following], top1 == top1[-1])
                total = np.stack([part.sum(axis=1, dtype=np.float64) for part in parts])
                of_block[name] = of_block.get(name, 0) + total
        for name, total in of_block.items():
            sums.setdefault(name, []).append(total)
        lengths.append(len(block))
    if not lengths:
        raise LensError("There is too little text for a single block: give more, or shorter blocks.")
    return {name: _quality(np.stack(totals), np.array(lengths)) for name, totals in sums.items()}


def _quality(sums: Sums, lengths: npt.NDArray[np.int64]) -> Quality:
    """Means from the sums of every block `[blocks, 3, rows]` and their columns `[blocks]`."""
    columns = int(lengths.sum())
    kl, ce, agreement = sums.sum(axis=0)
    return Quality(
        kl=tuple((kl / columns).tolist()),
        ce=tuple((ce / max(1, columns - len(lengths))).tolist()),
        top1_agreement=tuple((agreement / columns).tolist()),
        kl_sem=tuple(_standard_error(sums[:, 0], lengths).tolist()) if len(lengths) > 1 else (),
        tokens=columns,
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
