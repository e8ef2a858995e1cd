"""The lines that the first start shows: what is on screen, and what one can do."""

from __future__ import annotations

from lenstui.tui import keymap
from lenstui.tui.help.commands import Display, shown_keys

_LINES = """\
A cell is what the model would say next if it stopped at that row.
{explore.prompt} edits the prompt, {prompt.read} reads it. Arrows move, {explore.value} recolours, \
{explore.menu} does more.
{app.help} lists all keys and explains the words, {app.commands} finds any action, {app.quit} quits."""


def first_steps(display: Display, own: keymap.Keys) -> str:
    """Return three short lines about what a cell is and what one can do.

    Args:
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
    """
    bindings = (binding for place in keymap.places() for binding in keymap.bindings_of(place.owner))
    text = _LINES
    for binding in bindings:
        text = text.replace(f"{{{binding.id}}}", shown_keys(binding, display, own).split()[0])
    return text
