"""A screen that sends the terminal little: the cells that changed, and of their style what changes.

Textual sends a changed span from the left edge of its widget on, and the whole style of every segment with a
reset after it. For two grids of coloured cells over SSH that is several times too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from textual.screen import ScreenResultType
from textual.strip import Strip

from lenstui.tui.shared.textual_hacks import Piece, PieceScreen

# By the code of an attribute the code that ends it.
_OFF = {
    "1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29",
    "21": "24", "51": "54", "52": "54", "53": "55",
}  # fmt: skip


class LeanScreen(PieceScreen[ScreenResultType]):
    """A screen that sends the terminal no more than what changed."""

    def written(self, pieces: Iterable[Piece], console: Console) -> str:
        """Return the escape sequences and the text that show pieces of lines, no longer than need be."""
        return _written(pieces, console)


def _written(pieces: Iterable[Piece], console: Console) -> str:
    """Return the escape sequences and the text that show pieces of lines."""
    system = COLOR_SYSTEMS.get(console.color_system or "", ColorSystem.TRUECOLOR)
    sequences: list[str] = []
    position: tuple[int, int] | None = None
    current: Style | None = None
    for x, y, strip in pieces:
        if position != (x, y):
            sequences.append(f"\x1b[{y + 1};{x + 1}H")
        position = (x + strip.cell_length, y)
        for text, style, _ in strip:
            if style is not current:
                sequences.append(_change(current, style, system))
                current = style
            sequences.append(text)
    sequences.append(_change(current, None, system))
    return "".join(sequences)


@lru_cache(maxsize=1 << 11)
def _change(old: Style | None, new: Style | None, system: ColorSystem) -> str:
    """Return the escape sequences that change one style to another."""
    before, after = _codes(old, system), _codes(new, system)
    links = (old.link if old else None, new.link if new else None)
    link = "" if links[0] == links[1] else f"\x1b]8;;{links[1] or ''}\x1b\\"
    if before == after:
        return link
    if not any(after):
        return f"{link}\x1b[0m"
    changed = [*_attributes(before[0], after[0])]
    changed += [
        new or none for was, new, none in zip(before[1:], after[1:], ("39", "49"), strict=True) if was != new
    ]
    anew = ["0", *filter(None, after)]
    return f"{link}\x1b[{min(';'.join(changed), ';'.join(anew), key=len)}m"


def _attributes(before: str, after: str) -> Iterator[str]:
    """Yield the codes that change one set of attributes to another, both as `1;3`."""
    was, now = (set(filter(None, codes.split(";"))) for codes in (before, after))
    ended = {_OFF[code] for code in was - now}
    yield from sorted(ended)
    # What ends bold ends dim too.
    yield from sorted(code for code in now if code not in was or _OFF[code] in ended)


def _codes(style: Style | None, system: ColorSystem) -> tuple[str, str, str]:
    """Return the codes of a style's attributes, colour and background, each empty where there is none."""
    if style is None:
        return "", "", ""
    colour, background = (
        ";".join(part.downgrade(system).get_ansi_codes(foreground)) if part else ""
        for part, foreground in ((style.color, True), (style.bgcolor, False))
    )
    return Strip.render_ansi(style.without_color, system), colour, background
