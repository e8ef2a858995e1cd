"""Standard errors by block bootstrap, from sums of blocks of text, so that nothing is read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GROUPS = 32  # of blocks, at most, where what is kept of each is large
_DRAWS = 1000  # of which the error of a standard error is 2.2 %


class BlockSums:
    """The sums of the blocks of a text of any length, in memory that does not grow with it.

    Beyond `most` blocks neighbours are put together, two, then four, and so on, so that there are always more
    than half as many entries: as good for standard errors, since longer blocks depend on each other no more
    than shorter ones.
    """

    def __init__(self, most: int = 1024) -> None:
        """Begin without blocks.

        Args:
            most: how many entries there may be, a power of two.
        """
        self._most = most
        self._entries: list[npt.NDArray[Any]] = []
        self._blocks = 0

    def add(self, sums: npt.NDArray[Any]) -> None:
        """Add the sums of the next block, an array of the same shape for every block; it is not changed."""
        together = in_an_entry(self._blocks, self._most)
        self._blocks += 1
        if in_an_entry(self._blocks, self._most) > together:
            together *= 2
            pairs = zip(self._entries[::2], self._entries[1::2], strict=True)
            self._entries = [np.add(first, second, out=first) for first, second in pairs]
        if (self._blocks - 1) // together < len(self._entries):
            self._entries[-1] += sums
        else:
            self._entries.append(sums.copy())

    @property
    def entries(self) -> Sequence[npt.NDArray[Any]]:
        """The sums of neighbouring blocks, in the order of the text."""
        return self._entries

    def stacked(self) -> npt.NDArray[Any]:
        """Return all entries, `[entries, ...]`."""
        return np.stack(self._entries)


def in_an_entry(blocks: int, most: int) -> int:
    """Return how many neighbours are put together, so that there are at most `most` entries: 1, 2, 4, …"""
    together = 1
    while blocks > most * together:
        together *= 2
    return together


def bootstrap_error(sums: Array, statistic: Callable[[Array], Array], *, seed: int = 0) -> Array:
    """Return the standard error of a statistic of sums over blocks, the shape of the statistic.

    Runs of neighbouring blocks are drawn with replacement until there are as many blocks as there were, 1000
    times, as neighbours, which may share a document, depend on each other (the circular block bootstrap of
    Politis and Romano, 1992). With n blocks a run is of n to the power of a third. The error is the standard
    deviation of the statistic of what was drawn, over `√(1 - run / n)`, by which it would be too small. It is
    NaN where the statistic is not finite, and for a single block.

    Args:
        sums: `[blocks, ...]`, in the order of the text.
        statistic: returns the statistic of sums over blocks, for any number of draws, `[draws, ...]`.
        seed: the seed of the draws; the same blocks are drawn for all lenses.
    """
    blocks = len(sums)
    if blocks < 2:
        return np.full_like(statistic(sums)[0], np.nan)
    run = int(blocks ** (1 / 3) + 1e-9)
    with np.errstate(invalid="ignore"):  # 0 times an infinite KL
        drawn = _draws(blocks, run, seed) @ sums.reshape(blocks, -1)
        values = statistic(drawn.reshape(_DRAWS, *sums.shape[1:]))
        error: Array = values.std(axis=0, ddof=1) / np.sqrt(1 - run / blocks)
    return error


def _draws(blocks: int, run: int, seed: int) -> Array:
    """Return how often each draw takes each block, `[draws, blocks]`."""
    starts = np.random.default_rng(seed).integers(blocks, size=(_DRAWS, -(-blocks // run), 1))
    taken = ((starts + np.arange(run)) % blocks).reshape(_DRAWS, -1)[:, :blocks]
    places = np.arange(_DRAWS)[:, None] * blocks + taken
    counts = np.bincount(places.ravel(), minlength=_DRAWS * blocks)
    return counts.reshape(_DRAWS, blocks).astype(np.float64)
