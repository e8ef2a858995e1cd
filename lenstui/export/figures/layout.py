"""Where the parts of a figure of cells go, at a chosen width or at the one that it takes by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.page import (
    FONT,
    MARGIN,
    WIDEST,
    tallest,
    text_width,
    too_narrow,
    wrapped_at,
)
from lenstui.support.errors import LensError

_MOST = 20_000  # cells of a figure, which take some 20 seconds
TITLE = FONT + 0.5  # points
# Lengths in millimetres.
ROW = 3.4
PAD = 1.0  # on either side of a cell's text
GAP = 5.0  # between two panels beside each other
BELOW = 3.5  # between two bands
_LEAST = 2.0  # of what is in a column with texts
_NARROWEST = 1.6  # of a column without
_MOST_EXTRA = 6.0  # that a column gets of the room that is left
_AXIS = 4.0  # for what the rows are
_SWATCH = 4.0
_LEGEND = 9.5  # the height of the colours with their numbers
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a figure are.

    Attributes:
        width: its width.
        label: the width of the labels of the rows.
        columns: the widths of the columns.
        bands: the runs of columns that go below each other.
        beside: whether the panels are beside each other, not below.
        has_texts: whether the cells have room for their texts.
    """

    width: float
    label: float
    columns: Sequence[float]
    bands: Sequence[range]
    beside: bool
    has_texts: bool = True

    def width_of(self, band: range) -> float:
        """Return the width of some columns with their labels."""
        return self.label + sum(self.columns[column] for column in band)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How much room the parts of a figure take.

    Attributes:
        label: the labels of the rows.
        columns: the columns, with their texts.
        least: what stands above and below the columns.
        legend: the colours with their numbers.
    """

    label: float
    columns: Sequence[float]
    least: float
    legend: float

    @classmethod
    def of(cls, cells: CellFigure) -> _Sizes:
        rows = [cells.heads, *(row for panel in cells.panels for row in panel.texts)]
        return cls(
            _AXIS + max(map(text_width, cells.labels)) + 2 * PAD,
            [max(_LEAST, *map(text_width, column)) + 2 * PAD for column in zip(*rows, strict=True)],
            max(least_inner(cells, panel) for panel in cells.panels),
            legend_width(cells),
        )


def layout_of(cells: CellFigure, width: float | None) -> Layout:
    """Return the layout at a chosen width, or at the one that the figure takes by itself.

    Raises:
        LensError: if the chosen width cannot hold the columns on a page, or there are too many cells.
    """
    count = len(cells.panels) * len(cells.heads) * len(cells.labels)
    if count > _MOST:
        raise LensError(
            f"{count:,} cells are too many for a figure, which has room for {_MOST:,}: choose fewer rows or "
            "a shorter prompt, or take the HTML page."
        )
    sizes = _Sizes.of(cells)
    smallest = 2 * MARGIN + max(sizes.label + _NARROWEST, sizes.legend)
    if width is not None:
        layout = _at(cells, sizes, width)
        if layout is None:
            raise too_narrow(width, _least(cells, sizes, smallest).width)
        return _filled(cells, layout)
    natural = 2 * MARGIN + max(_beside(cells, sizes), sizes.legend)
    layout = _at(cells, sizes, min(natural, WIDEST)) or _least(cells, sizes, WIDEST)
    return layout if layout.beside else replace(layout, width=_used(cells, sizes, layout))


def _at(cells: CellFigure, sizes: _Sizes, width: float) -> Layout | None:
    """Return the layout at a width; None where it cannot hold the columns, or is taller than a page."""
    if width - 2 * MARGIN < sizes.legend:
        return None
    for layout in _layouts(cells, sizes, width):
        fits = _used(cells, sizes, layout) <= width + 2 * _ROUNDING
        if fits and (layout.beside or height_of(cells, layout) <= tallest(width)):
            return layout
    return None


def _layouts(cells: CellFigure, sizes: _Sizes, width: float) -> Iterator[Layout]:
    """Yield the layouts that may fit a width, the best one first."""
    room, label, columns = width - 2 * MARGIN, sizes.label, sizes.columns
    everything = range(len(columns))
    yield Layout(width, label, columns, [everything], beside=True)
    if cells.wraps:
        yield Layout(width, label, columns, _bands(columns, room - label), beside=False)
        return
    yield Layout(width, label, columns, [everything], beside=False)
    for beside in (True, False):
        share = (room + GAP) / len(cells.panels) - GAP if beside else room
        if narrow := _narrow(cells.heads, share - label - _ROUNDING):
            yield Layout(width, label, narrow, [everything], beside, has_texts=False)


def _narrow(heads: Sequence[str], room: float) -> list[float]:
    """Return the widths of columns without texts, of which those with a word have room for it; or nothing."""
    words = [0.0 if head.isdigit() else text_width(head) + PAD for head in heads]
    share = (room - sum(words)) / (words.count(0.0) or 1)
    return [word or share for word in words] if share >= _NARROWEST else []


def _bands(columns: Sequence[float], room: float) -> list[range]:
    """Return runs of columns that fit the room, at least one column each."""
    bands, used = [range(1)], columns[0]
    for column in range(1, len(columns)):
        used += columns[column]
        if used <= room + _ROUNDING:
            bands[-1] = range(bands[-1].start, column + 1)
        else:
            bands.append(range(column, column + 1))
            used = columns[column]
    return bands


def _used(cells: CellFigure, sizes: _Sizes, layout: Layout) -> float:
    """Return the width that a layout takes."""
    if layout.beside:
        return 2 * MARGIN + max(_beside(cells, replace(sizes, columns=layout.columns)), sizes.legend)
    titles = [title_of(cells, panel, layout, band) for panel in cells.panels for band in layout.bands]
    above = max(sizes.least, *(text_width(title, TITLE) for title in titles))
    widest = max(map(layout.width_of, layout.bands))
    return 2 * MARGIN + max(widest, layout.label + above, sizes.legend) + _ROUNDING


def _beside(cells: CellFigure, sizes: _Sizes) -> float:
    """Return the width of all panels beside each other."""
    inner = [max(sum(sizes.columns), least_inner(cells, panel)) + _ROUNDING for panel in cells.panels]
    return sum(sizes.label + each for each in inner) + (len(inner) - 1) * GAP


def _filled(cells: CellFigure, layout: Layout) -> Layout:
    """Return a layout whose columns have taken the room that is left, up to a bound."""
    if not layout.has_texts:
        return layout
    beside = len(cells.panels) if layout.beside else 1
    share = (layout.width - 2 * MARGIN + GAP) / beside - GAP
    extra = min((share - layout.width_of(band)) / len(band) for band in layout.bands)
    extra = min(max(extra, 0.0), _MOST_EXTRA)
    return replace(layout, columns=[each + extra for each in layout.columns])


def _least(cells: CellFigure, sizes: _Sizes, start: float) -> Layout:
    """Return the layout at the least width in whole millimetres, from a width on, that holds the columns."""
    width = float(int(start))
    while (layout := _at(cells, sizes, width)) is None:
        width += 1
    return layout


def title_of(cells: CellFigure, panel: Panel, layout: Layout, band: range) -> str:
    """Return the title of a panel: which columns it has, where these are not all."""
    if len(layout.bands) == 1:
        return panel.title
    return f"{panel.title} · columns {band.start}–{band.stop - 1} of {len(cells.heads)}"


def least_inner(cells: CellFigure, panel: Panel) -> float:
    """Return the room that the texts above and below a panel's columns take."""
    return max(text_width(panel.title, TITLE), text_width(cells.across) + PAD)


def panel_height(cells: CellFigure) -> float:
    """Return the height of a title, the heads, the rows, and what the columns are."""
    return (len(cells.labels) + 3) * ROW


def height_of(cells: CellFigure, layout: Layout) -> float:
    """Return the height of the figure."""
    panels = len(layout.bands) * (1 if layout.beside else len(cells.panels))
    grids = panels * (panel_height(cells) + BELOW)
    return 2 * MARGIN + grids + legend_height(cells, layout.width)


def legend_width(cells: CellFigure) -> float:
    """Return the width of the colours with their numbers."""
    swatch = _SWATCH * (2 if cells.scale.two else 1)
    first, middle, last = map(text_width, cells.marks)
    return max(len(cells.scale.steps) * swatch, 2 * max(first, last) + middle + 6 * PAD)


def legend_height(cells: CellFigure, width: float) -> float:
    """Return the height of what the colours show, and of the colours with their numbers."""
    return _LEGEND + (len(wrapped_at(cells.legend, width - 2 * MARGIN)) - 1) * ROW
