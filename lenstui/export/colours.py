"""Colours of heat maps, the same on screen and in files, and colours of text on them."""

from __future__ import annotations

# Each step is about as far from the next as any other: the largest distance (CIELAB) is at most 1.5 times the
# smallest. Lightness rises evenly (8 to 93), also for deuteranopes, protanopes and tritanopes. The dark end
# is close to a dark panel, so that uninteresting cells recede.
COLOURS = (
    "#16171f", "#212342", "#2b3a67", "#2e557f", "#2c6d86", "#2d8286",
    "#389781", "#55aa77", "#79bb68", "#a3ca5b", "#cfd752", "#fbee6e",
)  # fmt: skip

# For a light panel: lightness falls evenly (97 to 14), and the light end recedes.
LIGHT_COLOURS = (
    "#f7f7f3", "#d0e8d7", "#a1d7c6", "#76c4c3", "#56aec1", "#4098bc",
    "#2f82b6", "#1f6dae", "#0f57a5", "#0d4198", "#222882", "#121a60",
)  # fmt: skip

# Blue below 0, orange above: hues that deuteranopes, protanopes and tritanopes tell apart. The middle
# recedes, and both arms have the same lightness (10, 23, 36, 51, 65, 78) at the same distance from it.
DIVERGING_COLOURS = (
    "#00d1ff", "#00a8ea", "#2a7cc7", "#3a5489", "#2b364f",
    "#1c1c1c",
    "#4a3021", "#784b25", "#a76b28", "#d48e27", "#ffb11a",
)  # fmt: skip

# For a light panel (lightness 97, 84, 71, 57, 43, 30).
LIGHT_DIVERGING_COLOURS = (
    "#003ea3", "#2465bd", "#4a8cd3", "#7fb2e3", "#bbd6f0",
    "#f5f5f5",
    "#e6cfb5", "#d3a47c", "#bf774b", "#a94924", "#910700",
)  # fmt: skip

LEVEL_COLOURS = COLOURS + DIVERGING_COLOURS
"""The colour of every level, in files."""


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two colours, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def readable(background: str) -> str:
    """Return black or white, whichever reads better on a background."""
    return max("#000000", "#ffffff", key=lambda colour: contrast(colour, background))


def bar_colour(background: str) -> str:
    """Return the colour of a bar on a background: a hue of no level, light on dark and dark on bright."""
    return "#ff6fa5" if readable(background) == "#ffffff" else "#99003d"


def _luminance(colour: str) -> float:
    """Return the WCAG relative luminance of a colour given as `#rrggbb`."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (byte / 255 for byte in bytes.fromhex(colour.removeprefix("#")))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
