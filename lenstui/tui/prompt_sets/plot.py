"""The plot of means over the shown cases of a prompt set, by row, for every lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from lenstui.readout.sets.mean_values import MeanValue
from lenstui.tui.shared.axis import Axis, axis_around_zero, even_axis, even_axis_down, highest_of, rank_axis
from lenstui.tui.shared.curves import LOOKS, Array, CurvePlot

if TYPE_CHECKING:
    from lenstui.readout.sets.means import SetMeans


class SetPlot(CurvePlot):
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
        self.curves: Mapping[str, tuple[Array, Array | None]] = {}  # means and their errors, as drawn

    def show(
        self, runs: Mapping[str, SetMeans], value: MeanValue, rows: Sequence[str], about: Sequence[str]
    ) -> None:
        """Draw the means of a value.

        Args:
            runs: the means over the cases that are shown, nothing where none was read: under an empty name,
                or those of both runs, and of their difference, which is said, under the names of a `Pairing`.
            value: the value whose means are drawn.
            rows: the labels of the rows that were read.
            about: the group and the words of the filter, if not all cases are shown.
        """
        n = max(map(value.n, runs.values()), default=0)
        first = next(filter(None, (value.first_text(means) for means in runs.values())), None)
        *both, difference = runs if len(runs) > 1 else (*runs, "")
        effect = [_effect_text(difference, runs[difference], value, rows)] if n and difference else []
        said = [value.plotted, f"n = {n}", *([first] if first else []), *effect, *about]
        self.border_title = Text(" · ".join(said))
        drawn = {run: runs[run] for run in both if n}
        self.curves = {
            f"{lens} {run}".rstrip(): value.of(of_lens)
            for run, means in drawn.items()
            for lens, of_lens in means.lenses.items()
        }
        lenses = list(next(iter(drawn.values())).lenses) if drawn else []
        marks = [mark for _, (_, mark) in zip(self.curves, cycle(LOOKS), strict=False)]
        keys = [f"{' '.join(marks[at :: len(lenses)])} {lens}" for at, lens in enumerate(lenses)]
        if len(drawn) > 1:
            keys[0] = f"{', '.join(drawn)}: {keys[0]}"
        if any(error is not None and np.isfinite(error).any() for _, error in self.curves.values()):
            keys.append("bars: ± standard error")
        self.border_subtitle = " · ".join(keys)
        self.draw(rows, self.curves, self._axis_of(value) if self.curves else None)

    def _axis_of(self, value: MeanValue) -> Axis:
        """Return an axis that fits all the means and the outer ends of their error bars."""
        curves = self.curves.values()
        if value.is_logprob:
            depths = [-mean if error is None else np.nan_to_num(error) - mean for mean, error in curves]
            return even_axis_down(-highest_of(depths, 1), value.format)
        tops = [mean if error is None else mean + np.nan_to_num(error) for mean, error in curves]
        if value.is_rank:
            return rank_axis(highest_of(tops, 1))
        if value.is_signed:
            bottoms = [-mean if error is None else np.nan_to_num(error) - mean for mean, error in curves]
            return axis_around_zero(highest_of(bottoms, 0), highest_of(tops, 0), value.format)
        return even_axis(highest_of(tops, 0.01), value.format)


def _effect_text(name: str, effect: SetMeans, value: MeanValue, rows: Sequence[str]) -> str:
    """Return the mean difference of both runs in one row by the first lens, with its standard error."""
    mean, error = value.of(next(iter(effect.lenses.values())))
    at = telling_row(mean)
    where = "the last row" if at == len(mean) - 1 else f"row {rows[at]}"
    return f"{name} in {where} {value.difference_text(float(mean[at]))}{_error_text(value, error, at)}"


def telling_row(differences: Array) -> int:
    """Return the row in which a difference is said: the last; where it is 0 there, the one of the largest.

    Lenses of one model agree in the last row.
    """
    if differences[-1] or not np.isfinite(differences).any():
        return len(differences) - 1
    return int(np.nanargmax(np.abs(differences)))


def side_means(runs: Mapping[str, SetMeans], value: MeanValue, rows: Sequence[str]) -> list[str]:
    """Return a line for each lens: the means by both sides in one row, and their difference, with errors.

    Args:
        runs: the means by the first side, the second, and of their paired differences, by their names.
        value: the value of which they are the means.
        rows: the labels of the rows that were read.
    """
    *sides, difference = runs.items()
    lines = []
    for lens, of_lens in difference[1].lenses.items():
        mean, error = value.of(of_lens)
        at = telling_row(mean)
        parts = []
        for name, means in sides:
            of_side, error_of_side = value.of(means.lenses[lens])
            text = value.format(float(of_side[at]))
            parts.append(f"{name} {text}{_error_text(value, error_of_side, at)}")
        text = value.difference_text(float(mean[at]))
        parts.append(f"{difference[0]} {text}{_error_text(value, error, at)}")
        lines.append(f"{lens}, row {rows[at]}: {', '.join(parts)}")
    return lines


def _error_text(value: MeanValue, error: Array | None, at: int) -> str:
    """Return the standard error of a mean in a row, behind it; nothing where there is none."""
    if error is None or value.error_format is None or np.isnan(error[at]):
        return ""
    return f" ±{value.error_format(float(error[at]))}"
