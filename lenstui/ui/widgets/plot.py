"""What all our plots have in common: quiet axes, narrow margins, and no way for the focus to get caught."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual_plot import PlotWidget


class Plot(PlotWidget, can_focus=False):
    """A plot that nobody can get caught in."""

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
        for margin, cells in (
            (PlotWidget.margin_top, 0),
            (PlotWidget.margin_bottom, 1),
            (PlotWidget.margin_left, 7),
        ):
            self.set_reactive(margin, cells)
