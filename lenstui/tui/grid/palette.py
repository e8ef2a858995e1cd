"""The colours of the heat map, at every depth of colour that a terminal may have, and without any."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from functools import cache
from typing import Any

from rich.color import Color, blend_rgb
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


# Numbers in the palette of 256 colours, which has nine steps that are as even as those of the true colours,
# but not twelve. Its first sixteen entries are the user's own, so none of them is here.
_INDEXED = (233, 238, 60, 97, 169, 211, 217, 223, 229)
_LIGHT_INDEXED = (231, 224, 217, 210, 204, 161, 125, 89, 53)
# Blue below 0, orange above. No dark blue is near a dark grey: the middle is lighter than in true colour.
_INDEXED_DIVERGING = (123, 81, 39, 68, 60, 238, 95, 131, 173, 215, 221)
_LIGHT_INDEXED_DIVERGING = (19, 27, 33, 75, 153, 231, 223, 215, 166, 124, 52)
_FEW_STEPS = len(_INDEXED)

_KEPT, _KEPT_OF_TEXT = 0.3, 0.55  # of the colours of a cell that is dim

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


def colours(mode: Mode) -> tuple[Color, ...]:
    """Return the backgrounds from dark to bright, or on a light background the other way round.

    Empty where glyphs take their place.
    """
    return {
        Mode.TRUE: _true(COLOURS),
        Mode.INDEXED: _indexed(_INDEXED),
        Mode.LIGHT_TRUE: _true(LIGHT_COLOURS),
        Mode.LIGHT_INDEXED: _indexed(_LIGHT_INDEXED),
        Mode.PLAIN: (),
    }[mode]


def diverging_colours(mode: Mode) -> tuple[Color, ...]:
    """Return the backgrounds from below 0 to above it; the one in the middle recedes.

    Empty where glyphs take their place.
    """
    return {
        Mode.TRUE: _true(DIVERGING_COLOURS),
        Mode.INDEXED: _indexed(_INDEXED_DIVERGING),
        Mode.LIGHT_TRUE: _true(LIGHT_DIVERGING_COLOURS),
        Mode.LIGHT_INDEXED: _indexed(_LIGHT_INDEXED_DIVERGING),
        Mode.PLAIN: (),
    }[mode]


def _true(colours: tuple[str, ...]) -> tuple[Color, ...]:
    return tuple(map(Color.parse, colours))


def _indexed(numbers: tuple[int, ...]) -> tuple[Color, ...]:
    """Return colours that are sent as these numbers: from RGB values alone, Rich takes a grey beside some."""
    entries = map(Color.from_ansi, numbers)
    return tuple(entry._replace(triplet=entry.get_truecolor()) for entry in entries)


def steps(app: App[Any]) -> int:
    """Return how many steps from dark to bright the terminal shows evenly apart.

    They do not depend on the theme, so that cells keep their levels when another one is chosen.
    """
    many = app.console.color_system == "truecolor" and not app.no_color
    return STEPS if many else _FEW_STEPS


def glyph(level: int, steps: int) -> str:
    """Return a level as one character, where there are so many `steps` from dark to bright.

    From dark to bright that is nothing at first and a full block at last; where the scale diverges, an arrow
    down or up, and nothing about 0. The level of a cell without a number is a space.
    """
    if level == NO_LEVEL:
        return " "
    if level < STEPS:
        return _GLYPHS[round(level * (len(_GLYPHS) - 1) / (steps - 1))]
    return _DIVERGING_GLYPHS[round((level - STEPS) * (len(_DIVERGING_GLYPHS) - 1) / (2 * ARM))]


@cache
def styles(mode: Mode) -> Mapping[int, Style]:
    """Return the style of each level; empty styles where glyphs take the place of colour."""
    if mode is Mode.PLAIN:
        return dict.fromkeys(range(LEVELS), Style())
    grounds = {**dict(enumerate(colours(mode))), **dict(enumerate(diverging_colours(mode), STEPS))}
    return {
        level: Style(color=readable(colour.get_truecolor().hex), bgcolor=colour)
        for level, colour in grounds.items()
    }


def dimmed(style: Style, ground: Style) -> Style:
    """Return a style that recedes into the ground of a grid, though its text can still be read.

    Its background keeps a part of its colour, and its text most of its contrast. Where there are too few
    colours, the terminal makes it dim.
    """
    if ground.bgcolor is None or ground.bgcolor.is_default:
        return style + Style(dim=True)
    beneath = ground.bgcolor.get_truecolor()
    own = beneath if style.bgcolor is None else style.bgcolor.get_truecolor()
    back = blend_rgb(beneath, own, _KEPT)
    text = blend_rgb(back, Color.parse(readable(back.hex)).get_truecolor(), _KEPT_OF_TEXT)
    return style + Style(color=Color.from_triplet(text), bgcolor=Color.from_triplet(back))


@cache
def bar(style: Style, mode: Mode) -> Style:
    """Return the style of a bar on a cell that has a style itself: a hue that no level has."""
    if mode is Mode.PLAIN:
        return style + Style(color="magenta")
    ground = "#000000" if style.bgcolor is None else style.bgcolor.get_truecolor().hex
    if mode in {Mode.INDEXED, Mode.LIGHT_INDEXED}:
        return style + Style(color="#87ff00" if readable(ground) == "#ffffff" else "#005f00")
    return style + Style(color=bar_colour(ground))
