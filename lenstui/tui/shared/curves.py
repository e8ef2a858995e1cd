"""Plots of curves by row with error bars, each in a colour and with a mark of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from textual_hires_canvas import HiResMode

from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.tui.shared.axis import Axis

Array = npt.NDArray[np.float64]

# The looks of the curves, in their order: a colour of the theme, and a mark.
LOOKS = (
    *(("accent", "○"), ("primary", "●"), ("secondary", "◆")),
    *(("warning", "△"), ("success", "▲"), ("error", "◇")),
)
_APART = 0.08  # rows between the error bars of two curves, so that none hides another


class CurvePlot(Plot):
    """A plot of numbers by row, a curve for each lens or run."""

    def draw(
        self,
        rows: Sequence[str],
        curves: Mapping[str, tuple[Array, Array | None]],
        axis: Axis | None,
        looks: Sequence[tuple[str, str]] = LOOKS,
    ) -> None:
        """Draw curves, in the looks of their order.

        Args:
            rows: the labels of the rows.
            curves: by name, the numbers and their standard errors, `[rows]`; NaN where there is none.
            axis: the axis of the numbers; None where there are none.
            looks: a colour of the theme and a mark for each curve.
        """
        self.clear()
        self.scale(rows, axis)
        if axis is not None:
            middle = (len(curves) - 1) / 2
            for at, (curve, look) in enumerate(zip(curves.values(), cycle(looks), strict=False)):
                self._draw_curve(*curve, axis, look, beside=_APART * (at - middle))
        if self.size:
            self.render()  # now, since rendering during painting would paint the plot twice

    def _draw_curve(
        self, numbers: Array, errors: Array | None, axis: Axis, look: tuple[str, str], *, beside: float
    ) -> None:
        """Draw a curve through its marks; its error bars are somewhat `beside` them, in rows."""
        colour, mark = rich_colour(self.app, look[0]), look[1]
        height = axis.height(numbers)
        places = np.flatnonzero(np.isfinite(height))
        if errors is not None:
            for place in places[np.isfinite(errors[places])].tolist():
                ends = axis.height(numbers[place] + errors[place] * np.array([-1.0, 1.0]))
                across = [place + beside, place + beside]
                self.plot(across, ends, line_style=colour, hires_mode=HiResMode.BRAILLE)
        self.plot(places, height[places], line_style=colour, hires_mode=HiResMode.BRAILLE)
        self.scatter(places, height[places], marker=mark, marker_style=colour)
