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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out the keys of the list while it has no room yet, or one line says that nothing is found."""
        if action == "command_list":
            return any(
                found.scrollable_content_region and any(not option.disabled for option in found.options)
                for found in self.query(CommandList)
            )
        return super().check_action(action, parameters)
