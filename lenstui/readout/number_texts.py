"""Numbers as short texts, one function for each kind of number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lenstui.support.fixed_text import MINUS, NONE, fixed_text


def probability_text(number: float) -> str:
    """Return a probability in at most five characters: `31%`, `0.4%`, `<0.1%`; `–` for NaN."""
    if math.isnan(number):
        return NONE
    percent = 100 * number
    if 0 < percent < 0.05:
        return "<0.1%"
    return f"{percent:.1f}%" if 0 < percent < 0.95 else f"{percent:.0f}%"


def points_text(number: float) -> str:
    """Return the size of a difference of probabilities in percentage points: `31`, `0.4`, `<0.1`, `0`."""
    return probability_text(number).removesuffix("%")


def signed_text(number: float, size_text: Callable[[float], str]) -> str:
    """Return a difference with its sign: `+31`, `−0.42`, `+3.4k`, `0`; `–` for NaN.

    Args:
        number: the difference.
        size_text: returns its size as text.
    """
    if math.isnan(number):
        return NONE
    text = size_text(abs(number))
    if text.startswith("<"):  # so small that only the sign is shown
        text = "0." + "0" * len(text.partition(".")[2])
    return f"{'+' if number > 0 else MINUS if number < 0 else ''}{text}"


def nats_text(number: float) -> str:
    """Return nats with two or three significant digits: `10.8`, `2.21`, `0.04`, `−0.10`.

    `−∞` is the log-probability of a token that the head forbids, `–` NaN.
    """
    if not math.isfinite(number) or not number:
        return fixed_text(number, 0)
    if 0 < number < 0.005:
        return "<0.01"
    size = abs(number)
    return fixed_text(number, 2 if size < 9.995 else 1 if size < 99.95 else 0)


def signed_nats_text(number: float) -> str:
    """Return a difference in nats, or of logits, with its sign: `+2.21`, `−0.10`, `0`; `–` for NaN."""
    return signed_text(number, nats_text)


def rank_text(number: float) -> str:
    """Return a rank in at most four characters: `0`, `12`, `3.4k`, `34k`; `–` for NaN or a negative one."""
    if math.isnan(number) or number < 0:
        return NONE
    for limit, divisor, suffix in ((999.5, 1, ""), (999.5e3, 1e3, "k"), (math.inf, 1e6, "M")):
        if number < limit:
            digits = 1 if suffix and number / divisor < 9.95 else 0
            return f"{number / divisor:.{digits}f}{suffix}"
    return "∞"


def agreement_text(number: float) -> str:
    """Return `yes` for 1, `no` for 0, `–` for NaN."""
    return NONE if math.isnan(number) else "yes" if number else "no"


def logprob_text(number: float) -> str:
    """Return a log-probability with two decimals: `−10.84`."""
    return fixed_text(number, 2)


def score_text(number: float) -> str:
    """Return an outlier score in at most five characters: `0.512`, `1.25`, `34.1`, `3.4k`; `–` for NaN."""
    for limit, digits in ((0.9995, 3), (9.995, 2), (99.95, 1)):
        if number < limit:
            return fixed_text(number, digits)
    return f"{number:.0e}" if number >= 999.5e6 else rank_text(number)


def percent_error_text(error: float) -> str:
    """Return the standard error of a mean probability, in percent without the sign: `1.3`, `<0.1`, `0`."""
    return f"{100 * error:.1f}" if error >= 0.0005 else "<0.1" if error else "0"


def nats_error_text(error: float) -> str:
    """Return the standard error of a mean in nats: `0.12`, `<0.01`, `0`."""
    return f"{error:.2f}" if error >= 0.005 else "<0.01" if error else "0"


def mean_nats_text(numbers: Sequence[float] | None) -> str:
    """Return the mean of numbers in nats as text; a dash where there are none."""
    return nats_text(sum(numbers) / len(numbers)) if numbers else NONE


def size_text(size: float) -> str:
    """Return a number of bytes as text, in at most seven characters."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
