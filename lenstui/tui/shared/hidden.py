"""Characters that a terminal must never be sent raw, and the stand-ins under which a text box shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from lenstui.support.printable import is_hidden

_CONTROL_PICTURES = 0x2400  # ␀ stands for U+0000, ␁ for U+0001, …
_OTHERS = range(0x28FF, 0x2800, -1)  # Braille: visible, one cell wide, and rarely typed


def shield(text: str) -> tuple[str, Mapping[str, str]]:
    """Return `text` with each control, bidi, zero-width and other hidden character replaced by a visible one.

    Newlines stay. Each kind of hidden character gets a stand-in that `text` itself does not use, so that
    `unshield` brings the very same text back.

    Returns:
        The text to show, and the hidden character behind each stand-in.
    """
    taken = set(text)
    free = (chr(code) for code in _OTHERS if chr(code) not in taken)
    stand_ins: dict[str, str | int | None] = {}
    for character in dict.fromkeys(text):
        if _is_hidden(character):
            picture = chr(_CONTROL_PICTURES + ord(character)) if ord(character) < 0x20 else None
            stand_ins[character] = next(free) if picture is None or picture in taken else picture
    return text.translate(str.maketrans(stand_ins)), {str(shown): real for real, shown in stand_ins.items()}


def unshield(shown: str, stand_ins: Mapping[str, str]) -> str:
    """Return the text that `shield` was given, from the text and the stand-ins that it returned."""
    return "".join(stand_ins.get(character, character) for character in shown)


def _is_hidden(character: str) -> bool:
    """Return whether a character is hidden in a text box, which has lines, and shows all spaces as such."""
    return is_hidden(character) and character != "\n" and unicodedata.category(character) != "Zs"
