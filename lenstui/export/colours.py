"""Colours of heat maps, the same on screen and in files, and colours of text on them."""

from __future__ import annotations

# Lightness rises evenly (CIELAB, 8 to 93), also for deuteranopes, protanopes and tritanopes. The dark end is
# close to a dark panel, so that uninteresting cells recede.
COLOURS = (
    "#16171f", "#212342", "#2b3a67", "#2e557f", "#2c6d86", "#2d8286",
    "#389781", "#55aa77", "#79bb68", "#a3ca5b", "#cfd752", "#fbee6e",
)  # fmt: skip

# For a light panel: lightness falls evenly (97 to 14), and the light end recedes.
LIGHT_COLOURS = (
    "#f7f7f3", "#cceab7", "#9fd8b8", "#6fc6be", "#3eb1c4", "#299ac1",
    "#2282b9", "#236bae", "#2554a3", "#263c98", "#20297d", "#121a60",
)  # fmt: skip

# Blue below 0, orange above: hues that deuteranopes, protanopes and tritanopes tell apart. The middle
# recedes, and both arms have the same lightness (10, 22, 36, 50, 65, 81) at the same distance from it.
DIVERGING_COLOURS = (
    "#8ad2ff", "#42a5eb", "#007bc9", "#00579d", "#00356d",
    "#1b1c20",
    "#5e210d", "#8f3b13", "#bb5d13", "#e58723", "#ffbd62",
)  # fmt: skip

# For a light panel (lightness 96, 86, 72, 57, 42, 27).
LIGHT_DIVERGING_COLOURS = (
    "#004089", "#0066b6", "#3d8dd7", "#7eb6ea", "#badbf8",
    "#f5f5f3",
    "#f3d2a7", "#e1a55d", "#c87422", "#9d4d0f", "#6f2b0b",
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
