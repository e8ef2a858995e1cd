"""Texts of a legend: the numbers at the ends of its colours, and the shares of yes for yes-or-no values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from lenstui.support.late_numpy import np

if TYPE_CHECKING:
    from lenstui.readout.cells import FloatArray
    from lenstui.readout.scales import Scale
    from lenstui.readout.values import Value

NOT_COUNTED = "without the last row and the first column"

_ROUNDING = 1e-5  # of a scale's span: a float32 probability may be a little above 1


def beyond(scale: Scale, numbers: Iterable[FloatArray]) -> tuple[bool, bool]:
    """Return whether there are numbers below a scale, and whether there are any above it.

    Args:
        scale: the scale.
        numbers: all numbers that are shown, NaN where there is none.
    """
    arrays, room = list(numbers), _ROUNDING * (scale.hi - scale.lo)
    below = any(bool((array < scale.lo - room).any()) for array in arrays)
    return below, any(bool((array > scale.hi + room).any()) for array in arrays)


def end_texts(
    text: Callable[[float], str], scale: Scale, is_beyond: tuple[bool, bool] = (False, False)
) -> tuple[str, str]:
    """Return the numbers of a scale's first and last step as text, `≥ 6.00` where there are numbers beyond.

    Args:
        text: returns one number as text.
        scale: the scale.
        is_beyond: from `beyond`.
    """
    below, above = is_beyond
    low, high = f"{'≤ ' * below}{text(scale.lo)}", f"{'≥ ' * above}{text(scale.hi)}"
    return (high, low) if scale.low_is_bright and not scale.diverging else (low, high)


def scale_note(scale: Scale) -> str:
    """Return what a legend says where the middle of its colours is not the middle number; else nothing."""
    return "log scale" if scale.log else ""


def shares_text(value: Value, lenses: Mapping[str, FloatArray]) -> str:
    """Return the share of yes for each lens, of a value that is yes or no; an empty text for any other.

    The last row, which is the final one itself, does not count, nor does the first column, often an attention
    sink.

    Args:
        value: the value.
        lenses: its numbers by lens, `[rows, cols]`, the first token's column first, NaN where not yet read.
    """
    if not value.is_yes_or_no:
        return ""
    counted = {name: numbers[:-1, 1:] for name, numbers in lenses.items()}
    shares = {name: of[np.isfinite(of)] for name, of in counted.items()}
    return " · ".join(f"{name} {100 * of.mean():.0f}% yes" for name, of in shares.items() if of.size)


def shares_note(value: Value, lenses: Mapping[str, FloatArray]) -> str:
    """Return the share of yes for each lens and what it leaves out, for a legend apart from the cells."""
    shares = shares_text(value, lenses)
    return f"{shares}, {NOT_COUNTED}" if shares else ""
