"""Characters that a terminal must never be sent raw, and the stand-ins under which a text box shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import chain

from rich.cells import cell_len

from lenstui.support.printable import is_hidden, with_marks

_CONTROL_PICTURES = 0x2400  # ␀ stands for U+0000, ␁ for U+0001, …
_BRAILLE = range(0x28FF, 0x2800, -1)  # visible, one cell wide, and rarely typed
_MANY = range(0x1400, 0x20000)  # where some ten thousand others are, for a text of more kinds than that
_NONE_LEFT = "\ufffd"


def shield(text: str, known: Mapping[str, str] | None = None) -> tuple[str, Mapping[str, str]]:
    """Return `text` with each hidden character, and marks that pile up, replaced by a visible one.

    Hidden are control, bidi, zero-width and other such characters; newlines stay. Each kind gets a stand-in
    that `text` itself does not use, so that `unshield` brings the very same text back. Beyond some ten
    thousand kinds there is none, and U+FFFD takes their place for good.

    Args:
        text: any text.
        known: stand-ins that other texts of the same box have been given, which stay what they are.

    Returns:
        The text to show, and the hidden character behind each stand-in, the known ones among them.
    """
    known = known or {}
    kinds = dict.fromkeys(text)
    shown_as = {real: shown for shown, real in known.items()}
    free = _stand_ins({*kinds, *known})

    def stand_in(kind: str) -> str:
        if kind not in shown_as:
            picture = chr(_CONTROL_PICTURES + ord(kind)) if ord(kind) < 0x20 else ""
            is_free = picture and picture not in kinds and picture not in known
            shown_as[kind] = picture if is_free else next(free, _NONE_LEFT)
        return shown_as[kind]

    # What stands for another character cannot stand for itself.
    table: dict[str, str | int | None] = {
        kind: stand_in(kind) for kind in kinds if _is_hidden(kind) or kind in known
    }
    shown = text.translate(str.maketrans(table))
    if any(unicodedata.category(kind) in {"Mn", "Me"} for kind in kinds):
        places = zip(with_marks(text), shown, strict=True)
        shown = "".join(stand_in(mark) if is_piled else character for (mark, is_piled), character in places)
    return shown, {shown: real for real, shown in shown_as.items() if shown != _NONE_LEFT}


def unshield(shown: str, stand_ins: Mapping[str, str]) -> str:
    """Return the text that `shield` was given, from the text and the stand-ins that it returned."""
    table: dict[str, str | int | None] = {**stand_ins}
    return shown.translate(str.maketrans(table))


def _stand_ins(taken: set[str]) -> Iterator[str]:
    """Yield visible characters that are not taken, a cell wide each."""
    for code in chain(_BRAILLE, _MANY):
        character = chr(code)
        if character in taken or (code in _MANY and not _is_plain(character)):
            continue
        taken.add(character)
        yield character


def _is_plain(character: str) -> bool:
    """Return whether a character is seen, by itself, in one cell."""
    return (
        unicodedata.category(character) in {"Lo", "So"}
        and not is_hidden(character)
        and cell_len(character) == 1
    )


def _is_hidden(character: str) -> bool:
    """Return whether a character is hidden in a text box, which has lines, and shows all spaces as such."""
    return is_hidden(character) and character != "\n" and unicodedata.category(character) != "Zs"
