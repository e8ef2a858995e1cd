"""The means over a prompt set as a figure: by row, a line for each lens and group, with standard errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, cycle

import numpy as np

from lenstui.export.figures.caption import Caption
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import EDITED, SIDES, MeanColumn, effect_text
from lenstui.export.table import summary
from lenstui.lens.names import lens_title
from lenstui.readout.sets.mean_values import MeanValue

_DIFFERENCES = (EDITED[2], SIDES[2])
_ANY = (None, None)  # ends that the values say


def set_figure(
    form: str,
    columns: Sequence[MeanColumn],
    heading: SetHeading,
    value: MeanValue,
    *,
    style: FigureStyle,
    command: str,
) -> FigureFile:
    """Return the figure of the means over a prompt set.

    Args:
        form: one of the `FIGURE_FORMS`.
        columns: the means over each group and over all.
        heading: the heading of the set.
        value: the value whose means are shown.
        style: how it looks.
        command: the command that makes the figure again.

    Raises:
        LensError: if its width is too small, or matplotlib is not installed.
    """
    curves, caption = set_curves(columns, heading, value), set_caption(columns, heading, value, command)
    return FigureFile.drawn(form, lambda: draw_curves(curves, style), caption)


def set_curves(columns: Sequence[MeanColumn], heading: SetHeading, value: MeanValue) -> CurveFigure:
    """Return the means of a value by row: a plot for each lens and, of pairs, run; a curve for each group.

    Args:
        columns: the means over each group and over all.
        heading: the heading of the set.
        value: the value.
    """
    lenses = dict.fromkeys(chain.from_iterable(column.means.lenses for column in columns))
    runs = dict.fromkeys(column.run for column in columns)
    plots = [
        _plot([column for column in columns if column.run == run], lens, run, value)
        for lens in lenses
        for run in runs
    ]
    tops = [_top(plot) for run, plot in zip(cycle(runs), plots, strict=False) if run not in _DIFFERENCES]
    if not value.is_logprob and not value.is_signed:  # both runs of pairs are to be compared by eye
        ends = (0.0, 1.05 * max(tops))
        plots = [plot if plot.ends == _ANY else replace(plot, ends=ends) for plot in plots]
    return CurveFigure(plots, "row", heading.rows)


def _plot(columns: Iterable[MeanColumn], lens: str, run: str, value: MeanValue) -> CurvePlot:
    factor = 100.0 if value.is_share else 1.0
    curves = []
    for column in columns:
        means, errors = value.of(column.means.lenses[lens])
        of_errors = () if errors is None else (factor * errors).tolist()
        curves.append(Curve(column.group, (factor * means).tolist(), of_errors))
    title = ", ".join(filter(None, (lens_title(lens), run)))
    if run in _DIFFERENCES:
        return CurvePlot(title, f"{value.plotted}{', points' * value.is_share}", curves, _ANY)
    axis = f"{value.plotted}{', %' * value.is_share}"
    if value.is_rank:
        return CurvePlot(title, f"{axis} (log scale)", curves, scale="ranks")
    if value.is_signed:
        return CurvePlot(title, axis, curves, _ANY)
    return CurvePlot(title, axis, curves, (None, 0.0) if value.is_logprob else (0.0, None))


def _top(plot: CurvePlot) -> float:
    """Return the highest value of a plot, with its error; at least a little above 0."""
    values = np.concatenate([curve.values for curve in plot.curves])
    errors = np.concatenate([curve.errors or [0.0] * len(curve.values) for curve in plot.curves])
    return float(np.nanmax(values + np.nan_to_num(errors), initial=1e-6))


def set_caption(
    columns: Sequence[MeanColumn], heading: SetHeading, value: MeanValue, command: str
) -> Caption:
    """Return the caption of the means over a prompt set.

    Args:
        columns: the means over each group and over all.
        heading: the heading of the set.
        value: the value.
        command: the command that makes the figure again.
    """
    runs = next((runs for runs in (EDITED, SIDES) if columns[-1].run == runs[2]), None)
    notes = (
        "bars: ± standard error over the prompts; in brackets the number of prompts"
        if value.error_format is not None
        else "in brackets the number of prompts",
        "" if runs is None else effect_text(runs),
        value.first_text(columns[-1].means),
        "" if heading.second is None else f"second: {summary(heading.second.source)}",
    )
    title = f"{value.plotted[0].upper()}{value.plotted[1:]} by row, {heading.source.title}"
    return Caption(title, notes, heading.source, (f"Prompts: {heading.prompts}",), command)
