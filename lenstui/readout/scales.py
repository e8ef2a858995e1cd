"""Colour scales: the step of the palette for a number, and the ends of a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lenstui.support.late_numpy import np

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenstui.readout.cells import FloatArray

LevelArray: TypeAlias = "npt.NDArray[np.uint8]"

STEPS = 12  # from dark to bright, at most: levels 0 to 11
ARM = 5  # steps on either side of 0, where a scale diverges
NEUTRAL = STEPS + ARM  # the level of 0 there; below and above it are the arms, levels 12 to 22
LEVELS = NEUTRAL + ARM + 1
NO_LEVEL = 255  # the level of a cell that has no number

_ROUND_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from numbers to steps of the palette, shared by all panes.

    Attributes:
        lo: the lower end; smaller numbers are clipped.
        hi: the upper end; larger numbers are clipped.
        log: whether steps are even in `log(1 + distance)`, from the bright end or, where it diverges, from 0.
        low_is_bright: whether small numbers are the good ones and take the bright end.
        diverging: whether the neutral step is exactly at 0, and negative and positive numbers have different
            hues; `lo` is `-hi` then.
        two: whether all numbers are `lo` or `hi`, so that only the end steps are used.
        count: the number of steps from dark to bright, at most `STEPS`.
    """

    lo: float
    hi: float
    log: bool = False
    low_is_bright: bool = False
    diverging: bool = False
    two: bool = False
    count: int = STEPS

    @classmethod
    def around_zero(cls, top: float, *, log: bool = False) -> Scale:
        """Return a diverging scale from `-top` to `top`."""
        return cls(-top, top, log, diverging=True)

    @property
    def steps(self) -> Sequence[int]:
        """The levels that the scale uses, beginning with that of the number `at(0)`."""
        if self.two:
            return (0, self.count - 1)
        return range(STEPS, LEVELS) if self.diverging else range(self.count)

    def levels(self, values: FloatArray) -> LevelArray:
        """Return steps of the palette; `NO_LEVEL` where the value is NaN.

        Levels are 0 (dark) to `count - 1` (bright), or for a diverging scale 12 (`lo`) to 22 (`hi`) with 0 at
        17. The two end steps are half as wide as the others, so that rank 0 has a step for itself.
        """
        if self.diverging:
            sizes = self._shares(np.clip(np.abs(values), 0, self.hi), self.hi)
            levels = NEUTRAL + np.sign(values) * np.rint(ARM * sizes)
        else:
            away = values - np.float32(self.lo) if self.low_is_bright else np.float32(self.hi) - values
            span = self.hi - self.lo
            levels = np.rint((self.count - 1) * (1 - self._shares(np.clip(away, 0, span), span)))
        return np.where(np.isnan(levels), NO_LEVEL, levels).astype(np.uint8)

    def _shares(self, distances: FloatArray, farthest: float) -> FloatArray:
        """Return distances as shares of the farthest along the steps, 0 to 1."""
        if self.log:
            distances, farthest = np.log1p(distances), math.log1p(farthest)
        return distances * np.float32(1 / farthest if farthest else 0)

    def at(self, fraction: float) -> float:
        """Return the number at a point of the palette: 0 is its first step (dark, or `lo`), 1 its last."""
        if self.diverging:
            side = 2 * fraction - 1
            return math.copysign(self._distance(abs(side), self.hi), side)
        away = self._distance(1 - fraction, self.hi - self.lo)
        return self.lo + away if self.low_is_bright else self.hi - away

    def _distance(self, share: float, farthest: float) -> float:
        """Return the distance at a share of the steps up to `farthest`."""
        return math.expm1(share * math.log1p(farthest)) if self.log else share * farthest


def around_zero(arrays: Sequence[FloatArray], *, log: bool = False) -> Scale:
    """Return a diverging scale for numbers of either sign: symmetrical, with ends as from `robust_top`.

    Args:
        arrays: the numbers, column 0 first, NaN where there is none.
        log: whether steps are even in `log(1 + distance from 0)`.
    """
    return Scale.around_zero(robust_top([np.abs(array) for array in arrays]), log=log)


def robust_top(arrays: Sequence[FloatArray]) -> float:
    """Return a round number that 95 % of the numbers do not exceed.

    Column 0, often an attention sink, is ignored unless it is the only one with numbers.

    Args:
        arrays: the numbers, `[rows, cols]`, column 0 first, NaN where there is none.
    """
    for first in (1, 0):
        numbers = np.concatenate([a[:, first:].ravel() for a in arrays]) if arrays else np.empty(0)
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            return round_top(max(float(np.percentile(numbers, 95)), 0.01))
    return 1.0


def round_top(top: float) -> float:
    """Return a round number that is no smaller than `top`, for the end of a scale."""
    unit = 10.0 ** math.floor(math.log10(top))
    return next(unit * step for step in _ROUND_TOPS if unit * step >= top * (1 - 1e-6))
