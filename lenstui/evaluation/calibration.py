"""Calibration: whether the next token is the top-1 as often as its probability says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenstui.texts.bootstrap import GROUPS, BlockSums, bootstrap_error, in_an_entry

Array = npt.NDArray[np.float64]

BINS = 15
_EXACT = 1 << 15  # positions of a row that are kept one by one, 5 bytes each
_CELLS = 512  # of a row's histogram, beyond that


class Calibration:
    """The expected calibration error of the top-1 of each row, in one pass over a text of any length.

    Positions are put in order of confidence, the probability of the top-1, and cut into 15 bins of equal
    mass; the error is the mean over the bins of |mean confidence - share of hits|. Positions of equal
    confidence share their hits, and a position at an edge counts in both bins by its shares, so that the
    result does not depend on the order of the text.

    Up to 32,768 positions are kept one by one, and the error is exact. Beyond that their quantiles are the
    edges of 512 cells, in which all positions are counted, by group of blocks, and the positions of the cell
    at an edge of a bin are alike. That cannot change the error by more than twice the mass of the 14 cells at
    edges, and changes it only where neighbouring bins differ in sign. Memory: 260 kB for a row.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._kept: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]] = []  # of each block
        self._columns = 0
        self._edges: npt.NDArray[np.float32] | None = None  # [rows, cells - 1]
        self._cells = BlockSums(GROUPS)  # counts and gaps, [2, rows, cells]

    def add(self, confidence: npt.NDArray[np.float32], hit: npt.NDArray[np.bool_]) -> None:
        """Add the positions of the next block.

        Args:
            confidence: the probability of the top-1, `[rows, cols]`; NaN where a position does not count.
            hit: whether it is the next token, `[rows, cols]`.
        """
        if self._edges is not None:
            self._cells.add(_in_cells(confidence, hit, self._edges))
            return
        self._kept.append((confidence, hit))
        self._columns += confidence.shape[1]
        if self._columns > _EXACT:
            self._edges = _quantiles(np.concatenate([each for each, _ in self._kept], axis=1))
            for kept in self._kept:
                self._cells.add(_in_cells(*kept, self._edges))
            self._kept.clear()

    def errors(self) -> tuple[Array, Array]:
        """Return the calibration error of each row and its standard error by block bootstrap, `[rows]`."""
        cells = None if self._edges is None else self._cells.stacked()  # [groups, 2, rows, cells]
        both = np.array(
            [
                _error(*(self._one_by_one(row) if cells is None else (cells[:, 0, row], cells[:, 1, row])))
                for row in range(self._rows)
            ]
        )
        return both[:, 0], both[:, 1]

    def _one_by_one(self, row: int) -> tuple[Array, Array]:
        """Return counts and gaps of a row's positions, `[groups, cells]`, a cell for each confidence."""
        values = np.concatenate([confidence[row] for confidence, _ in self._kept])
        hits = np.concatenate([hit[row] for _, hit in self._kept])
        blocks = np.repeat(range(len(self._kept)), [hit.shape[1] for _, hit in self._kept])
        groups = blocks // in_an_entry(len(self._kept), GROUPS)
        known = ~np.isnan(values)
        distinct, cells = np.unique(values[known], return_inverse=True)
        shape = (GROUPS, len(distinct))
        places = groups[known] * len(distinct) + cells
        gaps = values[known].astype(np.float64) - hits[known]
        counts = np.bincount(places, minlength=GROUPS * len(distinct)).astype(np.float64)
        gaps_in_cells: Array = np.bincount(places, gaps, GROUPS * len(distinct)).astype(np.float64)
        return counts.reshape(shape), gaps_in_cells.reshape(shape)


def _quantiles(confidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the inner edges of cells of equal mass, `[rows, cells - 1]`, from confidences `[rows, cols]`."""
    shares = np.arange(1, _CELLS) / _CELLS
    edges = np.zeros((len(confidence), _CELLS - 1), np.float32)
    for row, values in enumerate(confidence):
        if (known := values[~np.isnan(values)]).size:
            edges[row] = np.quantile(known, shares, method="inverted_cdf")
    return edges


def _in_cells(
    confidence: npt.NDArray[np.float32], hit: npt.NDArray[np.bool_], edges: npt.NDArray[np.float32]
) -> Array:
    """Return how many positions of a block are in each cell, and their gaps' sums, `[2, rows, cells]`."""
    found = np.zeros((2, len(confidence), _CELLS))
    for row, (values, hits) in enumerate(zip(confidence, hit, strict=True)):
        known = ~np.isnan(values)
        cells = np.searchsorted(edges[row], values[known])
        gaps = values[known].astype(np.float64) - hits[known]
        found[:, row] = np.bincount(cells, minlength=_CELLS), np.bincount(cells, gaps, _CELLS)
    return found


def _error(counts: Array, gaps: Array) -> tuple[float, float]:
    """Return a row's calibration error and its standard error, from its cells `[groups, cells]`."""
    used = counts.sum(axis=1) > 0
    if not used.any():
        return np.nan, np.nan
    gaps_in_bins = gaps[used] @ _shares(counts.sum(axis=0))  # [groups, bins]
    sums = np.concatenate([gaps_in_bins, counts[used].sum(axis=1, keepdims=True)], axis=1)
    return float(_mean_gap(sums.sum(axis=0))), float(bootstrap_error(sums, _mean_gap))


def _shares(counts: Array) -> Array:
    """Return the share of each cell, in order of confidence, that lies in each bin, `[cells, bins]`."""
    ends = np.cumsum(counts)
    edges = np.linspace(0, ends[-1], BINS + 1)
    inside = np.minimum(ends[:, None], edges[1:]) - np.maximum((ends - counts)[:, None], edges[:-1])
    shares: Array = np.clip(inside, 0, None) / np.maximum(counts, 1)[:, None]
    return shares


def _mean_gap(sums: Array) -> Array:
    """Return the calibration error from gaps by bin with the number of positions last, `[..., bins + 1]`."""
    error: Array = np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1]
    return error
