"""An evaluation of lenses as an SVG figure: each measure by row, a line for each lens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lenstui.evaluation.measures import Measure
from lenstui.export.evaluation import Evaluated
from lenstui.export.evaluation_table import captions, measure_text
from lenstui.export.svg_shapes import (
    CHARACTER,
    FAINT,
    FONT,
    GAP,
    INK,
    MARGIN,
    PAD,
    ROW,
    line,
    opening,
    polyline,
    rectangle,
    text_at,
)
from lenstui.export.text_width import wrapped
from lenstui.lens.names import lens_title
from lenstui.opening.source import versions_text
from lenstui.readout.scales import round_top
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.evaluation.evaluate import Quality

_ACROSS = 3  # panels beside each other
_WIDTH, _HEIGHT = 300, 150  # of a plot, pixels
_AXIS = 52  # left of it, for numbers
_FAINT_LINE = "#dddddd"
_DOT = 4

# A colour and a pattern of dashes for each lens; the colours are told apart with any colour vision (Okabe and
# Ito, 2008).
_STYLES = (
    ("#000000", "4 3"),
    ("#0072b2", ""),
    ("#d55e00", ""),
    ("#009e73", ""),
    ("#cc79a7", ""),
    ("#0072b2", "4 3"),
    ("#d55e00", "4 3"),
    ("#009e73", "4 3"),
)


def evaluation_svg(of: Evaluated, measures: Sequence[Measure], command: str) -> str:
    """Return a figure with a plot for each measure, its standard errors as bars, on a white ground.

    Args:
        of: the evaluation.
        measures: the measures to show.
        command: the command that writes this figure again.
    """
    shown = [measure for measure in measures if of.first.of(measure.name)]
    panel_width, panel_height = _AXIS + _WIDTH + GAP, _HEIGHT + 3 * ROW
    across = min(_ACROSS, len(shown))
    width = 2 * MARGIN + across * panel_width
    parts: list[str] = [*_legend(of, width)]
    top = MARGIN + ROW + PAD
    for place, measure in enumerate(shown):
        left = MARGIN + place % across * panel_width + _AXIS
        parts += _plot(of, measure, left, top + place // across * panel_height + ROW)
    top += -(-len(shown) // across) * panel_height
    room = int(width / CHARACTER) - 2
    footer = [text for said in captions(of) for text in wrapped(said, room).splitlines()]
    height = top + len(footer) * ROW + MARGIN
    for number, text in enumerate(footer):
        parts.append(text_at(MARGIN, top + number * ROW + FONT, text, fill=FAINT, size=FONT - 1))
    title = f"Evaluation of lenses of {of.source.title} on {', '.join(of.data)}"
    said = f"{versions_text(of.source)}\nMade by: {command}"
    return "\n".join(
        [
            opening(width, height),
            f"<title>{escape(printable(title))}</title>",
            f"<desc>{escape(said)}</desc>",
            rectangle(0, 0, width, height, "#ffffff"),
            *parts,
            "</svg>",
            "",
        ]
    )


def _legend(of: Evaluated, width: int) -> Iterator[str]:
    """Yield a sample of each lens's line with its name behind it."""
    left = MARGIN
    for place, name in enumerate(of.qualities):
        colour, dashes = _STYLES[place % len(_STYLES)]
        middle = MARGIN + FONT - 4
        yield line((left, middle), (left + 2 * ROW, middle), colour, width=2, dashes=dashes)
        title = lens_title(name)
        yield text_at(left + 2 * ROW + PAD, MARGIN + FONT, title, bold=True)
        left += 2 * ROW + 2 * PAD + round(len(title) * CHARACTER) + GAP


def _plot(of: Evaluated, measure: Measure, left: int, top: int) -> Iterator[str]:
    """Yield a plot of one measure, whose upper left corner is at a point."""
    reached = [
        value + (error if math.isfinite(error) else 0.0)
        for quality in of.qualities.values()
        for value, error in zip(quality.of(measure.name), _errors(quality, measure), strict=True)
        if math.isfinite(value)
    ]
    most = 1.0 if measure.is_share else round_top(max(reached, default=1.0)) or 1.0

    def at(row: int, value: float) -> tuple[float, float]:
        across = _WIDTH * row / max(len(of.rows) - 1, 1)
        return left + across, top + _HEIGHT * (1 - min(max(value / most, 0.0), 1.0))

    yield text_at(left, top - PAD - 2, f"{measure.head}: {measure.label}", bold=True, size=FONT - 1)
    for tick in (0.0, most / 2, most):
        x, y = at(0, tick)
        yield line((x, y), (x + _WIDTH, y), _FAINT_LINE)
        number = measure_text(measure, tick)
        yield text_at(round(x) - 2 * PAD, round(y) + 4, number, fill=FAINT, anchor="end", size=FONT - 1)
    for row in _labelled(of.rows):
        x, y = at(row, 0.0)
        yield text_at(round(x), round(y) + FONT + 2, of.rows[row], fill=FAINT, anchor="middle", size=FONT - 1)
    for place, quality in enumerate(of.qualities.values()):
        colour, dashes = _STYLES[place % len(_STYLES)]
        values, errors = quality.of(measure.name), _errors(quality, measure)
        for run in _runs(values):
            yield polyline([at(row, values[row]) for row in run], colour, width=2, dashes=dashes)
        for row, (value, error) in enumerate(zip(values, errors, strict=True)):
            if math.isfinite(value):
                x, y = at(row, value)
                yield rectangle(round(x) - _DOT // 2, round(y) - _DOT // 2, _DOT, _DOT, colour)
                if math.isfinite(error):
                    yield line(at(row, value - error), at(row, value + error), colour)
    yield line(at(0, 0.0), at(len(of.rows) - 1, 0.0), INK)


def _errors(quality: Quality, measure: Measure) -> Sequence[float]:
    return quality.sem.get(measure.name, (math.nan,) * len(quality.kl))


def _runs(values: Sequence[float]) -> Iterator[range]:
    """Yield the runs of rows that have a value, between which a line is broken."""
    start = 0
    for row, value in enumerate([*values, math.nan]):
        if not math.isfinite(value):
            if row > start:
                yield range(start, row)
            start = row + 1


def _labelled(rows: Sequence[str]) -> range:
    """Return the rows whose labels have room below a plot: `emb`, and then every so many."""
    room = _WIDTH / max(len(rows) - 1, 1)
    return range(0, len(rows), math.ceil(4 * CHARACTER / room))
