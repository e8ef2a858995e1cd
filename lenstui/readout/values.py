"""What the colour of a cell may show, and the scale that turns its numbers into steps of the palette."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenstui.readout.cells import Cells, FloatArray, IntArray, agreement
from lenstui.support.fixed_text import NONE, fixed_text

LevelArray = npt.NDArray[np.uint8]

STEPS = 12  # from dark to bright: levels 0 to 11
ARM = 5  # steps on either side of 0, where a scale diverges
NEUTRAL = STEPS + ARM  # the level of 0 there; below and above it are the arms, levels 12 to 22
LEVELS = NEUTRAL + ARM + 1
NO_LEVEL = 255  # the level of a cell that has no number

_ROUND_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Which numbers the steps of a palette stand for. Both panes share one.

    Attributes:
        lo: smallest number told apart.
        hi: largest number told apart.
        log: steps are even in `log(1 + distance)`, from the bright end or, where it diverges, from 0.
        low_is_bright: small numbers are the good ones and take the bright end.
        diverging: the neutral step is exactly at 0, those of negative and of positive numbers have a hue of
            their own; `lo` is `-hi`.
        two: there are no numbers but `lo` and `hi`, and so no steps but the end ones.
    """

    lo: float
    hi: float
    log: bool = False
    low_is_bright: bool = False
    diverging: bool = False
    two: bool = False

    @classmethod
    def around_zero(cls, top: float, *, log: bool = False) -> Scale:
        """One that diverges, and tells numbers apart up to `top` on either side."""
        return cls(-top, top, log, diverging=True)

    @property
    def steps(self) -> Sequence[int]:
        """The levels that it uses, from the end that `at(0)` is the number of."""
        if self.two:
            return (0, STEPS - 1)
        return range(STEPS, LEVELS) if self.diverging else range(STEPS)

    def levels(self, values: FloatArray) -> LevelArray:
        """Steps of the palette; `NO_LEVEL` where the value is NaN.

        They are 0 (dark) to 11 (bright), or where the scale diverges 12 (`lo`) to 22 (`hi`) with 0 at 17. The
        two end steps are half as wide as the others, so that rank 0 has one of its own.
        """
        if self.diverging:
            sizes = self._shares(np.clip(np.abs(values), 0, self.hi), self.hi)
            levels = NEUTRAL + np.sign(values) * np.rint(ARM * sizes)
        else:
            away = values - np.float32(self.lo) if self.low_is_bright else np.float32(self.hi) - values
            span = self.hi - self.lo
            levels = np.rint((STEPS - 1) * (1 - self._shares(np.clip(away, 0, span), span)))
        return np.where(np.isnan(levels), NO_LEVEL, levels).astype(np.uint8)

    def _shares(self, distances: FloatArray, farthest: float) -> FloatArray:
        """How far along the steps distances are, 0 to 1."""
        if self.log:
            distances, farthest = np.log1p(distances), math.log1p(farthest)
        return distances * np.float32(1 / farthest if farthest else 0)

    def at(self, fraction: float) -> float:
        """The number at a point of the palette, 0 its first step (the dark end, or `lo`) and 1 its last."""
        if self.diverging:
            side = 2 * fraction - 1
            return math.copysign(self._distance(abs(side), self.hi), side)
        away = self._distance(1 - fraction, self.hi - self.lo)
        return self.lo + away if self.low_is_bright else self.hi - away

    def _distance(self, share: float, farthest: float) -> float:
        """The other way round."""
        return math.expm1(share * math.log1p(farthest)) if self.log else share * farthest


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
        pins: how many pinned tokens there must be for it.
    """

    key: str
    label: str
    unit: str
    of: Callable[[Cells], FloatArray]
    scale: Callable[[Sequence[FloatArray], int], Scale]
    format: Callable[[float], str]
    pins: int = 0


def probability_text(number: float) -> str:
    """A probability in at most five characters: `31%`, `0.4%`, `<0.1%`; `–` where there is none."""
    if math.isnan(number):
        return NONE
    percent = 100 * number
    if 0 < percent < 0.05:
        return "<0.1%"
    return f"{percent:.1f}%" if 0 < percent < 0.95 else f"{percent:.0f}%"


def nats_text(number: float) -> str:
    """Nats with two or three significant digits: `10.8`, `2.21`, `0.04`, `-0.10`; `-0.00` is just below 0.

    `-∞` is the log-probability of a token that the head forbids, `–` a number that there is not.
    """
    if not math.isfinite(number):
        return fixed_text(number, 0)
    if 0 < number < 0.005:
        return "<0.01"
    size = abs(number)
    return f"{number:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}" if size else "0"


def rank_text(number: float) -> str:
    """A rank in at most four characters: `0`, `12`, `3.4k`, `34k`; `–` for NaN or a negative number: none."""
    if math.isnan(number) or number < 0:
        return NONE
    for limit, divisor, suffix in ((999.5, 1, ""), (999.5e3, 1e3, "k"), (math.inf, 1e6, "M")):
        if number < limit:
            digits = 1 if suffix and number / divisor < 9.95 else 0
            return f"{number / divisor:.{digits}f}{suffix}"
    return "∞"


def agreement_text(number: float) -> str:
    """Whether, in a word."""
    return NONE if math.isnan(number) else "yes" if number else "no"


def _ranks(ranks: IntArray) -> FloatArray:
    return np.where(ranks < 0, np.nan, ranks).astype(np.float32)


def _of_pin(numbers: FloatArray, place: int) -> FloatArray:
    """Those of one pin, NaN where there is no such pin."""
    if place < numbers.shape[2]:
        return numbers[..., place]
    return np.full(numbers.shape[:2], np.nan, np.float32)


def _rank_scale(arrays: Sequence[FloatArray], vocabulary: int) -> Scale:
    return Scale(0, vocabulary, log=True, low_is_bright=True)


def _logprob_scale(arrays: Sequence[FloatArray], vocabulary: int) -> Scale:
    """Down to where most numbers are, and at the least to that of a mere guess. -0.1, -1 and -10 differ."""
    lowest = _robust_top([-array for array in arrays])
    return Scale(-max(lowest, round_top(math.log(max(vocabulary, 2)))), 0, log=True)


def around_zero(arrays: Sequence[FloatArray], *, log: bool = False) -> Scale:
    """A scale that diverges, for numbers of either sign: symmetrical, and robust as `_robust_top` is.

    Args:
        arrays: the numbers, column 0 first, NaN where there is none.
        log: have steps even in `log(1 + distance from 0)`.
    """
    return Scale.around_zero(_robust_top([np.abs(array) for array in arrays]), log=log)


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
    scale=_rank_scale,
    format=rank_text,
)
AGREEMENT = Value(
    key="agree",
    label="top-1 is the final one",
    unit="",
    of=lambda cells: agreement(cells.top_ids[..., 0]),
    scale=lambda arrays, vocabulary: Scale(0, 1, two=True),
    format=agreement_text,
)
NEXT_LOGPROB = Value(
    key="next-logprob",
    label="log p(next token)",
    unit="nats",
    of=lambda cells: cells.next_logprob,
    scale=_logprob_scale,
    format=nats_text,
)
NEXT_RANK = Value(
    key="next-rank",
    label="rank of next token",
    unit="",
    of=lambda cells: _ranks(cells.next_rank),
    scale=_rank_scale,
    format=rank_text,
)
PIN_LOGPROB = Value(
    key="pin-logprob",
    label="log p(pin 1)",
    unit="nats",
    of=lambda cells: _of_pin(cells.pin_logprobs, 0),
    scale=_logprob_scale,
    format=nats_text,
    pins=1,
)
PIN_RANK = Value(
    key="pin-rank",
    label="rank of pin 1",
    unit="",
    of=lambda cells: _of_pin(_ranks(cells.pin_ranks), 0),
    scale=_rank_scale,
    format=rank_text,
    pins=1,
)
PIN_DIFFERENCE = Value(
    key="pin-diff",
    label="logit of pin 1 − pin 2",
    unit="",
    of=lambda cells: _of_pin(cells.pin_logits, 0) - _of_pin(cells.pin_logits, 1),
    scale=lambda arrays, vocabulary: around_zero(arrays),
    format=nats_text,
    pins=2,
)

VALUES = (
    PROBABILITY,
    ENTROPY,
    KL,
    RANK,
    AGREEMENT,
    NEXT_LOGPROB,
    NEXT_RANK,
    PIN_LOGPROB,
    PIN_RANK,
    PIN_DIFFERENCE,
)  # those that need pins last, those that need more of them behind


def values_for(pins: Sequence[str]) -> tuple[Value, ...]:
    """The values that there are with these pins, the same in front as in `VALUES`.

    Args:
        pins: display texts of the pinned tokens, which labels then name.
    """
    first, second = (*pins, "", "")[:2]
    labels = {
        PIN_LOGPROB.key: f"log p({first})",
        PIN_RANK.key: f"rank of {first}",
        PIN_DIFFERENCE.key: f"logit of {first} − {second}",
    }
    return tuple(
        replace(value, label=labels.get(value.key, value.label)) if value.pins else value
        for value in VALUES
        if value.pins <= len(pins)
    )
