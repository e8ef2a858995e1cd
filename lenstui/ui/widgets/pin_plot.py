"""The pins' probability by row, at the cursor's column, for both lenses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from textual_hires_canvas import HiResMode
from textual_plot import NumericAxisFormatter

from lenstui.export.values import round_top
from lenstui.lens.cells import Cells
from lenstui.lens.rows import stream_places
from lenstui.ui.pins import Pinned
from lenstui.ui.slots import Slots
from lenstui.ui.widgets.plot import Plot

_LEAST_TOP = 1e-5  # below that a curve may lie flat


class PinPlot(Plot):
    """A plot that nobody can get caught in: the logit lens as the pins' numbers, the tuned lens as lines."""

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
        self.border_title = "probability by row"
        self.drawn: tuple[object, ...] = ()

    def show(
        self,
        pins: Sequence[Pinned],
        cells: Mapping[str, Cells],
        rows: Sequence[str],
        column: int,
        slots: Slots,
    ) -> None:
        """Draw the residual stream's rows anew, if there is anything new."""
        places = stream_places(rows)
        rows = [rows[place] for place in places]
        curves = {
            lens: np.exp(of_lens.pin_logprobs[places, column])
            for lens, of_lens in cells.items()
            if of_lens.pin_logprobs.shape[2] == len(pins)
        }
        self.border_subtitle = f"digits: {slots.brief['logit']}"
        if "tuned" in curves:
            self.border_subtitle += f" · lines: {slots.brief['tuned']}"
        drawn = (tuple(pins), tuple(rows), *((lens, curve.tobytes()) for lens, curve in curves.items()))
        if drawn == self.drawn:
            return
        self.drawn = drawn
        numbers = np.concatenate([curve.ravel() for curve in curves.values()] or [np.zeros(1)])
        top = round_top(float(np.nanmax(numbers, initial=_LEAST_TOP)))
        self.clear()
        self.set_x_formatter(RowLabels(rows))
        self.set_y_formatter(Numbers(percent_text))
        self.set_xlimits(-0.5, len(rows) - 0.5)
        self.set_xticks(range(0, len(rows), -(-len(rows) // 8)))
        self.set_ylimits(0, top)
        self.set_yticks([0, top / 2, top])
        for place, pin in enumerate(pins):
            for lens, curve in curves.items():
                if lens == "tuned":
                    self.plot(
                        range(len(rows)), curve[:, place], line_style=pin.colour, hires_mode=HiResMode.BRAILLE
                    )
        for place, pin in enumerate(pins):
            if "logit" in curves:
                self.scatter(
                    range(len(rows)),
                    curves["logit"][:, place],
                    marker=str(place + 1),
                    marker_style=pin.colour,
                )
        if self.size:
            self.render()  # now: while it is painted would have it painted twice


def percent_text(tick: float) -> str:
    """A probability on the axis, with no digit more than it needs: `50%`, `2.5%`, `0.005%`."""
    return f"{100 * tick:.3g}%"


class RowLabels(NumericAxisFormatter):
    """Rows by their labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """The label of each."""
        return [self._labels[int(tick)] for tick in ticks]


class Numbers(NumericAxisFormatter):
    """Numbers as everywhere else on screen."""

    def __init__(self, text: Callable[[float], str]) -> None:
        self._text = text

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """The text of each."""
        return [self._text(tick) for tick in ticks]
