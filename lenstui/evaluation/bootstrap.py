"""Standard errors by block bootstrap, from sums of blocks of text, so that nothing is read again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_DRAWS = 1000  # of which the error of a standard error is 2.2 %
_MOST = 1024  # entries


class BlockSums:
    """The sums of the blocks of a text of any length, in memory that does not grow with it.

    Beyond 1024 blocks neighbours are put together, two, then four, and so on, so that there are always at
    least 512 entries: as good for a bootstrap, since longer blocks depend on each other no more than shorter
    ones.
    """

    def __init__(self) -> None:
        self._entries: list[Array] = []
        self._together = 1  # blocks in an entry
        self._in_last = 0  # blocks in the last entry

    def add(self, sums: Array) -> None:
        """Add the sums of the next block, an array of the same shape for every block."""
        if self._entries and self._in_last < self._together:
            self._entries[-1] = self._entries[-1] + sums
            self._in_last += 1
            return
        if len(self._entries) == _MOST:
            pairs = zip(self._entries[::2], self._entries[1::2], strict=True)
            self._entries = [first + second for first, second in pairs]
            self._together *= 2
        self._entries.append(sums)
        self._in_last = 1

    def stacked(self) -> Array:
        """Return all entries, `[entries, ...]`."""
        return np.stack(self._entries)


def bootstrap_error(sums: Array, statistic: Callable[[Array], Array], *, seed: int = 0) -> Array:
    """Return the standard error of a statistic of sums over blocks, the shape of the statistic.

    Blocks are drawn with replacement, as many as there are, 1000 times; the error is the standard deviation
    of the statistic of what was drawn, times `√(n / (n - 1))` for n blocks, without which a bootstrap of few
    blocks is too small by that. It is NaN where the statistic is not finite, and for a single block.

    Args:
        sums: `[blocks, ...]`.
        statistic: returns the statistic of sums over blocks, for any number of draws, `[draws, ...]`.
        seed: the seed of the draws; the same blocks are drawn for all lenses.
    """
    blocks = len(sums)
    if blocks < 2:
        return np.full_like(statistic(sums)[0], np.nan)
    draws = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWS)
    with np.errstate(invalid="ignore"):  # 0 times an infinite KL
        drawn = draws.astype(np.float64) @ sums.reshape(blocks, -1)
        values = statistic(drawn.reshape(_DRAWS, *sums.shape[1:]))
        error: Array = values.std(axis=0, ddof=1) * np.sqrt(blocks / (blocks - 1))
    return error
