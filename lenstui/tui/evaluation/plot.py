"""The plot of a measure of an evaluation by row, a curve for each lens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from lenstui.evaluation.measures import Measure
from lenstui.support.printable import printable
from lenstui.tui.shared.axis import Axis, even_axis, highest_of, log_axis
from lenstui.tui.shared.curves import LOOKS, Array, CurvePlot

if TYPE_CHECKING:
    from lenstui.export.evaluation import Evaluated

_LEAST_TOP = 1e-3  # the least top of the axis: curves of smaller numbers may lie flat
_AS_POWERS = 1e5  # numbers from here on are labelled as powers of ten


class EvaluationPlot(CurvePlot):
    """A plot of one measure, its standard errors as bars."""

    DEFAULT_CSS = """
    EvaluationPlot {
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        background: $surface;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, tuple[Array, Array | None]] = {}  # by lens, as drawn

    def show(self, of: Evaluated, measure: Measure) -> None:
        """Draw a measure of all lenses that it was taken of."""
        self.curves = {}
        for lens, quality in of.qualities.items():
            if values := quality.of(measure.name):
                errors = quality.sem.get(measure.name)
                self.curves[lens] = np.array(values), None if errors is None else np.array(errors)
        self.border_title = Text(f"{measure.head} by row: {measure.label}")
        keys = [f"{LOOKS[at % len(LOOKS)][1]} {printable(lens)}" for at, lens in enumerate(self.curves)]
        has_errors = any(errors is not None for _, errors in self.curves.values())
        self.border_subtitle = Text(" · ".join([*keys, *["bars: ± standard error"] * has_errors]))
        numbers = [ends for curve in self.curves.values() for ends in _ends(*curve)]
        self.draw(of.rows, self.curves, axis_of(measure, numbers) if self.curves else None)


def _ends(numbers: Array, errors: Array | None) -> tuple[Array, ...]:
    """Return numbers, and the upper ends of their error bars."""
    return (numbers,) if errors is None else (numbers, numbers + np.nan_to_num(errors))


def axis_of(measure: Measure, numbers: Sequence[Array]) -> Axis:
    """Return the axis of a measure, on which all finite numbers have room."""
    if measure.name != "perplexity":
        return even_axis(highest_of(numbers, _LEAST_TOP), _share_text if measure.is_share else _text)
    highest = highest_of(numbers, 1.0)
    lowest = min((float(each[np.isfinite(each)].min(initial=highest)) for each in numbers), default=1.0)
    return log_axis(max(lowest, 1.0), highest, _text)


def _text(tick: float) -> str:
    return f"{tick:.0e}".replace("e+0", "e") if tick >= _AS_POWERS else f"{tick:.5g}"


def _share_text(tick: float) -> str:
    return f"{100 * tick:.3g}%"
