"""Text from outside (paths, names, error messages) that is safe on a terminal."""

from __future__ import annotations


def printable(text: str, *, kept: str = "") -> str:
    """`text` with every control, line-breaking, zero-width and bidi character as its escape.

    Unlike a token's display text it keeps its spaces.

    Args:
        text: any.
        kept: characters that stay as they are.
    """
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
