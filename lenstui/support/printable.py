"""Text from outside (paths, names, error messages): whether it is text, and made safe for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

MOST_MARKS = 8  # combining marks on one letter; scripts need half as many, and more would pile up over lines
# Fillers, joiners and variation selectors that Unicode calls letters or marks, and the blank of braille.
_INVISIBLE = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0",
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def printable(text: str, *, kept: str = "") -> str:
    """Return the text with every character escaped that `is_hidden`, and marks that pile up.

    Spaces are kept, unlike in a token's display text.

    Args:
        text: any text.
        kept: characters that are never escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in kept or not (is_piled or is_hidden(character))
        else character.encode("unicode_escape").decode()
        for character, is_piled in with_marks(text)
    )


def is_hidden(character: str) -> bool:
    """Return whether a terminal would act on a character, or show nothing or a mere space for it.

    So are control, line-breaking, zero-width, bidi, surrogate, private and unassigned characters, fillers,
    variation selectors, and spaces of other kinds than the usual one.
    """
    return not character.isprintable() or character in _INVISIBLE


def with_marks(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, and whether it is a combining mark on top of `MOST_MARKS` others."""
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        yield character, marks > MOST_MARKS


def is_unicode(text: str) -> bool:
    """Return whether a text can be written: a lone surrogate cannot, as other bytes than UTF-8 arrive as."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
