"""Numbers as text with a fixed count of decimals, and the sign for a missing number."""

from __future__ import annotations

import math

NONE = "–"  # where there is no number, no token, no row
MINUS = "−"  # as wide as a digit and as +; files that programs read have a hyphen


def fixed_text(number: float, digits: int) -> str:
    """Return a number with `digits` decimals: `2.210`, `−0.10`; `–` for NaN, `∞` or `−∞` for an infinity.

    What rounds to zero has no sign.
    """
    if math.isfinite(number):
        return f"{number:z.{digits}f}".replace("-", MINUS)
    return NONE if math.isnan(number) else "∞" if number > 0 else f"{MINUS}∞"
