"""Why a cell says what it says, as figures: the map of blocks by heads and MLP, and what one head read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.figures.caption import Caption, prompt_lines
from lenstui.export.figures.cell_drawing import draw_cells
from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.grid import FRAMED
from lenstui.export.figures.page import FONT, MARGIN, POINT, new_page, text_width, too_narrow
from lenstui.export.figures.palette import FAINT, INK, RULE, cell_colour
from lenstui.export.figures.style import FigureStyle
from lenstui.export.text_width import clip
from lenstui.export.why import DIRECT, Why, contribution_map, contribution_scale, reasons_of
from lenstui.readout.scales import LEVELS, STEPS
from lenstui.support.errors import LensError
from lenstui.support.fixed_text import fixed_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 3.4  # millimetres
_MOST = 60  # columns that an attention head read, on one page
_TOKEN = 14  # characters
_LEAST_BAR = 12.0
_NUMBER = 9.0


def why_figure(form: str, why: Why, style: FigureStyle, command: str) -> FigureFile:
    """Return the map of a cell's contributions, or where an attention head is chosen, what that one read.

    Args:
        form: one of the `FIGURE_FORMS`.
        why: the contributions.
        style: how it looks.
        command: the command that makes the figure again.

    Raises:
        LensError: if its width is too small, or matplotlib is not installed.
    """
    caption = why_caption(why, command, framed=style.greyscale)
    if why.head is not None:
        return FigureFile.drawn(form, lambda: draw_attention(why, style), caption)
    cells = why_cells(why)
    return FigureFile.drawn(form, lambda: draw_cells(cells, style), caption)


def why_cells(why: Why) -> CellFigure:
    """Return the map of a cell's contributions: heads, attention and MLP of each block.

    Raises:
        LensError: if the cell is of the row of the embedding.
    """
    names, numbers = contribution_map(why.contributions)
    if not len(numbers):
        raise LensError("There is no map of row emb, which no block has written to: choose a later row.")
    scale = contribution_scale(why.contributions)
    texts = [
        ["" if np.isnan(number) else fixed_text(number, 2 if abs(number) < 10 else 1) for number in row]
        for row in numbers[::-1].tolist()
    ]
    return CellFigure(
        [Panel(why.cell, texts, scale.levels(numbers)[::-1].tolist())],
        names,
        [str(block) for block in reversed(range(len(numbers)))],
        "attention head",
        "block",
        scale,
        "contribution to the logit, nats",
        (fixed_text(scale.lo, 2), "0", fixed_text(scale.hi, 2)),
        wraps=False,
    )


def why_caption(why: Why, command: str, *, framed: bool) -> Caption:
    """Return the caption of a map, or of what one head read.

    Args:
        why: the contributions.
        command: the command that makes the figure again.
        framed: whether cells below 0 have a frame.
    """
    if why.head is None:
        title, frames = f"What wrote the logit: {why.cell}", FRAMED if framed else ""
    else:
        title, frames = f"What attention head {why.head} read: {why.cell}", ""
    parts = "" if why.head is not None else "attn: all of a block's attention; mlp: its MLP"
    notes = (parts, why.sum, *reasons_of(why), DIRECT, frames, _left_out(why))
    return Caption(title, notes, why.source, prompt_lines([("Prompt", why.prompt)]), command)


def _left_out(why: Why) -> str:
    count = why.contributions.column + 1
    if why.head is None or count <= _MOST:
        return ""
    return f"the {_MOST} columns that contributed most, of {count}"


def draw_attention(why: Why, style: FigureStyle) -> Figure:
    """Return a figure of the attention of one head, and what it contributed by reading each column.

    Raises:
        LensError: if the chosen width cannot hold tokens, numbers and bars.
    """
    assert why.head is not None
    of = why.contributions
    block, head = of.head(why.head)
    columns = np.arange(of.column + 1)
    weights, shares = of.weights[block, head][columns], of.sources[block, head][columns]
    if len(columns) > _MOST:
        columns = np.sort(np.argsort(-np.abs(shares), kind="stable")[:_MOST])
        weights, shares = weights[columns], shares[columns]
    tokens = [f"{clip(why.texts[of.ids[column]], _TOKEN)} ({column})" for column in columns.tolist()]
    label = max(map(text_width, tokens)) + 2.0
    heading = f"attention head {why.head} in column {of.column}"
    least = max(label + 2 * (_NUMBER + _LEAST_BAR), text_width(heading)) + 2 * MARGIN
    width = style.width_mm or max(90.0, least)
    if width < least:
        raise too_narrow(width, float(np.ceil(least)))
    figure, page = new_page(width, 2 * MARGIN + (len(tokens) + 2.4) * _ROW)
    room = (width - 2 * MARGIN - label) / 2
    _text(page, MARGIN, 0, heading)
    starts = (MARGIN + label, MARGIN + label + room)
    for x, name in zip(starts, ("attention", "contribution, nats"), strict=True):
        _text(page, x, 1, name, colour=FAINT)
    for line, token in enumerate(tokens):
        _text(page, MARGIN, line + 2, token)
    _bars(page, weights, at=starts[0], room=room, digits=3, style=style)
    _bars(page, shares, at=starts[1], room=room, digits=3, style=style)
    return figure


def _bars(
    page: Axes, numbers: np.ndarray, *, at: float, room: float, digits: int, style: FigureStyle
) -> None:
    """Draw numbers with bars behind them, which begin at 0: to the left of it below 0."""
    low, high = min(0.0, float(np.nanmin(numbers))), max(0.0, float(np.nanmax(numbers)))
    unit = (room - _NUMBER - 3.0) / ((high - low) or 1.0)
    zero = at + _NUMBER + 1.0 - low * unit
    top, bottom = MARGIN + 2 * _ROW, MARGIN + (len(numbers) + 2) * _ROW
    page.plot([zero, zero], [top, bottom], color=RULE, lw=0.4)
    for line, number in enumerate(numbers.tolist()):
        y = top + line * _ROW
        _text(page, at + _NUMBER, line + 2, fixed_text(number, digits), align="right")
        level = LEVELS - 2 if number > 0 else STEPS + 1
        colour = cell_colour(level, greyscale=style.greyscale)
        left, right = sorted((zero, zero + (0.0 if np.isnan(number) else number) * unit))
        page.fill(
            [left, right, right, left], [y + 0.5, y + 0.5, y + _ROW - 0.5, y + _ROW - 0.5], color=colour, lw=0
        )


def _text(page: Axes, x: float, line: int, text: str, *, align: str = "left", colour: str = INK) -> None:
    baseline = MARGIN + (line + 0.5) * _ROW + 0.36 * FONT * POINT
    page.text(x, baseline, text, ha=align, va="baseline", color=colour, size=FONT)
