"""The plot of means over the shown cases of a prompt set, by row, for every lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.text import Text
from textual_hires_canvas import HiResMode

from lenstui.readout.sets.mean_values import MeanValue
from lenstui.tui.shared.axis import Axis, even_axis, even_axis_down, highest_of, rank_axis
from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.readout.sets.means import SetMeans

_Array = npt.NDArray[np.float64]
# The looks of the lenses, in their order: a colour of the theme, and a mark.
_LOOKS = (("accent", "○"), ("primary", "●"), ("secondary", "◆"), ("warning", "△"), ("success", "▲"))
_APART = 0.08  # rows between the error bars of two lenses, so that none hides another


class SetPlot(Plot):
    """A plot of the means of one value by row, for every lens."""

    DEFAULT_CSS = """
    SetPlot {
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        background: $surface;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.curves: Mapping[str, tuple[_Array, _Array | None]] = {}  # means and their errors, as drawn

    def show(
        self, means: SetMeans | None, value: MeanValue, rows: Sequence[str], about: Sequence[str]
    ) -> None:
        """Draw the means of a value.

        Args:
            means: the means over the cases that are shown; None where none was read.
            value: the value whose means are drawn.
            rows: the labels of the rows that were read.
            about: the group and the words of the filter, if not all cases are shown.
        """
        n = 0 if means is None else means.n_target if value.of_target else means.n
        self.border_title = Text(" · ".join([value.plotted, f"n = {n}", *about]))
        self.curves = {name: value.of(lens) for name, lens in means.lenses.items()} if means and n else {}
        keys = [f"{mark} {name}" for name, (_, mark) in zip(self.curves, cycle(_LOOKS), strict=False)]
        if any(error is not None and np.isfinite(error).any() for _, error in self.curves.values()):
            keys.append("bars: ± standard error")
        self.border_subtitle = " · ".join(keys)
        self._draw(value, rows)

    def _draw(self, value: MeanValue, rows: Sequence[str]) -> None:
        self.clear()
        axis = self._axis_of(value)
        self.scale(rows, axis if self.curves else None)
        middle = (len(self.curves) - 1) / 2
        for lens, ((mean, error), (colour_name, mark)) in enumerate(
            zip(self.curves.values(), cycle(_LOOKS), strict=False)
        ):
            colour, height = rich_colour(self.app, colour_name), axis.height(mean)
            places = np.flatnonzero(np.isfinite(height))
            if error is not None:
                for place in places[np.isfinite(error[places])].tolist():
                    ends = [mean[place] - error[place], mean[place] + error[place]]
                    beside = place + _APART * (lens - middle)
                    self.plot([beside, beside], ends, line_style=colour, hires_mode=HiResMode.BRAILLE)
            self.plot(places, height[places], line_style=colour, hires_mode=HiResMode.BRAILLE)
            self.scatter(places, height[places], marker=mark, marker_style=colour)
        if self.size:
            self.render()  # now, since rendering during painting would paint the plot twice

    def _axis_of(self, value: MeanValue) -> Axis:
        """Return an axis that fits all the means and the outer ends of their error bars."""
        curves = self.curves.values()
        if value.is_logprob:
            depths = [-mean if error is None else np.nan_to_num(error) - mean for mean, error in curves]
            return even_axis_down(-highest_of(depths, 1), value.format)
        tops = [mean if error is None else mean + np.nan_to_num(error) for mean, error in curves]
        if value.is_rank:
            return rank_axis(highest_of(tops, 1))
        return even_axis(highest_of(tops, 0.01), value.format)
