"""The command palette: Textual's, for keys that come faster than what it finds."""

from __future__ import annotations

from textual import on
from textual.command import CommandList, CommandPalette
from textual.widgets import Input
from textual.worker import WorkerCancelled

from lenstui.tui.shared.screen import AppScreen


class Palette(CommandPalette, AppScreen[None]):
    """A line to type into, and what that finds among the actions."""

    @on(Input.Submitted)
    async def find_first(self) -> None:
        """Enter takes the first that is found: this has to be found by then."""
        finding = [worker for worker in self.workers if worker.node is self and not worker.is_finished]
        for worker in finding:
            try:
                await worker.wait()
            except WorkerCancelled:
                continue  # another text was typed

    def _action_command_list(self, action: str) -> None:
        """Where nothing is found, the list has a line that says so, and nothing to move to."""
        if any(not option.disabled for option in self.query_one(CommandList).options):
            super()._action_command_list(action)
