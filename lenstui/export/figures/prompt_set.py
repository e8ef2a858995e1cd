"""The means over a prompt set as a figure: by row, a line for each lens and group, with standard errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from lenstui.export.figures.caption import Caption
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import EFFECT, MeanColumn
from lenstui.lens.names import lens_title
from lenstui.readout.sets.mean_values import MeanValue


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
    """Return the means of a value by row: a plot for each lens, a curve for each group and run.

    Args:
        columns: the means over each group and over all.
        heading: the heading of the set.
        value: the value.
    """
    lenses = list(dict.fromkeys(chain.from_iterable(column.means.lenses for column in columns)))
    effects = [column for column in columns if column.run == "effect"]
    runs = [column for column in columns if column.run != "effect"]
    plots = [_plot(runs, lens, value, lens_title(lens)) for lens in lenses]
    plots += [_plot(effects, lens, value, f"effect, {lens_title(lens)}") for lens in lenses if effects]
    return CurveFigure(plots, "row", heading.rows)


def _plot(columns: Iterable[MeanColumn], lens: str, value: MeanValue, title: str) -> CurvePlot:
    is_effect = title.startswith("effect")
    factor = 100.0 if value.is_share else 1.0
    curves = []
    for column in columns:
        means, errors = value.of(column.means.lenses[lens])
        of_errors = () if errors is None else (factor * errors).tolist()
        curves.append(Curve(column.head, (factor * means).tolist(), of_errors))
    unit = ", points" if value.is_share and is_effect else ", %" if value.is_share else ""
    axis = f"{value.plotted}{unit}"
    if is_effect:
        return CurvePlot(title, axis, curves)
    if value.is_rank:
        return CurvePlot(title, f"{axis} (log scale)", curves, scale="ranks")
    return CurvePlot(title, axis, curves, (None, 0.0) if value.is_logprob else (0.0, None))


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
    has_effect = any(column.run == "effect" for column in columns)
    notes = (
        "bars: ± standard error over the prompts; in brackets the number of prompts"
        if value.error_format is not None
        else "in brackets the number of prompts",
        EFFECT if has_effect else "",
    )
    title = f"{value.plotted[0].upper()}{value.plotted[1:]} by row, {heading.source.title}"
    return Caption(title, notes, heading.source, (f"Prompts: {heading.prompts}",), command)
