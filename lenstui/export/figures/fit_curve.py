"""The curve of a fit as a figure: KL on held-out text by step, in the mean and in some rows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from lenstui.export.figures.caption import Caption
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.fit_curve import fit_notes, fit_source
from lenstui.lens.card import LensCard
from lenstui.lens.fit_history import FitPoint, curve_of
from lenstui.readout.cells import row_labels

_MOST_ROWS = 6  # that have a curve of their own


def fit_figure(form: str, card: LensCard, style: FigureStyle, command: str) -> FigureFile:
    """Return the figure of a fit.

    Args:
        form: one of the `FIGURE_FORMS`.
        card: the card of its lens.
        style: how it looks.
        command: the command that makes the figure again.

    Raises:
        LensError: if the card has no curve, the width is too small, or matplotlib is not installed.
    """
    points = curve_of(card.fit, card.name)
    curves = fit_curves(points, card)
    title = f"Held-out KL while {card.name} was fitted to {fit_source(card).title}"
    caption = Caption(title, tuple(fit_notes(points, card)), fit_source(card), (), command)
    return FigureFile.drawn(form, lambda: draw_curves(curves, style), caption)


def fit_curves(points: Sequence[FitPoint], card: LensCard) -> CurveFigure:
    """Return a plot of the mean over the rows by step, and one of some rows, evenly spaced.

    Args:
        points: the points.
        card: the card of the lens.
    """
    steps = [float(point.step) for point in points]
    mean = Curve("mean of all rows", [fmean(point.held_out_kl) for point in points], places=steps)
    labels = row_labels(card.blocks)
    count = len(points[-1].held_out_kl)
    shown = range(count) if count <= _MOST_ROWS else _spaced(count)
    rows = [
        Curve(f"row {labels[row]}", [point.held_out_kl[row] for point in points], places=steps)
        for row in shown
    ]
    axis = "KL to final, nats"
    plots = (
        CurvePlot("held-out KL, mean of all rows", axis, [mean], (0.0, None)),
        CurvePlot("held-out KL by row", axis, rows, (0.0, None)),
    )
    return CurveFigure(plots, "step")


def _spaced(count: int) -> list[int]:
    """Return some rows, evenly spaced, the first and the last among them."""
    return [round(place * (count - 1) / (_MOST_ROWS - 1)) for place in range(_MOST_ROWS)]
