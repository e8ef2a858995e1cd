"""The base of all plots: quiet axes, narrow margins, and no way for the focus to get caught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual_plot import PlotWidget

from lenstui.tui.shared.axis import Axis, Numbers, RowLabels

_MOST_LABELS = 8  # labels of rows, at most
_FRAME = 3  # lines of a plot outside its canvas: the frame, and the labels of the rows


class Plot(PlotWidget, can_focus=False):
    """A plot that takes no focus and has no keys."""

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    Plot {
        & > .plot--axis { color: $foreground 30%; }
        & > .plot--tick { color: $foreground 60%; text-style: none; }
        & > .plot--label { color: $foreground 60%; text-style: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=False)
        self._axis: Axis | None = None
        for margin, cells in (
            (PlotWidget.margin_top, 0),
            (PlotWidget.margin_bottom, 1),
            (PlotWidget.margin_left, 7),
        ):
            self.set_reactive(margin, cells)

    @property
    def _lines(self) -> int:
        """The number of lines of the canvas."""
        return max(self.size.height - _FRAME, 1)

    def on_resize(self) -> None:
        """Choose the ticks that fit into the new height."""
        if self._axis is not None:
            self.set_yticks(self._axis.ticks_in(self._lines))
            self.refresh(layout=True)

    def scale(self, rows: Sequence[str], axis: Axis | None) -> None:
        """Set rows across and numbers along an axis.

        Args:
            rows: labels of the rows.
            axis: the axis of the numbers; None where there are none.
        """
        self._axis = axis
        if axis is None:
            self.set_xticks([])
            self.set_yticks([])
            return
        self.set_x_formatter(RowLabels(rows))
        self.set_xlimits(-0.5, len(rows) - 0.5)
        self.set_xticks(range(0, len(rows), -(-len(rows) // _MOST_LABELS)))
        self.set_y_formatter(Numbers(axis.label))
        self.set_ylimits(axis.low, axis.high)
        self.set_yticks(axis.ticks_in(self._lines))
