"""The footer: the keys of what has the focus."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer

from lenstui.tui.shared.textual_hacks import footer_key_width


class KeyFooter(Footer):
    """A footer with as many keys as fit whole; the list behind `?` has all of them."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)

    def compose(self) -> ComposeResult:
        """Yield the keys from the left, up to the first one that would be cut off."""
        self.mutate_reactive(Footer.compact)  # keys follow it: now it forgets those that it had before
        room = self.app.size.width
        for key in super().compose():
            room -= footer_key_width(key)
            if room < 0:
                return
            yield key

    async def on_resize(self, event: events.Resize) -> None:
        """Show as many keys as there is room for now."""
        await self.recompose()
