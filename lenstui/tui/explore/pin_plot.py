"""The plot of the pins' probability, rank or log-probability by row, in the cursor's column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from textual_hires_canvas import HiResMode

from lenstui.model.rows import stream_places
from lenstui.readout.number_texts import nats_text
from lenstui.tui.grid.pins import Pinned
from lenstui.tui.grid.plotted import PLOTTED
from lenstui.tui.shared.axis import Axis, even_axis, even_axis_down, highest_of, rank_axis
from lenstui.tui.shared.plot import Plot

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells, FloatArray

# The name and the drawing mode of the curves of each side after the first.
_LINES = {1: ("lines", HiResMode.BRAILLE), 2: ("blocks", HiResMode.QUADRANT)}
_LEAST_TOP = 1e-5  # the least top of the axis: curves of smaller probabilities may lie flat


@dataclass(frozen=True, slots=True)
class PlottedNumber:
    """A number of the pins that can be plotted.

    Attributes:
        title: the title of the plot.
        of: returns the numbers of all cells, `[rows, cols, pins]`; NaN where there are none.
        axis: returns an axis that all the numbers of some curves fit on.
        of_word: returns the numbers of a whole word from its log-probabilities, `[rows]`; None where it has
            none of this kind, and its first token stands for it.
    """

    title: str
    of: Callable[[Cells], FloatArray]
    axis: Callable[[Sequence[FloatArray]], Axis]
    of_word: Callable[[FloatArray], FloatArray] | None = None


def percent_text(tick: float) -> str:
    """Return a probability as text for an axis, without needless digits: `50%`, `2.5%`, `0.005%`."""
    return f"{100 * tick:.3g}%"


def _ranks(cells: Cells) -> FloatArray:
    return np.where(cells.pin_ranks < 0, np.nan, cells.pin_ranks).astype(np.float32)


PLOTTED_NUMBERS: Mapping[str, PlottedNumber] = dict(
    zip(
        PLOTTED,
        (
            PlottedNumber(
                "probability by row",
                lambda cells: np.exp(cells.pin_logprobs),
                lambda curves: even_axis(highest_of(curves, _LEAST_TOP), percent_text),
                np.exp,
            ),
            PlottedNumber(
                "rank by row, 0 is first",
                _ranks,
                lambda curves: rank_axis(highest_of(curves, 1)),
            ),
            PlottedNumber(
                "log-probability by row, nats",
                lambda cells: cells.pin_logprobs,
                lambda curves: even_axis_down(-highest_of([-curve for curve in curves], 1), nats_text),
                lambda logprobs: logprobs,
            ),
        ),
        strict=True,
    )
)


class PinPlot(Plot):
    """A plot of the pins by row: a digit per pin for the first side, a line per pin for each other side."""

    DEFAULT_CSS = """
    PinPlot {
        height: 100%;
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.drawn: tuple[object, ...] = ()

    def show(
        self,
        pins: Sequence[Pinned],
        cells: Sequence[Cells | None],
        rows: Sequence[str],
        column: int,
        names: Sequence[str],
        *,
        plotted: str = PLOTTED[0],
        words: Sequence[Sequence[FloatArray | None]] = (),
    ) -> None:
        """Draw the pins' numbers in the rows of the residual stream, if anything has changed.

        Args:
            pins: the pins.
            cells: the cells of each side, None where nothing is read.
            rows: the labels of all rows.
            column: the column of the cursor.
            names: the names of the sides.
            plotted: the number of the pins to plot, one of `PLOTTED`.
            words: by side and pin, the log-probabilities of the whole word that a pin begins, `[rows]`; None
                where there are none, which draws nothing.
        """
        places = stream_places(rows)
        rows = [rows[place] for place in places]
        number = PLOTTED_NUMBERS[plotted]
        curves = {
            place: number.of(of_side)[places, column]
            for place, of_side in enumerate(cells)
            if of_side is not None and of_side.pin_logprobs.shape[2] == len(pins)
        }
        begun = [index for index, pin in enumerate(pins) if pin.word]
        if number.of_word is not None:
            for place, index in product(curves, begun):
                whole = words[place][index] if words else None
                curves[place][:, index] = np.nan if whole is None else number.of_word(whole[places])
        what = "1st token of" if number.of_word is None else "whole"
        which = f"{what} {', '.join(str(index + 1) for index in begun)} · " if begun else ""
        self.border_title = f"{which}{number.title}"  # the end of a title may be cut
        marks = [f"digits: {names[0]}", *(f"{_LINES[place][0]}: {names[place]}" for place in curves if place)]
        self.border_subtitle = " · ".join(marks)
        by_side = ((place, curve.tobytes()) for place, curve in curves.items())
        drawn = (tuple(pins), tuple(rows), plotted, *by_side)
        if drawn == self.drawn:
            return
        self.drawn = drawn
        self.clear()
        axis = number.axis(list(curves.values()))
        self.scale(rows, axis)
        heights = {place: axis.height(curve) for place, curve in curves.items()}
        for place, of_side in heights.items():
            for index, pin in enumerate(pins) if place else ():
                _, mode = _LINES[place]
                self.plot(range(len(rows)), of_side[:, index], line_style=pin.colour, hires_mode=mode)
        for index, pin in enumerate(pins) if 0 in heights else ():
            self.scatter(
                range(len(rows)), heights[0][:, index], marker=str(index + 1), marker_style=pin.colour
            )
        if self.size:
            self.render()  # now, since rendering during painting would paint the plot twice
