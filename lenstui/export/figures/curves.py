"""Figures of curves: plots beside and below each other, with a line and standard errors for each curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lenstui.export.figures.page import (
    FONT,
    MARGIN,
    POINT,
    SMALL,
    new_page,
    text_width,
    too_narrow,
    wrapped_at,
)
from lenstui.export.figures.palette import FAINT, INK, RULE, line_of
from lenstui.export.figures.style import FigureStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths in millimetres.
_LEAST, _USUAL = 36.0, 60.0  # the width of a plot with its axis
_WIDEST = 90.0
_BESIDE = 12.0  # left of a plot, for its numbers
_ABOVE, _BELOW = 5.0, 9.0  # of a plot, for its title and for the labels of the rows
_SHAPE = 0.68  # height by width of a plot
_SAMPLE = 8.0  # of a line in the legend
_LINE = 3.8  # the height of a line of the legend
_TITLE_LINE = 2.8  # and of a title
_ACROSS = 3

Scale = Literal["linear", "ranks"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve.

    Attributes:
        name: its name in the legend; curves of one name look the same in all plots.
        values: its values, NaN where there is none.
        errors: their standard errors, likewise; empty for none.
        places: the places of the values on the axis; empty for 0, 1, 2 …
    """

    name: str
    values: Sequence[float]
    errors: Sequence[float] = ()
    places: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """One of the plots of a figure.

    Attributes:
        title: what it is of.
        axis: what the values are, with their unit.
        curves: its curves.
        ends: the ends of the axis; None where the values say.
        scale: `linear`, or `ranks`: even in log(1 + rank), with rank 0 on top.
    """

    title: str
    axis: str
    curves: Sequence[Curve]
    ends: tuple[float | None, float | None] = (None, None)
    scale: Scale = "linear"


@dataclass(frozen=True, slots=True)
class CurveFigure:
    """A figure of curves.

    Attributes:
        plots: its plots.
        across: what the horizontal axis is, with its unit.
        labels: the labels of the places 0, 1, 2 … on it; empty where it has numbers.
    """

    plots: Sequence[CurvePlot]
    across: str
    labels: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The names of all curves, each once."""
        return list(dict.fromkeys(curve.name for plot in self.plots for curve in plot.curves))


def draw_curves(curves: CurveFigure, style: FigureStyle) -> Figure:
    """Return the figure.

    Raises:
        LensError: if the chosen width cannot hold a plot and the longest name.
    """
    most = min(_ACROSS, len(curves.plots))
    width = style.width_mm or 2 * MARGIN + most * (_WIDEST if most == 1 else _USUAL)
    least = math.ceil(2 * MARGIN + max(_LEAST, *map(_entry_width, curves.names)))
    if width < least:
        if style.width_mm is not None:
            raise too_narrow(width, least)
        width = least
    across = max(1, min(most, int((width - 2 * MARGIN) // _LEAST)))
    share = (width - 2 * MARGIN) / across
    inner = share - _BESIDE - 2.0
    tall = min(_SHAPE * inner, _SHAPE * _WIDEST)
    legend = _legend_lines(curves.names, width)
    down = -(-len(curves.plots) // across)
    titles = [wrapped_at(plot.title, inner) for plot in curves.plots]
    above = _ABOVE + (max(map(len, titles)) - 1) * _TITLE_LINE
    whole = above + tall + _BELOW
    height = 2 * MARGIN + len(legend) * _LINE + down * whole
    figure, page = new_page(width, height)
    _draw_legend(page, legend, curves.names, style)
    top = MARGIN + len(legend) * _LINE
    for place, plot in enumerate(curves.plots):
        left = MARGIN + place % across * share + _BESIDE
        bottom = top + place // across * whole + above + tall
        axes = figure.add_axes(
            (left / width, 1 - bottom / height, inner / width, tall / height), facecolor="none"
        )
        _draw_plot(axes, curves, plot, style, width=inner)
    return figure


def _draw_plot(axes: Axes, curves: CurveFigure, plot: CurvePlot, style: FigureStyle, *, width: float) -> None:
    names = curves.names
    for curve in plot.curves:
        line = line_of(names.index(curve.name), greyscale=style.greyscale)
        values = np.asarray(curve.values, float)
        places = np.asarray(curve.places or range(len(values)), float)
        axes.plot(
            places, values, color=line.colour, linestyle=line.dashes, marker=line.marker,
            lw=0.9, ms=2.2 if len(values) <= 60 else 0, mew=0, clip_on=False,
        )  # fmt: skip
        errors = np.asarray(curve.errors, float)
        if np.isfinite(errors).any():
            axes.errorbar(
                places, values, yerr=np.nan_to_num(errors), fmt="none", ecolor=line.colour, elinewidth=0.5,
                capsize=1.2, capthick=0.5,
            )  # fmt: skip
    axes.grid(axis="y", color=RULE, lw=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, pad=1.5)
    axes.set_title("\n".join(wrapped_at(plot.title, width)), loc="left", size=FONT, pad=3, color=INK)
    axes.set_ylabel(plot.axis, size=SMALL, color=FAINT, labelpad=1.5)
    axes.set_xlabel(curves.across, size=SMALL, color=FAINT, labelpad=1.5)
    if plot.scale == "ranks":
        axes.set_yscale("function", functions=(np.log1p, np.expm1))
        highest = _highest_rank(curves)
        ticks = [0.0, *(10.0**power for power in range(1 + math.ceil(math.log10(highest))))]
        axes.set_yticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.set_ylim(highest, 0)
        axes.minorticks_off()
    else:
        axes.set_ylim(*plot.ends)
        axes.locator_params(axis="y", nbins=5)
    if curves.labels:
        count = len(curves.labels)
        room = width / max(count - 1, 1)
        widest = max(text_width(label, SMALL) for label in curves.labels) + 1
        shown = range(0, count, math.ceil(widest / room))
        axes.set_xticks(list(shown), [curves.labels[place] for place in shown])
        axes.set_xlim(-0.3, count - 0.7)


def _highest_rank(curves: CurveFigure) -> float:
    """Return the highest rank of all plots of ranks, which have one axis; at least 1."""
    plots = [plot for plot in curves.plots if plot.scale == "ranks"]
    ranks = np.concatenate([curve.values for plot in plots for curve in plot.curves])
    return float(np.nanmax(ranks, initial=1.0))


def _entry_width(name: str) -> float:
    return _SAMPLE + 1.5 + text_width(name) + 4


def _legend_lines(names: Sequence[str], width: float) -> list[list[str]]:
    """Return the names of the legend in lines that fit the width."""
    lines: list[list[str]] = []
    used = 0.0
    for name in names:
        if not lines or used + _entry_width(name) > width - 2 * MARGIN:
            lines.append([])
            used = 0.0
        lines[-1].append(name)
        used += _entry_width(name)
    return lines


def _draw_legend(
    page: Axes, lines: Sequence[Sequence[str]], names: Sequence[str], style: FigureStyle
) -> None:
    """Draw a sample of each curve with its name behind it."""
    for number, line in enumerate(lines):
        x, y = MARGIN, MARGIN + (number + 0.5) * _LINE
        for name in line:
            look = line_of(names.index(name), greyscale=style.greyscale)
            page.plot([x, x + _SAMPLE], [y, y], color=look.colour, linestyle=look.dashes, lw=0.9)
            page.plot([x + _SAMPLE / 2], [y], color=look.colour, marker=look.marker, ms=2.5, mew=0)
            page.text(x + _SAMPLE + 1.5, y + 0.36 * FONT * POINT, name, va="baseline", color=INK, size=FONT)
            x += _entry_width(name)
