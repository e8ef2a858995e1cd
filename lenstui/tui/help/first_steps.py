"""The lines that the first start shows: what one can do."""

from __future__ import annotations

from lenstui.tui import keymap
from lenstui.tui.help.commands import Display, shown_keys

_LINES = """\
{explore.prompt} edits the prompt, {prompt.read} reads it, {prompt.leave} goes to the grid below.
There arrows move, {explore.value} changes the colours, {explore.menu} says what can be done.
{app.help} lists all keys, {app.commands} finds any action by name, {app.quit} quits."""


def first_steps(display: Display, own: keymap.Keys) -> str:
    """Return three short lines about what one can do.

    Args:
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
    """
    bindings = (binding for place in keymap.places() for binding in keymap.bindings_of(place.owner))
    text = _LINES
    for binding in bindings:
        text = text.replace(f"{{{binding.id}}}", shown_keys(binding, display, own).split()[0])
    return text
