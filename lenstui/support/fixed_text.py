"""A number with a fixed count of digits behind the point, and what stands for one that there is not."""

from __future__ import annotations

import math

NONE = "–"  # where there is no number, no token, no row


def fixed_text(number: float, digits: int) -> str:
    """`2.210`, `-0.10`; `–` for NaN, `∞` and `-∞` for what has no end."""
    if math.isfinite(number):
        return f"{number:.{digits}f}"
    return NONE if math.isnan(number) else "∞" if number > 0 else "-∞"
