"""A causal trace as a figure: the share that each patch recovers, by row or block and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lenstui.edits.trace_options import TraceOptions
from lenstui.export.figures.caption import Caption, prompt_lines
from lenstui.export.figures.cell_drawing import draw_cells
from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.grid import FRAMED
from lenstui.export.figures.style import FigureStyle
from lenstui.export.set_trace import TracedSet
from lenstui.export.text_width import clip
from lenstui.export.trace import Traced, share_text
from lenstui.readout.scales import Scale, round_top
from lenstui.support.fixed_text import fixed_text

_WIDEST = 10  # characters of a token above a column
_RECOVERED = (
    "recovered = (patched − corrupted) / (clean − corrupted) of the metric: 1 is all of it, 0 nothing"
)


def trace_figure(form: str, traced: Traced, style: FigureStyle, command: str) -> FigureFile:
    """Return the figure of a trace.

    Args:
        form: one of the `FIGURE_FORMS`.
        traced: the trace.
        style: how it looks.
        command: the command that makes the figure again.

    Raises:
        LensError: if its width cannot hold the columns, or matplotlib is not installed.
    """
    cells, caption = trace_cells(traced), trace_caption(traced, command, framed=style.greyscale)
    return FigureFile.drawn(form, lambda: draw_cells(cells, style), caption)


def set_trace_figure(form: str, traced: TracedSet, style: FigureStyle, command: str) -> FigureFile:
    """Return the figure of the mean traces of a prompt set, as `trace_figure` does."""
    cells, caption = set_trace_cells(traced), set_trace_caption(traced, command, framed=style.greyscale)
    return FigureFile.drawn(form, lambda: draw_cells(cells, style), caption)


def trace_cells(traced: Traced) -> CellFigure:
    """Return the map of a trace."""
    of = traced.trace
    return _cells({"recovered": of.recovered}, of.options, of.rows, traced.heads)


def set_trace_cells(traced: TracedSet) -> CellFigure:
    """Return the maps of the mean shares that are recovered, one for each group and one for all."""
    shown = {name.partition(" · ")[0]: means.recovered.mean for name, means in traced.shown.items()}
    return _cells(shown, traced.options, traced.rows, traced.heads)


def _cells(
    maps: Mapping[str, npt.NDArray[np.floating]],
    options: TraceOptions,
    rows: Sequence[str],
    heads: Sequence[str],
) -> CellFigure:
    sizes = [float(np.nanmax(np.abs(shares), initial=0.0)) for shares in maps.values()]
    scale = Scale.around_zero(max(1.0, round_top(max(*sizes, 0.01))))
    is_heads = options.what == "head"
    return CellFigure(
        [
            Panel(
                title,
                [[share_text(number) for number in row] for row in shares[::-1].tolist()],
                scale.levels(shares.astype(np.float32))[::-1].tolist(),
            )
            for title, shares in maps.items()
        ],
        [clip(head, _WIDEST) for head in heads],
        rows[::-1],
        "attention head" if is_heads else "token of the corrupted prompt",
        "row" if options.what == "resid" else "block",
        scale,
        "share recovered",
        (fixed_text(-scale.hi, 1), "0", fixed_text(scale.hi, 1)),
        wraps=not is_heads,
    )


def trace_caption(traced: Traced, command: str, *, framed: bool) -> Caption:
    """Return the caption of a trace.

    Args:
        traced: the trace.
        command: the command that makes the figure again.
        framed: whether cells below 0 have a frame.
    """
    prompts = prompt_lines([("Clean prompt", traced.clean), ("Corrupted prompt", traced.corrupted)])
    notes = (_RECOVERED, traced.corruption, FRAMED if framed else "")
    return Caption(f"{traced.title[0].upper()}{traced.title[1:]}", notes, traced.source, prompts, command)


def set_trace_caption(traced: TracedSet, command: str, *, framed: bool) -> Caption:
    """Return the caption of the mean traces of a prompt set, as `trace_caption` does."""
    notes = (_RECOVERED, *traced.shown, traced.corruption, FRAMED if framed else "")
    title = f"{traced.title[0].upper()}{traced.title[1:]}"
    return Caption(title, notes, traced.source, (f"Prompts: {traced.prompts}",), command)
