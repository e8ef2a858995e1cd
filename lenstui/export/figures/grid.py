"""The grid of a readout as a figure: every cell with its likeliest token, coloured by one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lenstui.export.difference import DIFFERENT, Difference, differing
from lenstui.export.figures.caption import Caption, prompt_lines
from lenstui.export.figures.cell_drawing import draw_cells
from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.legend import beyond, end_texts, scale_note, shares_note
from lenstui.export.text_width import clip
from lenstui.export.tidy import TokenText, top_text
from lenstui.lens.names import lens_title
from lenstui.model.rows import is_whole_stream
from lenstui.opening.source import Source, filter_text, sublayers_text
from lenstui.readout.cells import Cells, FloatArray, IntArray
from lenstui.readout.scales import Scale
from lenstui.readout.values import Value

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout

_WIDEST_TOKEN = 10  # characters
_BAR = "bar at the left of a cell: from this row on the likeliest token stays the final one"
FRAMED = "cells with a frame are below 0"


def grid_figure(
    form: str,
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    style: FigureStyle,
    diff: bool = False,
    vocabulary: int,
    command: str,
) -> FigureFile:
    """Return the figure of a readout: its lenses, or the difference of the first two.

    Args:
        form: one of the `FIGURE_FORMS`.
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        value: the value that the colours show.
        style: how it looks.
        diff: whether to show the second lens minus the first in place of both.
        vocabulary: the number of tokens, for the value's scale.
        command: the command that makes the figure again.

    Raises:
        LensError: if its width cannot hold the columns, or matplotlib is not installed.
    """
    cells = grid_cells(readout, texts, value, diff=diff, vocabulary=vocabulary)
    caption = grid_caption(cells, readout, source, diff=diff, command=command, framed=style.greyscale)
    return FigureFile.drawn(form, lambda: draw_cells(cells, style), caption)


def grid_cells(
    readout: Readout, texts: TokenText, value: Value, *, diff: bool = False, vocabulary: int
) -> CellFigure:
    """Return the lenses beside each other, or their difference, as a figure of cells.

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        value: the value that the colours show.
        diff: whether to show the second lens minus the first in place of both.
        vocabulary: the number of tokens, for the value's scale.
    """
    heads = [clip(texts[token], _WIDEST_TOKEN) for token in readout.prompt.ids]
    frame = CellFigure((), heads, readout.rows[::-1], "input token", "row", Scale(0, 1), "", ("", "", ""))
    if diff:
        return _difference(frame, readout, texts, value, vocabulary)
    numbers = {name: value.of(cells) for name, cells in readout.lenses.items()}
    streams = {name: value.of(readout.stream(name)) for name in readout.lenses}
    scale = value.scale(list(streams.values()), vocabulary)  # which sublayer rows would stretch
    panels = tuple(
        Panel(
            lens_title(name),
            _tokens(cells, texts),
            scale.levels(numbers[name])[::-1].tolist(),
            _settled(readout.crystallization(name), len(readout.rows)),
        )
        for name, cells in readout.lenses.items()
    )
    note = scale_note(scale) or shares_note(value, streams)
    low, high = end_texts(value.format, scale, beyond(scale, numbers.values()))
    middle = "" if scale.two else value.format(scale.at(0.5))
    legend = ", ".join(filter(None, (value.label, value.unit, note)))
    return replace(frame, panels=panels, scale=scale, legend=legend, marks=(low, middle, high))


def _difference(
    frame: CellFigure, readout: Readout, texts: TokenText, value: Value, vocabulary: int
) -> CellFigure:
    shown = Difference.of_two(value, readout.lenses)
    both = shown.pair(readout.lenses)
    numbers: FloatArray = shown.of(*both)
    scale = shown.scale(numbers, vocabulary)
    marked = [
        [f"{DIFFERENT} {token}" if mark else token for token, mark in zip(*row, strict=True)]
        for row in zip(_tokens(both[1], texts), differing(*both)[::-1].tolist(), strict=True)
    ]
    settled = _settled(readout.crystallization(shown.right), len(readout.rows))
    panel = Panel(shown.title, marked, scale.levels(numbers)[::-1].tolist(), settled)
    low, high = end_texts(shown.format, scale, beyond(scale, [numbers]))
    below, above = shown.sides
    legend = ", ".join(filter(None, (shown.label, shown.unit, scale_note(scale))))
    return replace(
        frame,
        panels=(panel,),
        scale=scale,
        legend=legend,
        marks=(f"{low} {below}", "" if scale.two else "0", f"{high} {above}"),
    )


def grid_caption(
    cells: CellFigure, readout: Readout, source: Source, *, diff: bool = False, command: str, framed: bool
) -> Caption:
    """Return the caption of a grid.

    Args:
        cells: from `grid_cells`.
        readout: the readout.
        source: the source of its numbers.
        diff: whether it is of a difference.
        command: the command that makes the figure again.
        framed: whether cells below 0 have a frame.
    """
    *before, last = (panel.title for panel in cells.panels)
    titles = f"{', '.join(before)} and {last}" if before else last
    notes = ["each cell has the likeliest token, the top of the network first"]
    if diff:
        left, right = list(readout.lenses)[:2]
        notes[0] += f", by the {lens_title(right)}; {DIFFERENT}: another one by the {lens_title(left)}"
    if is_whole_stream(readout.rows):
        notes.append(_BAR)
    notes += [sublayers_text(source, readout.left_over)] if source.sublayers else []
    notes += [FRAMED] if framed and cells.scale.diverging else []
    notes.append(filter_text(source))
    of = "" if source.beside else f" of {source.title}"  # where the titles name both models
    title = f"{titles}{of}, coloured by {cells.legend}"
    return Caption(title, tuple(notes), source, prompt_lines([("Prompt", readout.prompt)]), command)


def _tokens(cells: Cells, texts: TokenText) -> list[list[str]]:
    """Return the likeliest tokens, clipped, the top of the network first."""
    return [
        [clip(top_text(texts, token), _WIDEST_TOKEN) for token in row]
        for row in cells.top_ids[::-1, :, 0].tolist()
    ]


def _settled(rows: IntArray | None, count: int) -> Sequence[int] | None:
    """Return the lines, from the top, of rows by their index; -1 for none."""
    return None if rows is None else [count - 1 - row if row >= 0 else -1 for row in rows.tolist()]
