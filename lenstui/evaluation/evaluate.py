"""Evaluation of lenses on a text, row by row, whatever they were fitted on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.cells import NOT_READ, Cells, agreement
from lenstui.readout.tiles import read_tiles
from lenstui.support.errors import LensError
from lenstui.texts.blocks import TOO_LITTLE

Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quality:
    """Token means of one lens, per row, `emb` first, the model's own output last.

    A mean is over the positions whose cell in that row and final cell are both numbers; NaN where there are
    none.

    Attributes:
        kl: KL(final ‖ lens), nats.
        ce: the cross-entropy of the text's next token, nats.
        top1_agreement: the share of positions whose top-1 is the final top-1.
        kl_sem: the standard error of `kl`, from its variation between blocks, since the positions of one
            block are not independent; empty for a single block.
        tokens: the number of positions that were read.
        left_out: the number of positions that do not count because logits are not finite, per row; empty for
            none.
        lacks: the indices of the rows that the lens does not have; its means there are NaN.
    """

    kl: tuple[float, ...]
    ce: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    kl_sem: tuple[float, ...] = ()
    tokens: int = 0
    left_out: tuple[int, ...] = ()
    lacks: tuple[int, ...] = ()

    @property
    def mean_kl(self) -> float:
        """The mean KL over the rows that the lens has, but for the last."""
        known = [kl for row, kl in enumerate(self.kl[:-1]) if row not in self.lacks]
        return sum(known) / len(known) if known else math.nan


def evaluate(
    model: Model, blocks: Iterable[Tensor], lens: Lens | Sequence[Lens] | None = None
) -> Mapping[str, Quality]:
    """Evaluate the logit lens and another lens, or any number of lenses, in one pass of the model.

    Args:
        model: from `load`.
        blocks: token ids `[cols]`, on the CPU.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses.

    Returns:
        The quality by lens, under the keys of `lens_keys`: `"logit"`, `"tuned"`, … KL and agreement are over
            all positions that count, cross-entropy over those of them that have a next token.

    Raises:
        LensError: if there is no block.
    """
    lenses = lenses_for(model, with_logit_lens(lens))  # once, not for each block
    sums: dict[str, list[Sums]] = {}  # of each block, [6, rows]
    lengths: list[int] = []
    for block in blocks:
        of_block: dict[str, Sums] = {}
        for tile in read_tiles(model, Prompt("", tuple(block.tolist())), lenses, top_k=1):
            has_next = np.arange(tile.start, tile.stop) < len(block) - 1
            for name, cells in tile.lenses.items():
                of_block[name] = of_block.get(name, 0) + _sums(cells, has_next)
        for name, total in of_block.items():
            sums.setdefault(name, []).append(total)
        lengths.append(len(block))
    if not lengths:
        raise LensError(TOO_LITTLE)
    return {name: _quality(np.stack(totals), sum(lengths)) for name, totals in sums.items()}


def _sums(cells: Cells, has_next: npt.NDArray[np.bool_]) -> Sums:
    """Return sums over a tile, `[6, rows]`.

    They are those of KL, of agreement, of their positions; of cross-entropy, of its positions; and of the
    positions that the lens does not read.
    """
    agreed = agreement(cells.top1)  # NaN where either has no number
    counted = ~np.isnan(agreed)
    followed = counted & has_next
    parts = (
        np.where(counted, cells.kl, 0),
        np.where(counted, agreed, 0),
        counted,
        np.where(followed, -cells.next_logprob, 0),
        followed,
        cells.top1 == NOT_READ,
    )
    return np.stack([part.sum(axis=1, dtype=np.float64) for part in parts])


def _quality(sums: Sums, tokens: int) -> Quality:
    """Return the means from the sums of every block `[blocks, 6, rows]`, of `tokens` positions in all."""
    kl, agreed, counted, ce, followed, unread = sums.sum(axis=0)
    left_out = tuple((tokens - counted - unread).astype(int).tolist())
    with np.errstate(invalid="ignore"):  # 0 / 0: NaN, where no position counts
        return Quality(
            kl=tuple((kl / counted).tolist()),
            ce=tuple((ce / followed).tolist()),
            top1_agreement=tuple((agreed / counted).tolist()),
            kl_sem=tuple(_standard_error(sums[:, 0], sums[:, 2]).tolist()) if len(sums) > 1 else (),
            tokens=tokens,
            left_out=left_out if any(left_out) else (),
            lacks=tuple(np.flatnonzero(unread).tolist()),
        )


def _standard_error(sums: Sums, counted: Sums) -> Sums:
    """Return the standard errors, between blocks, of the means `sums.sum(0) / counted.sum(0)`, `[rows]`.

    For blocks of one length it is the standard deviation of their means divided by the root of their number;
    where the lengths differ, that of a ratio. NaN for fewer than two blocks with a position that counts.

    Args:
        sums: `[blocks, rows]`.
        counted: the numbers of positions, `[blocks, rows]`.
    """
    mean = sums.sum(axis=0) / counted.sum(axis=0)
    off = sums - mean * counted
    blocks = (counted > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((off**2).sum(axis=0) * blocks / (blocks - 1)) / counted.sum(axis=0)
        return np.where(blocks > 1, error, np.nan)
