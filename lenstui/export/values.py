"""What the colour of a cell may show, and the scale that turns its numbers into steps of the palette."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenstui.lens.cells import Cells, FloatArray

LevelArray = npt.NDArray[np.uint8]

STEPS = 12
NO_LEVEL = 255  # the level of a cell that has no number

_ROUND_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Which numbers the steps of the palette stand for. Both panes share one.

    Attributes:
        lo: smallest number told apart.
        hi: largest number told apart.
        log: steps are even in `log(1 + number - lo)`.
        low_is_bright: small numbers are the good ones and take the bright end.
    """

    lo: float
    hi: float
    log: bool = False
    low_is_bright: bool = False

    def levels(self, values: FloatArray) -> LevelArray:
        """Steps of the palette, 0 (dark) to 11 (bright); `NO_LEVEL` where the value is NaN.

        The two end steps are half as wide as the others, so that rank 0 has one of its own.
        """
        span = self.hi - self.lo
        above = np.clip(values - np.float32(self.lo), 0, span)
        if self.log:
            above, span = np.log1p(above), math.log1p(span)
        levels = above * np.float32((STEPS - 1) / span if span else 0)
        if self.low_is_bright:
            levels = STEPS - 1 - levels
        return np.where(np.isnan(levels), NO_LEVEL, np.rint(levels)).astype(np.uint8)

    def at(self, fraction: float) -> float:
        """The number at a point of the palette, 0 its dark end and 1 its bright end."""
        fraction = 1 - fraction if self.low_is_bright else fraction
        span = self.hi - self.lo
        return self.lo + (math.expm1(fraction * math.log1p(span)) if self.log else fraction * span)


@dataclass(frozen=True, slots=True)
class Value:
    """One of the numbers that the colour of a cell may show.

    Attributes:
        key: short name, as the command line spells it.
        label: name on screen.
        unit: unit on screen, or empty.
        of: the numbers, `[rows, cols]`, NaN where there is none.
        scale: the scale for arrays of these numbers (of whole prompts, column 0 first, NaN where not yet
            read) and a vocabulary size.
        format: one number as text.
    """

    key: str
    label: str
    unit: str
    of: Callable[[Cells], FloatArray]
    scale: Callable[[Sequence[FloatArray], int], Scale]
    format: Callable[[float], str]


def probability_text(number: float) -> str:
    """A probability in at most five characters: `31%`, `0.4%`, `<0.1%`."""
    if math.isnan(number):
        return "–"
    percent = 100 * number
    if 0 < percent < 0.05:
        return "<0.1%"
    return f"{percent:.1f}%" if 0 < percent < 0.95 else f"{percent:.0f}%"


def nats_text(number: float) -> str:
    """Nats with two or three significant digits: `10.8`, `2.21`, `0.04`."""
    if math.isnan(number):
        return "–"
    if 0 < abs(number) < 0.005:
        return "<0.01"
    size = abs(number)
    return f"{number:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}" if size else "0"


def rank_text(number: float) -> str:
    """A rank in at most four characters: `0`, `12`, `3.4k`, `34k`."""
    if math.isnan(number):
        return "–"
    for limit, divisor, suffix in ((999.5, 1, ""), (999.5e3, 1e3, "k"), (math.inf, 1e6, "M")):
        if number < limit:
            digits = 1 if suffix and number / divisor < 9.95 else 0
            return f"{number / divisor:.{digits}f}{suffix}"
    return "∞"


def _ranks(ranks: npt.NDArray[np.int32]) -> FloatArray:
    return np.where(ranks < 0, np.nan, ranks).astype(np.float32)


def _robust_top(arrays: Sequence[FloatArray]) -> float:
    """95th percentile, rounded up, without column 0, often an attention sink, if there is anything else."""
    for first in (1, 0):
        numbers = np.concatenate([a[:, first:].ravel() for a in arrays]) if arrays else np.empty(0)
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            return round_top(max(float(np.percentile(numbers, 95)), 0.01))
    return 1.0


def round_top(top: float) -> float:
    """A round number that is no smaller, for the end of a scale."""
    unit = 10.0 ** math.floor(math.log10(top))
    return next(unit * step for step in _ROUND_TOPS if unit * step >= top * (1 - 1e-6))


PROBABILITY = Value(
    key="prob",
    label="probability",
    unit="",
    of=lambda cells: cells.top_probs[..., 0],
    scale=lambda arrays, vocabulary: Scale(0, 1),
    format=probability_text,
)
ENTROPY = Value(
    key="entropy",
    label="entropy",
    unit="nats",
    of=lambda cells: cells.entropy,
    scale=lambda arrays, vocabulary: Scale(0, math.log(max(vocabulary, 1)), low_is_bright=True),
    format=nats_text,
)
KL = Value(
    key="kl",
    label="KL from final",
    unit="nats",
    of=lambda cells: cells.kl,
    scale=lambda arrays, vocabulary: Scale(0, _robust_top(arrays), low_is_bright=True),
    format=nats_text,
)
RANK = Value(
    key="rank",
    label="rank of final top-1",
    unit="",
    of=lambda cells: _ranks(cells.final_rank),
    scale=lambda arrays, vocabulary: Scale(0, vocabulary, log=True, low_is_bright=True),
    format=rank_text,
)

VALUES = (PROBABILITY, ENTROPY, KL, RANK)
