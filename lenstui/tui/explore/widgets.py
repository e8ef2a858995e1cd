"""The widgets of Explore, which its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from lenstui.tui.grid.grid import Grid

if TYPE_CHECKING:
    from lenstui.tui.explore.cell_panel import CellPanel
    from lenstui.tui.explore.prompt_box import PromptBox
    from lenstui.tui.grid.panes import Panes
    from lenstui.tui.shared.status_bar import StatusBar


@dataclass(frozen=True, slots=True, eq=False)
class Widgets:
    """The widgets of Explore, from top to bottom.

    Attributes:
        status: the top line.
        notice: the line of remarks under the top line.
        prompt: the prompt box.
        panes: the panes of the sides, and their legend.
        panel: the panel with the pins, the cell in detail, and the plot.
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
        """The screen that the widgets are on, which gets the answers of the jobs."""
        return self.panes.screen

    @property
    def focused(self) -> Widget | None:
        """The widget that has the focus, or None."""
        return self.screen.focused

    @property
    def is_in_grid(self) -> bool:
        """Whether a grid has the focus."""
        return isinstance(self.focused, Grid)
