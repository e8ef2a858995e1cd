"""Numbers typed on the command line or into a field."""

from __future__ import annotations

import math


def whole_number(text: str) -> int | None:
    """Return the whole number in a text; None unless it is non-negative and of at most nine digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def finite_number(text: str) -> float | None:
    """Return the number in a text; None unless it is finite and non-negative."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
