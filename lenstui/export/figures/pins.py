"""The pin plot as a figure: the numbers of the pinned words by row, in one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.figures.caption import Caption, prompt_lines
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.tidy import Heading, TokenText, pin_text, word_logprobs
from lenstui.lens.names import lens_title
from lenstui.model.rows import stream_places
from lenstui.readout.cells import Cells
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.readout.pins import Pin
    from lenstui.readout.tiles import Readout


def pin_figure(
    form: str,
    readout: Readout,
    heading: Heading,
    texts: TokenText,
    style: FigureStyle,
    *,
    column: int | None,
    command: str,
) -> FigureFile:
    """Return the figure of the pinned words in one column.

    Args:
        form: one of the `FIGURE_FORMS`.
        readout: the readout.
        heading: its heading, with the pins.
        texts: display texts of all tokens in it.
        style: how it looks.
        column: the column; None for the last.
        command: the command that makes the figure again.

    Raises:
        LensError: if there is no such column, its width is too small, or matplotlib is not installed.
    """
    curves = pin_curves(readout, heading, texts, column)
    caption = pin_caption(readout, heading, texts, column, command)
    return FigureFile.drawn(form, lambda: draw_curves(curves, style), caption)


def pin_curves(readout: Readout, heading: Heading, texts: TokenText, column: int | None) -> CurveFigure:
    """Return the pinned words' numbers by row in one column, a curve for each word and lens.

    A word of several tokens has its log-probability along all of them in the last column, and none elsewhere;
    its rank is that of its first token.

    Args:
        readout: the readout.
        heading: its heading, with the pins.
        texts: display texts of all tokens in it.
        column: the column; None for the last.

    Raises:
        LensError: if there is no such column.
    """
    at = pinned_column(readout, column)
    places = stream_places(readout.rows)
    is_last = at == len(readout.prompt.ids) - 1
    logprobs, probs, ranks = [], [], []
    for lens, cells in readout.lenses.items():
        for place, pin in enumerate(heading.pins):
            name = pin_text(texts, pin)
            name = f"{name} · {lens_title(lens)}" if len(readout.lenses) > 1 else name
            found = cells.pin_logprobs[:, at, place]
            if pin.rest:
                whole = word_logprobs(cells, lens, place, pin, heading.words) if is_last else None
                found = np.full_like(found, np.nan) if whole is None else whole
            of_rows = np.asarray(found, float)[places]
            logprobs.append(Curve(name, np.where(np.isfinite(of_rows), of_rows, np.nan).tolist()))
            probs.append(Curve(name, (100 * np.exp(of_rows)).tolist()))
            ranks.append(Curve(name, _ranks(cells, at, place)[places].tolist()))
    plots = (
        CurvePlot("probability", "probability, %", probs, (0.0, None)),
        CurvePlot("log-probability", "log-probability, nats", logprobs, (None, 0.0)),
        CurvePlot("rank, 0 is first", "rank (log scale)", ranks, scale="ranks"),
    )
    return CurveFigure(plots, "row", [readout.rows[place] for place in places])


def pinned_column(readout: Readout, column: int | None) -> int:
    """Return the column of a pin plot; for None the last.

    Raises:
        LensError: if there is no such column.
    """
    count = len(readout.prompt.ids)
    if column is None:
        return count - 1
    if column >= count:
        raise LensError(f"There is no column {column}: the prompt has columns 0 to {count - 1}.")
    return column


def pin_caption(
    readout: Readout, heading: Heading, texts: TokenText, column: int | None, command: str
) -> Caption:
    """Return the caption of a pin plot.

    Args:
        readout: the readout.
        heading: its heading, with the pins.
        texts: display texts of all tokens in it.
        column: the column; None for the last.
        command: the command that makes the figure again.
    """
    at = pinned_column(readout, column)
    lenses = " and ".join(map(lens_title, readout.lenses))
    title = f'Pinned words by row in column {at} "{texts[readout.prompt.ids[at]]}", {lenses}'
    of = "" if heading.source.beside else f" of {heading.source.title}"  # where the lenses' titles name both
    return Caption(
        f"{title}{of}",
        ("rows are those of the residual stream; in the last one all lenses agree", _of_words(heading.pins)),
        heading.source,
        prompt_lines([("Prompt", readout.prompt)]),
        command,
    )


def _of_words(pins: Sequence[Pin]) -> str:
    if not any(pin.rest for pin in pins):
        return ""
    return "…: a word of several tokens, log-probability along all of them, rank of the first"


def _ranks(cells: Cells, column: int, place: int) -> np.ndarray:
    """Return the ranks of a pinned token in a column, `[rows]`, NaN where there are none."""
    ranks = cells.pin_ranks[:, column, place]
    return np.where(ranks < 0, np.nan, ranks).astype(float)
