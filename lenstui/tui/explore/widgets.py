"""The widgets of Explore, for its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.panes import Panes
from lenstui.tui.shared.status_bar import StatusBar


@dataclass(frozen=True, slots=True, eq=False)
class Widgets:
    """The widgets of Explore, from top to bottom.

    Attributes:
        status: the top line.
        notice: the line of remarks under it.
        prompt: the prompt.
        panes: the sides.
        panel: pins, the cell in detail, the plot.
    """

    status: StatusBar
    notice: Static
    prompt: PromptBox
    panes: Panes
    panel: CellPanel

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of the sides, in their order."""
        return self.panes.grids

    @property
    def screen(self) -> Screen[Any]:
        """The screen that they are on, which hears the answers of the jobs."""
        return self.panes.screen

    @property
    def focused(self) -> Widget | None:
        """The widget with the focus."""
        return self.screen.focused

    @property
    def is_in_grid(self) -> bool:
        """Whether a grid has the focus."""
        return isinstance(self.focused, Grid)
