"""The colours of the heat map, at every depth of colour that a terminal may have, and without any."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import Any

from rich.style import Style
from textual.app import App

from lenstui.export.colours import (
    COLOURS,
    DIVERGING_COLOURS,
    LIGHT_COLOURS,
    LIGHT_DIVERGING_COLOURS,
    bar_colour,
    readable,
)
from lenstui.readout.scales import ARM, LEVELS, NO_LEVEL, STEPS


class Mode(Enum):
    """How much colour the terminal shows, and whether its background is light."""

    TRUE = auto()
    INDEXED = auto()  # 256 colours
    LIGHT_TRUE = auto()
    LIGHT_INDEXED = auto()
    PLAIN = auto()  # too few to tell the steps apart, or none: each cell carries a glyph instead


# Colours of the 256, the nearest ones whose lightness still rises with every step.
_INDEXED = (
    "#121212", "#262626", "#3a3a3a", "#4e4e4e", "#005f87", "#008787",
    "#00af87", "#87af5f", "#87d75f", "#d7d75f", "#d7ff5f", "#ffff5f",
)  # fmt: skip
_LIGHT_INDEXED = (
    "#ffffff", "#d7ffd7", "#afd7af", "#00d7d7", "#87afd7", "#00afd7",
    "#0087af", "#5f5faf", "#005faf", "#5f0087", "#000087", "#00005f",
)  # fmt: skip
_INDEXED_DIVERGING = (
    "#87d7ff", "#5fafff", "#0087d7", "#005faf", "#000087",
    "#1c1c1c",
    "#5f0000", "#875f00", "#d75f00", "#ff8700", "#ffd787",
)  # fmt: skip
_LIGHT_INDEXED_DIVERGING = (
    "#000087", "#005faf", "#0087d7", "#5fafff", "#afd7ff",
    "#ffffff",
    "#ffd7af", "#ffaf5f", "#d75f00", "#875f00", "#5f0000",
)  # fmt: skip

_GLYPHS = " ▁▂▃▄▅▆▇█"
_DIVERGING_GLYPHS = "⇊⇓↓↘ ↗↑⇑⇈"  # below 0, about 0, above it


def mode(color_system: str | None, no_color: bool, *, light: bool = False, ansi: bool = False) -> Mode:
    """Return the mode for what Rich's console says about the terminal, and for the theme.

    Sixteen colours are too few to tell the steps apart, so a theme that keeps to sixteen gets glyphs.
    """
    if no_color or ansi:
        return Mode.PLAIN
    modes = {
        "truecolor": Mode.LIGHT_TRUE if light else Mode.TRUE,
        "256": Mode.LIGHT_INDEXED if light else Mode.INDEXED,
    }
    return modes.get(color_system or "", Mode.PLAIN)


def mode_of(app: App[Any]) -> Mode:
    """Return the mode in which the program is shown now."""
    light, ansi = not app.current_theme.dark, app.native_ansi_color
    return mode(app.console.color_system, app.no_color, light=light, ansi=ansi)


def colours(mode: Mode) -> tuple[str, ...]:
    """Return the backgrounds from dark to bright (or on a light background the other way round), as hex.

    Empty where glyphs take their place.
    """
    return {
        Mode.TRUE: COLOURS,
        Mode.INDEXED: _INDEXED,
        Mode.LIGHT_TRUE: LIGHT_COLOURS,
        Mode.LIGHT_INDEXED: _LIGHT_INDEXED,
        Mode.PLAIN: (),
    }[mode]


def diverging_colours(mode: Mode) -> tuple[str, ...]:
    """Return the backgrounds from below 0 to above it, as hex; the one in the middle recedes.

    Empty where glyphs take their place.
    """
    return {
        Mode.TRUE: DIVERGING_COLOURS,
        Mode.INDEXED: _INDEXED_DIVERGING,
        Mode.LIGHT_TRUE: LIGHT_DIVERGING_COLOURS,
        Mode.LIGHT_INDEXED: _LIGHT_INDEXED_DIVERGING,
        Mode.PLAIN: (),
    }[mode]


def glyph(level: int) -> str:
    """Return a level as one character.

    From dark to bright that is nothing at first and a full block at last; where the scale diverges, an arrow
    down or up, and nothing about 0. The level of a cell without a number is a space.
    """
    if level == NO_LEVEL:
        return " "
    if level < STEPS:
        return _GLYPHS[round(level * (len(_GLYPHS) - 1) / (STEPS - 1))]
    return _DIVERGING_GLYPHS[round((level - STEPS) * (len(_DIVERGING_GLYPHS) - 1) / (2 * ARM))]


@cache
def styles(mode: Mode) -> tuple[Style, ...]:
    """Return the style of each level; empty styles where glyphs take the place of colour."""
    if mode is Mode.PLAIN:
        return (Style(),) * LEVELS
    backgrounds = colours(mode) + diverging_colours(mode)
    return tuple(Style(color=readable(colour), bgcolor=colour) for colour in backgrounds)


@cache
def bar(style: Style, mode: Mode) -> Style:
    """Return the style of a bar on a cell that has a style itself."""
    if mode is Mode.PLAIN:
        return style + Style(color="magenta")
    ground = style.bgcolor.triplet if style.bgcolor else None
    return style + Style(color=bar_colour("#000000" if ground is None else ground.hex))
