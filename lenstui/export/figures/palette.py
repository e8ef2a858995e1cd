"""The colours of figures, on a white page: of cells, and of lines; in greys alone where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from lenstui.export.colours import LIGHT_COLOURS, LIGHT_DIVERGING_COLOURS
from lenstui.readout.scales import ARM, NEUTRAL, NO_LEVEL, STEPS

INK, FAINT, RULE = "#1a1a1a", "#595959", "#d9d9d9"
_NO_COLOUR = "#ffffff"

_GREYS = tuple(f"#{grey:02x}{grey:02x}{grey:02x}" for grey in range(247, 31, -18))[:STEPS]
# By distance from 0, of either sign: cells below 0 have a frame.
_ARM_GREYS = ("#f7f7f7", "#dcdcdc", "#c0c0c0", "#a2a2a2", "#838383", "#646464")

# Hues that are told apart with any colour vision (Okabe and Ito, 2008), of different lightness.
_HUES = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_LINE_GREYS = ("#000000", "#777777")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

Dashes = str | tuple[int, tuple[float, ...]]
_DASHES: tuple[Dashes, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)))


@dataclass(frozen=True, slots=True)
class Line:
    """How one of several lines is drawn.

    Attributes:
        colour: its colour.
        dashes: its pattern, as the plotting library takes it.
        marker: the shape of its points, likewise.
    """

    colour: str
    dashes: Dashes
    marker: str


def cell_colour(level: int, *, greyscale: bool) -> str:
    """Return the colour of a level of a scale: the farther from the uninteresting end, the darker."""
    if level == NO_LEVEL:
        return _NO_COLOUR
    if greyscale:
        return _GREYS[level] if level < STEPS else _ARM_GREYS[abs(level - NEUTRAL)]
    return LIGHT_COLOURS[level] if level < STEPS else LIGHT_DIVERGING_COLOURS[level - STEPS]


def is_framed(level: int, *, greyscale: bool) -> bool:
    """Return whether a cell has a frame, which stands for the hue below 0 where there are greys alone."""
    return greyscale and NEUTRAL - ARM <= level < NEUTRAL


def line_of(place: int, *, greyscale: bool) -> Line:
    """Return how the line at a place among others is drawn: by hue, shape of points and dashes."""
    colours = _LINE_GREYS if greyscale else _HUES
    dashes = _DASHES[place // len(colours) % len(_DASHES)]
    return Line(colours[place % len(colours)], dashes, _MARKERS[place % len(_MARKERS)])
