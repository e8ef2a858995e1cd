"""The colours of a heat map, the same on screen and in files, and what text reads on them."""

from __future__ import annotations

# Lightness rises evenly (CIELAB, 8 to 93), also as deuteranopes, protanopes and tritanopes see it. The
# dark end is close to a dark panel, so that the cells of no interest recede.
COLOURS = (
    "#16171f", "#212342", "#2b3a67", "#2e557f", "#2c6d86", "#2d8286",
    "#389781", "#55aa77", "#79bb68", "#a3ca5b", "#cfd752", "#fbee6e",
)  # fmt: skip

# The same on a light panel: lightness falls evenly (97 to 14), and the light end recedes.
LIGHT_COLOURS = (
    "#f7f7f3", "#cceab7", "#9fd8b8", "#6fc6be", "#3eb1c4", "#299ac1",
    "#2282b9", "#236bae", "#2554a3", "#263c98", "#20297d", "#121a60",
)  # fmt: skip


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def readable(background: str) -> str:
    """Black or white, whichever reads better on a background."""
    return max("#000000", "#ffffff", key=lambda colour: contrast(colour, background))


def _luminance(colour: str) -> float:
    """The WCAG relative luminance of a colour as `#rrggbb`."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (byte / 255 for byte in bytes.fromhex(colour.removeprefix("#")))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
