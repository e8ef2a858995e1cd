"""The plot of a mean by row over the matches of a query, against that over the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text
from textual_hires_canvas import HiResMode

from lenstui.lens.names import lens_title
from lenstui.readout.number_texts import nats_text
from lenstui.tui.scan.columns import MEASURES
from lenstui.tui.shared.axis import even_axis, even_axis_down, highest_of
from lenstui.tui.shared.plot import Plot
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.scan.matches import Matches

_LOOKS = (("matches", "primary", "●"), ("rest", "accent", "○"))


class MeansPlot(Plot):
    """A plot of two curves by row: the matches, and the rest."""

    DEFAULT_CSS = """
    MeansPlot {
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        background: $surface;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}  # as drawn

    def show(self, matches: Matches, measure: str, rows: Sequence[str]) -> None:
        """Draw the means of a measure.

        Args:
            matches: what was found.
            measure: the column of the measure.
            rows: the labels of the rows, `emb` first.
        """
        means = matches.means[matches.lens][measure]
        self.curves = {
            name: mean for (name, _, _), mean in zip(_LOOKS, means, strict=True) if np.isfinite(mean).any()
        }
        self.border_title = Text(f"mean {MEASURES[measure]} by row · {lens_title(matches.lens)} · nats")
        self.border_subtitle = " · ".join(f"{mark} {name}" for name, _, mark in _LOOKS if name in self.curves)
        self.clear()
        curves = list(self.curves.values())
        if measure == "next_logprob":
            axis = even_axis_down(-highest_of([-mean for mean in curves], 0.1), nats_text)
        else:
            axis = even_axis(highest_of(curves, 0.01), nats_text)
        self.scale(rows, axis if curves else None)
        for name, colour_name, mark in _LOOKS:
            if name in self.curves:
                colour, mean = rich_colour(self.app, colour_name), self.curves[name]
                places = np.flatnonzero(np.isfinite(mean))
                self.plot(places, mean[places], line_style=colour, hires_mode=HiResMode.BRAILLE)
                self.scatter(places, mean[places], marker=mark, marker_style=colour)
        if self.size:
            self.render()  # now, since rendering during painting would paint the plot twice
