"""How well a lens predicts, row by row, on a text. Knows nothing of how the lens was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.readout import read_tiles
from lenstui.lens.tokens import Prompt
from lenstui.lens.tuned_lens import TunedLens


@dataclass(frozen=True, slots=True)
class Quality:
    """Token means of one lens, per row, `emb` first, the model's own output last.

    Attributes:
        kl: KL(final ‖ lens), nats.
        ce: cross-entropy of the token that really comes next, nats.
        top1_agreement: share of positions whose top-1 is the final top-1.
    """

    kl: tuple[float, ...]
    ce: tuple[float, ...]
    top1_agreement: tuple[float, ...]

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
    sums: dict[str, np.ndarray] = {}  # [3, rows] float64
    columns = following = 0
    for block in blocks:
        for tile in read_tiles(model, Prompt("", tuple(block.tolist())), lens, top_k=1):
            for name, cells in tile.lenses.items():
                top1 = cells.top_ids[:, :, 0]
                parts = (cells.kl, -np.nan_to_num(cells.next_logprob), top1 == top1[-1])
                total = np.stack([part.sum(axis=1, dtype=np.float64) for part in parts])
                sums[name] = sums.get(name, 0) + total
        columns += len(block)
        following += len(block) - 1
    if not columns:
        raise LensError("There is too little text for a single block: give more, or shorter blocks.")
    return {
        name: Quality(
            kl=tuple((total[0] / columns).tolist()),
            ce=tuple((total[1] / max(1, following)).tolist()),
            top1_agreement=tuple((total[2] / columns).tolist()),
        )
        for name, total in sums.items()
    }
