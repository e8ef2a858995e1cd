"""The command palette: Textual's, for keys that come faster than the search for actions."""

from __future__ import annotations

from textual import on
from textual.command import CommandList, CommandPalette
from textual.widgets import Input
from textual.worker import WorkerCancelled

from lenstui.tui.shared.screen import AppScreen


class Palette(CommandPalette, AppScreen[None]):
    """A line to type into, and the actions that it finds."""

    @on(Input.Submitted)
    async def find_first(self) -> None:
        """Wait for the search to end before Enter takes the first action that is found."""
        finding = [worker for worker in self.workers if worker.node is self and not worker.is_finished]
        for worker in finding:
            try:
                await worker.wait()
            except WorkerCancelled:
                continue  # another text was typed

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action may run.

        The keys of the list may not while the list has no room yet, or has one line that says that nothing is
        found.
        """
        if action == "command_list":
            return any(
                found.scrollable_content_region and any(not option.disabled for option in found.options)
                for found in self.query(CommandList)
            )
        return super().check_action(action, parameters)
