"""The plot of means by row: over the matches of a query against the rest, or of a comparison of two sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from lenstui.lens.names import lens_title
from lenstui.readout.number_texts import nats_text, probability_text
from lenstui.tui.scan.columns import MEASURES, PAIR_MEASURES
from lenstui.tui.shared.axis import Axis, even_axis, even_axis_down, highest_of
from lenstui.tui.shared.curves import CurvePlot

if TYPE_CHECKING:
    from lenstui.export.scan_comparison import Compared
    from lenstui.scan.matches import Matches

_LOOKS = (("matches", "primary", "●"), ("rest", "accent", "○"))
_PAIR = "both"  # the name of the one curve of a comparison
_ALL_LOOKS = (*_LOOKS, (_PAIR, "primary", "●"))


class MeansPlot(CurvePlot):
    """A plot of curves by row: the matches and the rest, or what compares two sides."""

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
        curves = list(self.curves.values())
        if measure == "next_logprob":
            axis = even_axis_down(-highest_of([-mean for mean in curves], 0.1), nats_text)
        else:
            axis = even_axis(highest_of(curves, 0.01), nats_text)
        self._draw(rows, axis)

    def show_pair(self, compared: Compared, key: str, measure: str) -> None:
        """Draw a measure of the comparison of two sides.

        Args:
            compared: the comparison.
            key: the lens, by the key of the first side's.
            measure: `kl` or `same_top1`.
        """
        pair = compared.comparison.pairs[key]
        is_kl = measure == "kl"
        mean = (pair.kl if is_kl else pair.same_top1).mean
        self.curves = {_PAIR: mean} if np.isfinite(mean).any() else {}
        unit = " · nats" * is_kl
        self.border_title = Text(f"{PAIR_MEASURES[measure]} by row · {compared.pair_name(key)}{unit}")
        self.border_subtitle = ""
        axis = even_axis(highest_of([mean], 0.01), nats_text) if is_kl else even_axis(1.0, probability_text)
        self._draw(compared.records.manifest.rows, axis)

    def _draw(self, rows: Sequence[str], axis: Axis) -> None:
        looks = [(colour, mark) for name, colour, mark in _ALL_LOOKS if name in self.curves]
        curves = {name: (mean, None) for name, mean in self.curves.items()}
        self.draw(rows, curves, axis if curves else None, looks)
