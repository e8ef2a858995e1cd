"""An evaluation of lenses as a figure: each measure by row, a line for each lens, with standard errors."""

from __future__ import annotations

from collections.abc import Sequence

from lenstui.evaluation.measures import Measure
from lenstui.export.evaluation import Evaluated
from lenstui.export.evaluation_table import captions
from lenstui.export.figures.caption import Caption
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.lens.names import lens_title


def evaluation_figure(
    form: str, of: Evaluated, measures: Sequence[Measure], style: FigureStyle, command: str
) -> FigureFile:
    """Return the figure of an evaluation.

    Args:
        form: one of the `FIGURE_FORMS`.
        of: the evaluation.
        measures: the measures to show.
        style: how it looks.
        command: the command that makes the figure again.

    Raises:
        LensError: if its width is too small, or matplotlib is not installed.
    """
    curves = evaluation_curves(of, measures)
    return FigureFile.drawn(form, lambda: draw_curves(curves, style), evaluation_caption(of, command))


def evaluation_curves(of: Evaluated, measures: Sequence[Measure]) -> CurveFigure:
    """Return a plot for each measure that was taken.

    Args:
        of: the evaluation.
        measures: the measures to show.
    """
    return CurveFigure(
        [_plot(of, measure) for measure in measures if of.first.of(measure.name)], "row", of.rows
    )


def _plot(of: Evaluated, measure: Measure) -> CurvePlot:
    factor = 100.0 if measure.is_share else 1.0
    curves = [
        Curve(
            lens_title(name),
            [factor * value for value in quality.of(measure.name)],
            [factor * error for error in quality.sem.get(measure.name, ())],
        )
        for name, quality in of.qualities.items()
    ]
    axis = f"{measure.head}, {measure.unit}" if measure.unit else measure.head
    return CurvePlot(
        f"{measure.head}: {measure.label}", axis, curves, (0.0, 100.0 if measure.is_share else None)
    )


def evaluation_caption(of: Evaluated, command: str) -> Caption:
    """Return the caption of an evaluation.

    Args:
        of: the evaluation.
        command: the command that makes the figure again.
    """
    title = f"Evaluation of lenses of {of.source.title} on {', '.join(of.data)}"
    notes = tuple(captions(of)[:-1])  # the last one is the source
    return Caption(title, notes, of.source, (f"Text: {', '.join(of.data)}",), command)
