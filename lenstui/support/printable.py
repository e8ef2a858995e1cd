"""Text from outside (paths, names, error messages): whether it is text, and made safe for a terminal."""

from __future__ import annotations


def printable(text: str, *, kept: str = "") -> str:
    """Return the text with every control, line-breaking, zero-width and bidi character escaped.

    Spaces are kept, unlike in a token's display text.

    Args:
        text: any text.
        kept: characters that are never escaped.
    """
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def is_unicode(text: str) -> bool:
    """Return whether a text can be written: a lone surrogate cannot, as other bytes than UTF-8 arrive as."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
