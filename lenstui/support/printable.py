"""Text from outside (paths, names, error messages) made safe for a terminal."""

from __future__ import annotations


def printable(text: str, *, kept: str = "") -> str:
    """Return the text with every control, line-breaking, zero-width and bidi character escaped.

    Spaces are kept, unlike in a token's display text.

    Args:
        text: any text.
        kept: characters that are never escaped.
    """
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
