"""The colours of the heat map, at every depth of colour that a terminal may have, and without any."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache

from rich.color import Color
from rich.style import Style

from lenstui.ui.values import NO_LEVEL, STEPS


class Mode(Enum):
    """How much colour the terminal shows."""

    TRUE = auto()
    INDEXED = auto()  # 256 colours
    PLAIN = auto()  # too few to tell the steps apart, or none: each cell carries a glyph instead


# Lightness rises evenly (CIELAB, 8 to 93), also as deuteranopes, protanopes and tritanopes see it. The
# dark end is close to a dark panel, so that the cells of no interest recede.
_TRUE = (
    "#16171f", "#212342", "#2b3a67", "#2e557f", "#2c6d86", "#2d8286",
    "#389781", "#55aa77", "#79bb68", "#a3ca5b", "#cfd752", "#fbee6e",
)  # fmt: skip
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
    return {Mode.TRUE: _TRUE, Mode.INDEXED: _INDEXED, Mode.PLAIN: ()}[mode]


def glyph(level: int) -> str:
    """A level as one character: nothing for the darkest step and for none, a full block for the brightest."""
    return " " if level == NO_LEVEL else _GLYPHS[round(level * (len(_GLYPHS) - 1) / (STEPS - 1))]


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def readable(background: str) -> str:
    """Black or white, whichever reads better on a background."""
    return max("#000000", "#ffffff", key=lambda colour: contrast(colour, background))


@cache
def styles(mode: Mode) -> tuple[Style, ...]:
    """The style of each step; empty styles where glyphs take the place of colour."""
    if mode is Mode.PLAIN:
        return (Style(),) * STEPS
    return tuple(Style(color=readable(colour), bgcolor=colour) for colour in colours(mode))


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in Color.parse(colour).get_truecolor().normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
