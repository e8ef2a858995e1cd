"""The colours of the heat map, at every depth of colour that a terminal may have, and without any."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache

from rich.style import Style

from lenstui.export.colours import COLOURS, readable
from lenstui.export.values import NO_LEVEL, STEPS


class Mode(Enum):
    """How much colour the terminal shows."""

    TRUE = auto()
    INDEXED = auto()  # 256 colours
    PLAIN = auto()  # too few to tell the steps apart, or none: each cell carries a glyph instead


# Colours of the 256, the nearest ones whose lightness still rises with every step.
_INDEXED = (
    "#121212", "#262626", "#3a3a3a", "#4e4e4e", "#005f87", "#008787",
    "#00af87", "#87af5f", "#87d75f", "#d7d75f", "#d7ff5f", "#ffff5f",
)  # fmt: skip

_GLYPHS = " ▁▂▃▄▅▆▇█"


def mode(color_system: str | None, no_color: bool) -> Mode:
    """The mode for what Rich's console says about the terminal."""
    if no_color:
        return Mode.PLAIN
    return {"truecolor": Mode.TRUE, "256": Mode.INDEXED}.get(color_system or "", Mode.PLAIN)


def colours(mode: Mode) -> tuple[str, ...]:
    """The backgrounds, dark to bright, as hex; none where glyphs take their place."""
    return {Mode.TRUE: COLOURS, Mode.INDEXED: _INDEXED, Mode.PLAIN: ()}[mode]


def glyph(level: int) -> str:
    """A level as one character: nothing for the darkest step and for none, a full block for the brightest."""
    return " " if level == NO_LEVEL else _GLYPHS[round(level * (len(_GLYPHS) - 1) / (STEPS - 1))]


@cache
def styles(mode: Mode) -> tuple[Style, ...]:
    """The style of each step; empty styles where glyphs take the place of colour."""
    if mode is Mode.PLAIN:
        return (Style(),) * STEPS
    return tuple(Style(color=readable(colour), bgcolor=colour) for colour in colours(mode))
