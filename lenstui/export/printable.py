"""Text from outside (paths, names, error messages) that is safe on one line of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with every control, line-breaking, zero-width and bidi character as its escape.

    Unlike a token's display text it keeps its spaces.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
