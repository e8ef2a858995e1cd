"""The footer: the keys of what has the focus."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer

from lenstui.tui.shared.textual_hacks import footer_key_width


class KeyFooter(Footer):
    """A footer with as many keys as fit whole; the list behind `?` has all of them."""

    # A new key is compact until it has heard that its footer is not. A window that changes its size just then
    # would give it too little room, and leave it so.
    DEFAULT_CSS = """
    KeyFooter FooterKey.-compact {
        .footer-key--key { padding: 0 1; }
        .footer-key--description { padding: 0 1 0 0; }
    }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: object = None

    def compose(self) -> ComposeResult:
        """Yield the keys from the left, up to the first one that would be cut off."""
        self.mutate_reactive(Footer.compact)  # keys follow it: now it forgets those that it had before
        room, wanted = self.app.size.width, self._wanted
        for key in super().compose():
            self._shown = wanted
            room -= footer_key_width(key)
            if room < 0:
                return
            yield key

    @property
    def _wanted(self) -> object:
        """What the keys follow from."""
        active = self.screen.active_bindings.values()
        bindings = [
            (self.app.get_key_display(binding), binding, enabled, tooltip)
            for _, binding, enabled, tooltip in active
            if binding.show
        ]
        return self.app.size.width, bindings

    async def recompose(self) -> None:
        """Show the keys that there are now, unless they are those that are shown: the focus moves often."""
        if self.is_attached and self._wanted != self._shown:  # its screen may be gone by now
            await super().recompose()

    async def on_resize(self, event: events.Resize) -> None:
        """Show as many keys as there is room for now."""
        await self.recompose()
