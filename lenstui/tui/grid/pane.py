"""A pane: the grid of a side in a frame, or a message in its place."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from lenstui.tui.grid.grid import Grid
from lenstui.tui.shared.shown import shown


class Pane(Vertical):
    """A frame around the grid of one side, or around a message in its place."""

    DEFAULT_CSS = """
    Pane {
        width: 1fr;
        height: 1fr;
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &:focus-within { border: round $border; border-title-color: $foreground; }
        Grid { height: 1fr; }
        align: center middle;
        .pane--message { height: auto; width: 1fr; padding: 0 2; color: $text-muted; text-align: center; }
    }
    """

    class Chosen(Message, namespace="pane"):
        """The message that the user clicked the name of a side in a title, to see that side."""

        def __init__(self, place: int) -> None:
            self.place = place
            super().__init__()

    def __init__(self, place: int, grid: type[Grid] = Grid, *, name: str | None = None) -> None:
        """Frame a grid.

        Args:
            place: the place of the side among the sides.
            grid: the class of the grid.
            name: the name in the ids of the widgets, in place of `place`.
        """
        super().__init__(id=f"pane-{name or place}")
        self.place = place
        self._grid, self._grid_id = grid, f"grid-{name or place}"

    def compose(self) -> ComposeResult:
        """Yield the grid, and the message that takes its place."""
        yield self._grid(id=self._grid_id)
        yield Static(classes="pane--message")

    def on_mount(self) -> None:
        """Show an empty message, as there is nothing to show yet."""
        self.say("")

    @property
    def grid(self) -> Grid:
        """The grid of the pane."""
        return self.query_one(Grid)

    def action_choose(self, place: int) -> None:
        """Ask for the side of a place to be shown."""
        self.post_message(self.Chosen(place))

    def say(self, text: str) -> None:
        """Show a message in place of the grid."""
        if self.screen.focused is self.grid:
            self.screen.set_focus(None)  # at once: Textual does it later, when something else may have it
        self.query_one(".pane--message", Static).update(shown(text))
        self.query_one(".pane--message").display = True
        self.grid.display = False

    def show_grid(self) -> None:
        """Show the grid in place of the message."""
        self.query_one(".pane--message").display = False
        self.grid.display = True
