"""Shapes of SVG figures: text, rectangles, the opening tag; sizes that the figures share, in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

FONT = 11
CHARACTER = 6.7  # the advance of a monospace font of that size, rounded up
PAD = 4  # on either side of a cell's text
ROW = 17
MARGIN = 12
GAP = 20  # between two grids
SWATCH = 16

INK, FAINT, NO_COLOUR = "#1a1a1a", "#666666", "#eeeeee"
_FAMILY = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def opening(width: int, height: int) -> str:
    """Return the opening tag of a figure."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{_FAMILY}" font-size="{FONT}">'
    )


def rectangle(x: int, y: int, width: int, height: int, fill: str) -> str:
    """Return a filled rectangle."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>'


Point = tuple[float, float]


def line(start: Point, end: Point, colour: str, *, width: int = 1, dashes: str = "") -> str:
    """Return a straight line.

    Args:
        start: where it begins, pixels.
        end: where it ends, pixels.
        colour: its colour.
        width: its width, pixels.
        dashes: the lengths of its dashes and gaps; empty for none.
    """
    return polyline([start, end], colour, width=width, dashes=dashes)


def polyline(points: Iterable[Point], colour: str, *, width: int = 1, dashes: str = "") -> str:
    """Return straight lines from point to point, as `line` does."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"{pattern}/>'


def text_at(
    x: int,
    y: int,
    text: str,
    *,
    fill: str = INK,
    bold: bool = False,
    anchor: str = "start",
    size: int | None = None,
) -> str:
    """Return a text whose baseline begins, or ends, at a point.

    Args:
        x: the point, pixels.
        y: the baseline, pixels.
        text: the text.
        fill: its colour.
        bold: whether it is bold.
        anchor: what of it is at the point: `start`, `middle` or `end`.
        size: the size of its font; None for that of the figure.
    """
    more = "".join(
        (
            ' font-weight="bold"' if bold else "",
            f' text-anchor="{anchor}"' if anchor != "start" else "",
            f' font-size="{size}"' if size is not None else "",
        )
    )
    return f'<text x="{x}" y="{y}" fill="{fill}"{more}>{escape(text)}</text>'
