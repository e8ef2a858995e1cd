"""Draws figures of coloured cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.export.colours import bar_colour, readable
from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.layout import (
    BELOW,
    GAP,
    PAD,
    ROW,
    TITLE,
    Layout,
    height_of,
    layout_of,
    least_inner,
    legend_height,
    legend_width,
    panel_height,
    title_of,
)
from lenstui.export.figures.page import FONT, MARGIN, POINT, SMALL, new_page, text_width, wrapped_at
from lenstui.export.figures.palette import FAINT, INK, cell_colour, is_framed
from lenstui.export.figures.style import FigureStyle
from lenstui.model.rows import is_sublayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths in millimetres.
_SLIT = 0.2  # between two cells
_INSET = 0.25  # of a frame in its cell
_BAR = 0.8


def draw_cells(cells: CellFigure, style: FigureStyle) -> Figure:
    """Return the figure.

    Raises:
        LensError: if the chosen width cannot hold the columns on a page, or there are too many cells.
    """
    layout = layout_of(cells, style.width_mm)
    height = height_of(cells, layout)
    figure, page = new_page(layout.width, height)
    step = panel_height(cells) + BELOW
    top = MARGIN
    for band in layout.bands:
        left = MARGIN
        for panel in cells.panels:
            _text(page, left + layout.label, top, title_of(cells, panel, layout, band), size=TITLE)
            _draw_panel(page, cells, panel, layout, style, band=band, at=(left, top + ROW))
            if layout.beside:
                left += max(layout.width_of(band), layout.label + least_inner(cells, panel)) + GAP
            else:
                top += step
        if layout.beside:
            top += step
    _draw_legend(page, cells, layout, style, top=height - MARGIN - legend_height(cells, layout.width))
    return figure


def _draw_panel(
    page: Axes,
    cells: CellFigure,
    panel: Panel,
    layout: Layout,
    style: FigureStyle,
    *,
    band: range,
    at: tuple[float, float],
) -> None:
    """Draw heads, labels and cells of some columns, with a bar where a column settles."""
    left, top = at
    start = left + layout.label
    boxes, colours, frames, bars = [], [], [], []
    every = 1 if layout.has_texts else _every(cells.heads, min(layout.columns))
    x = start
    for place, column in enumerate(band):
        width = layout.columns[column]
        if place % every == 0 or not cells.heads[column].isdigit():
            _text(page, x + PAD, top, cells.heads[column], faint=True)
        for line, levels in enumerate(panel.levels):
            y, level = top + (line + 1) * ROW, levels[column]
            colour = cell_colour(level, greyscale=style.greyscale)
            boxes.append(_box(x, y, width))
            colours.append(colour)
            if is_framed(level, greyscale=style.greyscale):
                frames.append(_box(x, y, width, inset=_INSET))
            if layout.has_texts and panel.texts[line][column]:
                _text(page, x + PAD, y, panel.texts[line][column], colour=readable(colour))
            if panel.settled is not None and panel.settled[column] == line:
                bars.append((_box(x, y, _BAR + _SLIT), _bar_colour(colour, style)))
        x += width
    _draw_boxes(page, boxes, colours)
    _draw_boxes(page, frames, ["none"] * len(frames), edge=INK)
    _draw_boxes(page, [box for box, _ in bars], [colour for _, colour in bars])
    for line, label in enumerate(cells.labels):
        size = SMALL if is_sublayer(label) else FONT
        _text(page, start - PAD, top + (line + 1) * ROW, label, align="right", faint=True, size=size)
    middle = top + (1 + len(cells.labels) / 2) * ROW
    page.text(left + 1.4, middle, cells.down, rotation=90, ha="center", va="center", color=FAINT, size=FONT)
    below = top + (len(cells.labels) + 1) * ROW + 0.4
    _text(page, start + PAD, below, cells.across, faint=True)


def _bar_colour(cell: str, style: FigureStyle) -> str:
    return readable(cell) if style.greyscale else bar_colour(cell)


def _every(heads: Sequence[str], width: float) -> int:
    """Return of how many narrow columns with a number one has it as its head."""
    widest = max((text_width(head) for head in heads if head.isdigit()), default=0.0) + PAD
    return max(1, math.ceil(widest / width))


def _draw_legend(page: Axes, cells: CellFigure, layout: Layout, style: FigureStyle, *, top: float) -> None:
    """Draw the colours with their numbers."""
    for said in wrapped_at(cells.legend, layout.width - 2 * MARGIN):
        _text(page, MARGIN, top, said)
        top += ROW
    levels = cells.scale.steps
    swatch = legend_width(cells) / len(levels)
    places = [MARGIN + step * swatch for step in range(len(levels))]
    colours = [cell_colour(level, greyscale=style.greyscale) for level in levels]
    _draw_boxes(page, [_box(x, top, swatch) for x in places], colours)
    framed = [is_framed(level, greyscale=style.greyscale) for level in levels]
    frames = [_box(x, top, swatch, inset=_INSET) for x, frame in zip(places, framed, strict=True) if frame]
    _draw_boxes(page, frames, ["none"] * len(frames), edge=INK)
    end = MARGIN + legend_width(cells)
    ends = (MARGIN, "left"), ((MARGIN + end) / 2, "center"), (end, "right")
    for (x, align), mark in zip(ends, cells.marks, strict=True):
        _text(page, x, top + ROW, mark, align=align, faint=True)


Box = list[tuple[float, float]]


def _box(x: float, y: float, width: float, *, inset: float = 0.0) -> Box:
    """Return the corners of a cell, with a slit to its neighbours."""
    right, bottom = x + width - _SLIT - inset, y + ROW - _SLIT - inset
    return [(x + inset, y + inset), (right, y + inset), (right, bottom), (x + inset, bottom)]


def _draw_boxes(page: Axes, boxes: Sequence[Box], colours: Sequence[str], *, edge: str = "none") -> None:
    from matplotlib.collections import PolyCollection

    if boxes:
        width = 0.0 if edge == "none" else 0.4
        collection = PolyCollection(boxes, facecolors=colours, edgecolors=edge, linewidths=width)
        page.add_collection(collection, autolim=False)


def _text(
    page: Axes,
    x: float,
    y: float,
    text: str,
    *,
    align: str = "left",
    faint: bool = False,
    colour: str = INK,
    size: float = FONT,
) -> None:
    """Write a text on the line of cells whose top is at `y`."""
    baseline = y + ROW / 2 + 0.36 * FONT * POINT
    page.text(x, baseline, text, ha=align, va="baseline", color=FAINT if faint else colour, size=size)
