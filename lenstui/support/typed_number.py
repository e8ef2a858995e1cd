"""Numbers as they are typed: on the command line, or into a field."""

from __future__ import annotations

import math


def whole_number(text: str) -> int | None:
    """A whole number that is not negative, of at most nine digits; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def finite_number(text: str) -> float | None:
    """A finite number that is not negative; None for any other text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
