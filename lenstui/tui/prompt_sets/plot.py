"""Means over the prompts that are shown, by row, for both lenses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.text import Text
from textual_hires_canvas import HiResMode

from lenstui.readout.values import nats_text, probability_text, rank_text
from lenstui.tui.shared.axis import Axis, even_axis, highest_of, rank_axis
from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.readout.sets.means import LensMeans, Mean, SetMeans

_Array = npt.NDArray[np.float64]
_COLOURS = {"logit": "accent", "tuned": "primary"}  # of the theme
_BESIDE = {"logit": -0.04, "tuned": 0.04}  # of a row, so that no bar hides another
_MARKS = {"logit": "○", "tuned": "●"}


@dataclass(frozen=True, slots=True)
class PlottedMean:
    """One of the means that may be plotted.

    Attributes:
        key: as the command line spells it.
        label: what it is.
        of_target: whether it is over the prompts that have a target.
        of: its numbers and their standard errors, by row; None where there are none.
        format: one number as text.
        is_rank: the axis is that of ranks.
    """

    key: str
    label: str
    of_target: bool
    of: Callable[[LensMeans], tuple[_Array, _Array | None]]
    format: Callable[[float], str]
    is_rank: bool = False


def _with_error(mean: Mean) -> tuple[_Array, _Array]:
    return mean.mean, mean.sem


PLOTTED_MEANS = (
    PlottedMean(
        "prob", "mean probability of the target", True,
        lambda means: _with_error(means.target_prob), probability_text,
    ),
    PlottedMean(
        "rank", "median rank of the target", True,
        lambda means: (means.target_median_rank, None), rank_text, is_rank=True,
    ),
    PlottedMean("entropy", "mean entropy, nats", False, lambda means: _with_error(means.entropy), nats_text),
    PlottedMean("kl", "mean KL from final, nats", False, lambda means: _with_error(means.kl), nats_text),
)  # fmt: skip


class SetPlot(Plot):
    """One kind of mean by row, for both lenses."""

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
        self.curves: Mapping[str, tuple[_Array, _Array | None]] = {}  # as they are drawn

    def show(
        self, means: SetMeans | None, value: PlottedMean, rows: Sequence[str], about: Sequence[str]
    ) -> None:
        """Draw anew.

        Args:
            means: over the prompts that are shown; None where none was read.
            value: which of them to draw.
            rows: labels of the rows that were read.
            about: which prompts these are, if they are not all.
        """
        n = 0 if means is None else means.n_target if value.of_target else means.n
        self.border_title = Text(" · ".join([value.label, f"n = {n}", *about]))
        self.curves = {name: value.of(lens) for name, lens in means.lenses.items()} if means and n else {}
        keys = [f"{_MARKS[name]} {name}" for name in self.curves]
        if any(error is not None and np.isfinite(error).any() for _, error in self.curves.values()):
            keys.append("bars: ± standard error")
        self.border_subtitle = " · ".join(keys)
        self._draw(value, rows)

    def _draw(self, value: PlottedMean, rows: Sequence[str]) -> None:
        self.clear()
        axis = self._axis_of(value)
        self.scale(rows, axis if self.curves else None)
        for name, (mean, error) in self.curves.items():
            colour, height = rich_colour(self.app, _COLOURS[name]), axis.height(mean)
            places = np.flatnonzero(np.isfinite(height))
            if error is not None:
                for place in places[np.isfinite(error[places])].tolist():
                    ends = [mean[place] - error[place], mean[place] + error[place]]
                    beside = place + _BESIDE[name]
                    self.plot([beside, beside], ends, line_style=colour, hires_mode=HiResMode.BRAILLE)
            self.plot(places, height[places], line_style=colour, hires_mode=HiResMode.BRAILLE)
            self.scatter(places, height[places], marker=_MARKS[name], marker_style=colour)
        if self.size:
            self.render()  # now: while it is painted would have it painted twice

    def _axis_of(self, value: PlottedMean) -> Axis:
        """One that all the means are on, and the ends of their bars."""
        curves = self.curves.values()
        tops = [mean if error is None else mean + np.nan_to_num(error) for mean, error in curves]
        if value.is_rank:
            return rank_axis(highest_of(tops, 1))
        return even_axis(highest_of(tops, 0.01), value.format)
