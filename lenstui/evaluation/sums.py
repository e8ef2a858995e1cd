"""The sums over positions that most measures of an evaluation are ratios of."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lenstui.readout.cells import NOT_READ, Cells, agreement

Sums = npt.NDArray[np.float64]

PARTS = 9  # of the sums of a block, `[PARTS, rows]`


def sums_of(cells: Cells, has_next: npt.NDArray[np.bool_], next_bytes: npt.NDArray[np.int64]) -> Sums:
    """Return the sums over the columns of a tile from which `means` comes, `[PARTS, rows]`.

    A cell counts where it and the final cell of its column are both numbers.

    Args:
        cells: the cells of a lens.
        has_next: whether the next token is known, `[cols]`.
        next_bytes: its bytes of UTF-8, `[cols]`; negative where it is no part of the text, or unknown.
    """
    agreed = agreement(cells.top1)  # NaN where either has no number
    counted = ~np.isnan(agreed)
    followed = counted & has_next
    of_text = counted & (next_bytes >= 0)
    parts = (
        np.where(counted, cells.kl, 0),
        np.where(counted, agreed, 0),
        np.where(counted, cells.entropy, 0),
        counted,
        np.where(followed, -cells.next_logprob, 0),
        followed,
        np.where(of_text, -cells.next_logprob, 0),
        np.where(of_text, next_bytes, 0),
        cells.top1 == NOT_READ,
    )
    return np.stack([part.sum(axis=1, dtype=np.float64) for part in parts])


def means(sums: Sums) -> dict[str, Sums]:
    """Return the measures that are means, by name, `[..., rows]`; NaN where no position counts.

    Args:
        sums: from `sums_of`, added up, `[..., PARTS, rows]`.
    """
    kl, agreed, entropy, counted, nats, followed, text_nats, text_bytes, _ = np.moveaxis(sums, -2, 0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # 0 / 0 is NaN, exp(800) is ∞
        ce = nats / followed
        return {
            "kl": kl / counted,
            "ce": ce,
            "perplexity": np.exp(ce),
            "bits_per_byte": text_nats / (math.log(2) * text_bytes),
            "top1_agreement": agreed / counted,
            "entropy": entropy / counted,
        }


def counts(sums: Sums) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how many positions count and how many the lens does not read, of sums `[PARTS, rows]`."""
    return sums[3].astype(np.int64), sums[8].astype(np.int64)
