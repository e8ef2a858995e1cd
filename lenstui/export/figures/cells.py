"""Figures of coloured cells: grids of tokens and maps of numbers, one or several beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.export.colours import bar_colour, readable
from lenstui.export.figures.page import (
    FONT,
    MARGIN,
    POINT,
    SMALL,
    WIDEST,
    new_page,
    tallest,
    text_width,
    too_narrow,
    wrapped_at,
)
from lenstui.export.figures.palette import FAINT, INK, cell_colour, is_framed
from lenstui.export.figures.style import FigureStyle
from lenstui.model.rows import is_sublayer
from lenstui.readout.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = FONT + 0.5
# Lengths in millimetres.
_ROW = 3.4
_PAD = 1.0  # on either side of a cell's text
_GAP = 5.0  # between two panels beside each other
_BELOW = 3.5  # between two bands
_SLIT = 0.2  # between two cells
_INSET = 0.25  # of a frame in its cell
_LEAST = 2.0  # of a column without text
_MOST_EXTRA = 6.0  # that a column gets of the room that is left
_AXIS = 4.0  # for the label of the rows
_BAR = 0.8
_SWATCH = 4.0
_LEGEND = 9.5  # the height of the colours with their numbers


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the grids of a figure.

    Attributes:
        title: what it is of.
        texts: the texts of its cells, `[rows][columns]`, the top of the network first.
        levels: their steps of the palette, likewise.
        settled: by column the line that gets a bar, or -1; None for no bars.
    """

    title: str
    texts: Sequence[Sequence[str]]
    levels: Sequence[Sequence[int]]
    settled: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class CellFigure:
    """A figure of coloured cells.

    Attributes:
        panels: its grids, which have the same rows and columns.
        heads: the heads of the columns.
        labels: the labels of the rows, the top of the network first.
        across: what the columns are.
        down: what the rows are.
        scale: the scale of the colours.
        legend: what the colours show, with its unit.
        marks: the texts below the first, the middle and the last colour.
        wraps: whether columns without room go on below; else they get narrower, and lose their texts.
    """

    panels: Sequence[Panel]
    heads: Sequence[str]
    labels: Sequence[str]
    across: str
    down: str
    scale: Scale
    legend: str
    marks: tuple[str, str, str]
    wraps: bool = True


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the parts of a figure are.

    Attributes:
        width: its width.
        bands: the runs of columns that go below each other.
        columns: the widths of the columns.
        beside: whether the panels are beside each other, not below.
        has_texts: whether the cells have room for their texts.
    """

    width: float
    bands: Sequence[range]
    columns: Sequence[float]
    beside: bool
    has_texts: bool = True


def draw_cells(cells: CellFigure, style: FigureStyle) -> Figure:
    """Return the figure.

    Raises:
        LensError: if the chosen width cannot hold the columns on a page.
    """
    layout = _layout(cells, style.width_mm)
    height = _height(cells, layout)
    figure, page = new_page(layout.width, height)
    label = _label_width(cells)
    top = MARGIN
    for band in layout.bands:
        band_width = label + sum(layout.columns[column] for column in band)
        left = MARGIN
        for panel in cells.panels:
            _text(page, left + label, top, _title(cells, panel, layout, band), size=_TITLE)
            _draw_panel(page, cells, panel, layout, style, band=band, at=(left, top + _ROW))
            if layout.beside:
                left += max(band_width, label + _least_inner(cells, panel)) + _GAP
            else:
                top += _panel_height(cells) + _BELOW
        if layout.beside:
            top += _panel_height(cells) + _BELOW
    _draw_legend(
        page, cells, style, top=height - MARGIN - _legend_height(cells, layout.width), width=layout.width
    )
    return figure


# ── where everything goes ────────────────────────────────────────────────────────────────────────────────


def _layout(cells: CellFigure, width: float | None) -> _Layout:
    """Return the layout at a chosen width, or at the one that the figure takes by itself."""
    if width is not None:
        layout = _at(cells, width)
        if layout is None:
            raise too_narrow(width, _least(cells, _smallest(cells)))
        return _filled(cells, layout)
    natural = _natural(cells)
    layout = _at(cells, min(natural, WIDEST)) or _at(cells, _least(cells, WIDEST))
    assert layout is not None
    return layout if layout.beside else replace(layout, width=_used(cells, layout))


def _used(cells: CellFigure, layout: _Layout) -> float:
    """Return how much of its width a layout of panels below each other uses."""
    widest = max(sum(layout.columns[column] for column in band) for band in layout.bands)
    title = max(
        text_width(_title(cells, panel, layout, band), _TITLE)
        for panel in cells.panels
        for band in layout.bands
    )
    widest = max(widest, title, text_width(cells.across) + _PAD)
    return 2 * MARGIN + max(_label_width(cells) + widest, _legend_width(cells)) + 0.01


def _title(cells: CellFigure, panel: Panel, layout: _Layout, band: range) -> str:
    if len(layout.bands) == 1:
        return panel.title
    return f"{panel.title} · columns {band.start}–{band.stop - 1} of {len(cells.heads)}"


def _at(cells: CellFigure, width: float) -> _Layout | None:
    """Return the layout at a width; None where it cannot hold the columns, or is taller than a page."""
    label, columns = _label_width(cells), _column_widths(cells)
    room = width - 2 * MARGIN
    if room < _legend_width(cells):
        return None
    everything = range(len(columns))
    if _beside(cells, columns) <= room + 1e-6:
        return _Layout(width, [everything], columns, beside=True)
    if not cells.wraps:
        titles = [label + _least_inner(cells, panel) for panel in cells.panels]
        for beside, share in ((True, (room + _GAP) / len(cells.panels) - _GAP), (False, room)):
            narrow = (share - label) / len(columns)
            if narrow >= _LEAST and share >= max(titles):
                layout = _Layout(width, [everything], [narrow] * len(columns), beside, has_texts=False)
                if sum(columns) + label <= share:
                    layout = _Layout(width, [everything], columns, beside)
                return layout if beside or _height(cells, layout) <= tallest(width) else None
        return None
    bands: list[range] = []
    widest_title = max(text_width(panel.title, _TITLE) for panel in cells.panels)
    if room < label + max(*columns, widest_title + text_width(" · columns 000–000 of 000", _TITLE)):
        return None
    used = room
    for column in everything:
        if not bands or used + columns[column] > room + 1e-6:
            bands.append(range(column, column))
            used = label
        bands[-1] = range(bands[-1].start, column + 1)
        used += columns[column]
    layout = _Layout(width, bands, columns, beside=False)
    return layout if _height(cells, layout) <= tallest(width) else None


def _filled(cells: CellFigure, layout: _Layout) -> _Layout:
    """Return a layout whose columns have taken the room that is left, up to a bound."""
    if not layout.has_texts:
        return layout
    side_by_side = len(cells.panels) if layout.beside else 1
    room = layout.width - 2 * MARGIN - (side_by_side - 1) * _GAP
    extra = min(
        (room / side_by_side - _label_width(cells) - sum(layout.columns[column] for column in band))
        / len(band)
        for band in layout.bands
    )
    extra = min(max(extra, 0.0), _MOST_EXTRA)
    return _Layout(layout.width, layout.bands, [each + extra for each in layout.columns], layout.beside)


def _smallest(cells: CellFigure) -> float:
    return 2 * MARGIN + max(_label_width(cells) + _LEAST, _legend_width(cells))


def _least(cells: CellFigure, start: float) -> float:
    """Return the least width in whole millimetres, from a width on, that holds the columns."""
    width = float(int(start))
    while _at(cells, width) is None:
        width += 1
    return width


def _natural(cells: CellFigure) -> float:
    """Return the width of all panels beside each other."""
    return 2 * MARGIN + max(_beside(cells, _column_widths(cells)), _legend_width(cells))


def _beside(cells: CellFigure, columns: Sequence[float]) -> float:
    label = _label_width(cells)
    of_each = (label + max(sum(columns), _least_inner(cells, panel)) + 0.01 for panel in cells.panels)
    return sum(of_each) + (len(cells.panels) - 1) * _GAP


def _least_inner(cells: CellFigure, panel: Panel) -> float:
    """Return the room that the texts above and below a panel's columns take."""
    return max(text_width(panel.title, _TITLE), text_width(cells.across) + _PAD)


def _label_width(cells: CellFigure) -> float:
    return _AXIS + max(map(text_width, cells.labels)) + 2 * _PAD


def _column_widths(cells: CellFigure) -> list[float]:
    rows = [cells.heads, *(row for panel in cells.panels for row in panel.texts)]
    return [max(_LEAST, *map(text_width, column)) + 2 * _PAD for column in zip(*rows, strict=True)]


def _panel_height(cells: CellFigure) -> float:
    """Return the height of a title, the heads, the rows, and what the columns are."""
    return (len(cells.labels) + 3) * _ROW


def _height(cells: CellFigure, layout: _Layout) -> float:
    panels = len(layout.bands) * (1 if layout.beside else len(cells.panels))
    grids = panels * (_panel_height(cells) + _BELOW)
    return 2 * MARGIN + grids + _legend_height(cells, layout.width)


def _legend_width(cells: CellFigure) -> float:
    swatch = _SWATCH * (2 if cells.scale.two else 1)
    first, middle, last = map(text_width, cells.marks)
    below = 2 * max(first, last) + middle + 6 * _PAD
    return max(len(cells.scale.steps) * swatch, below)


def _legend_height(cells: CellFigure, width: float) -> float:
    return _LEGEND + (len(wrapped_at(cells.legend, width - 2 * MARGIN)) - 1) * _ROW


# ── what is drawn ────────────────────────────────────────────────────────────────────────────────────────


def _draw_panel(
    page: Axes,
    cells: CellFigure,
    panel: Panel,
    layout: _Layout,
    style: FigureStyle,
    *,
    band: range,
    at: tuple[float, float],
) -> None:
    """Draw heads, labels and cells of some columns, with a bar where a column settles."""
    left, top = at
    start = left + _label_width(cells)
    boxes, colours, frames, bars = [], [], [], []
    every = 1 if layout.has_texts else _every(cells.heads, layout.columns[0])
    x = start
    for place, column in enumerate(band):
        width = layout.columns[column]
        if place % every == 0 or not cells.heads[column].isdigit():
            _text(page, x + _PAD, top, cells.heads[column], faint=True)
        for line, levels in enumerate(panel.levels):
            y, level = top + (line + 1) * _ROW, levels[column]
            colour = cell_colour(level, greyscale=style.greyscale)
            boxes.append(_box(x, y, width))
            colours.append(colour)
            if is_framed(level, greyscale=style.greyscale):
                frames.append(_box(x, y, width, inset=_INSET))
            if layout.has_texts and panel.texts[line][column]:
                _text(page, x + _PAD, y, panel.texts[line][column], colour=readable(colour))
            if panel.settled is not None and panel.settled[column] == line:
                bars.append((_box(x, y, _BAR + _SLIT), _bar_colour(colour, style)))
        x += width
    _draw_boxes(page, boxes, colours)
    _draw_boxes(page, frames, ["none"] * len(frames), edge=INK)
    _draw_boxes(page, [box for box, _ in bars], [colour for _, colour in bars])
    for line, label in enumerate(cells.labels):
        size = SMALL if is_sublayer(label) else FONT
        _text(page, start - _PAD, top + (line + 1) * _ROW, label, align="right", faint=True, size=size)
    middle = top + (1 + len(cells.labels) / 2) * _ROW
    page.text(left + 1.4, middle, cells.down, rotation=90, ha="center", va="center", color=FAINT, size=FONT)
    below = top + (len(cells.labels) + 1) * _ROW + 0.4
    _text(page, start + _PAD, below, cells.across, faint=True)


def _bar_colour(cell: str, style: FigureStyle) -> str:
    return readable(cell) if style.greyscale else bar_colour(cell)


def _every(heads: Sequence[str], width: float) -> int:
    """Return of how many narrow columns one has a head."""
    widest = max(text_width(head) for head in heads) + _PAD
    return math.ceil(widest / width)


def _draw_legend(page: Axes, cells: CellFigure, style: FigureStyle, *, top: float, width: float) -> None:
    """Draw the colours with their numbers."""
    for said in wrapped_at(cells.legend, width - 2 * MARGIN):
        _text(page, MARGIN, top, said)
        top += _ROW
    levels = cells.scale.steps
    swatch = _legend_width(cells) / len(levels)
    places = [MARGIN + step * swatch for step in range(len(levels))]
    colours = [cell_colour(level, greyscale=style.greyscale) for level in levels]
    _draw_boxes(page, [_box(x, top, swatch) for x in places], colours)
    framed = [is_framed(level, greyscale=style.greyscale) for level in levels]
    frames = [_box(x, top, swatch, inset=_INSET) for x, frame in zip(places, framed, strict=True) if frame]
    _draw_boxes(page, frames, ["none"] * len(frames), edge=INK)
    end = MARGIN + _legend_width(cells)
    ends = (MARGIN, "left"), ((MARGIN + end) / 2, "center"), (end, "right")
    for (x, align), mark in zip(ends, cells.marks, strict=True):
        _text(page, x, top + _ROW, mark, align=align, faint=True)


Box = list[tuple[float, float]]


def _box(x: float, y: float, width: float, *, inset: float = 0.0) -> Box:
    """Return the corners of a cell, with a slit to its neighbours."""
    right, bottom = x + width - _SLIT - inset, y + _ROW - _SLIT - inset
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
    baseline = y + _ROW / 2 + 0.36 * FONT * POINT
    page.text(x, baseline, text, ha=align, va="baseline", color=FAINT if faint else colour, size=size)
