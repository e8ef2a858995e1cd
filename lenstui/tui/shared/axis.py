"""The axes of plots: rows across by their labels, and numbers upwards, or ranks down from the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from textual_plot import NumericAxisFormatter

from lenstui.readout.number_texts import rank_text
from lenstui.readout.scales import round_top

_Heights = npt.NDArray[np.floating]
_EDGE = 0.01  # share of the axis beyond an end; on the very edge a line would be under the frame


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of the numbers of a plot.

    Attributes:
        low: the height at the bottom.
        high: the height at the top.
        ticks: the labelled heights, the two ends first; of ticks that share a line the first stays.
        label: returns the text of a tick.
        height: returns the heights at which numbers are drawn.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    label: Callable[[float], str]
    height: Callable[[_Heights], _Heights]

    def ticks_in(self, lines: int) -> list[float]:
        """Return the ticks that there is room for, one to a line."""
        kept: dict[int, float] = {}
        for tick in self.ticks:
            kept.setdefault(math.ceil((self.high - tick) / (self.high - self.low) * lines), tick)
        return sorted(kept.values())


def even_axis(highest: float, label: Callable[[float], str]) -> Axis:
    """Return an axis from 0 up to a round number that is no lower than `highest`, which is more than 0."""
    top = round_top(highest)
    return Axis(0.0, top, (0.0, top, top / 2), label, lambda numbers: numbers)


def even_axis_down(lowest: float, label: Callable[[float], str]) -> Axis:
    """Return an axis from 0 down to a round number no higher than `lowest`, which is less than 0."""
    depth = round_top(-lowest)
    return Axis(
        -depth * (1 + _EDGE), depth * _EDGE, (0.0, -depth, -depth / 2), label, lambda numbers: numbers
    )


def axis_around_zero(depth: float, height: float, label: Callable[[float], str]) -> Axis:
    """Return an axis from a round number below 0 to one above it.

    Args:
        depth: how far below 0 the lowest number is, at least 0.
        height: how far above 0 the highest one is, likewise.
        label: returns the text of a tick.
    """
    low, high = (round_top(end) if end > 0 else 0.0 for end in (depth, height))
    high = high if low or high else 1.0
    edge = (low + high) * _EDGE
    ticks = tuple(dict.fromkeys((high, -low, 0.0, high / 2, -low / 2)))
    return Axis(-low - edge, high + edge, ticks, label, lambda numbers: numbers)


def rank_axis(highest: float) -> Axis:
    """Return an axis of ranks down from 0, the first, even in `log(1 + rank)`.

    The ticks are 0 and the powers of ten.
    """
    powers = [10.0**power for power in range(math.ceil(math.log10(max(highest, 1))) + 1)]
    depth = math.log10(1 + powers[-1])
    ticks = tuple(-math.log10(1 + rank) for rank in (0.0, *reversed(powers)))
    return Axis(
        -depth * (1 + _EDGE),
        depth * _EDGE,
        ticks,
        lambda tick: rank_text(round(10**-tick - 1)),
        lambda ranks: -np.log10(1 + ranks),
    )


def log_axis(lowest: float, highest: float, label: Callable[[float], str]) -> Axis:
    """Return an axis from one power of ten to another, around numbers of more than 0, even in the logarithm.

    What is lower than its bottom, such as the end of an error bar, is drawn at the bottom.
    """
    low = math.floor(math.log10(lowest))
    high = max(math.ceil(math.log10(highest)), low + 1)
    ticks = (float(low), float(high), *map(float, range(high - 1, low, -1)))
    bottom = 10.0**low
    return Axis(
        float(low),
        float(high),
        ticks,
        lambda tick: label(10**tick),
        lambda numbers: np.log10(np.maximum(numbers, bottom)),
    )


def highest_of(arrays: Iterable[_Heights], least: float) -> float:
    """Return the highest finite number of some arrays, or `least` where that is higher."""
    finite = [float(np.max(array[np.isfinite(array)], initial=least)) for array in arrays]
    return max([least, *finite])


class RowLabels(NumericAxisFormatter):
    """Labels of ticks that are rows."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the label of each tick."""
        return [self._labels[int(tick)] for tick in ticks]


class Numbers(NumericAxisFormatter):
    """Labels of ticks, formatted as numbers are elsewhere on screen."""

    def __init__(self, text: Callable[[float], str]) -> None:
        self._text = text

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the label of each tick."""
        return [self._text(tick) for tick in ticks]
