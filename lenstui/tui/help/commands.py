"""The actions of the program by name, for the list of keys and the command palette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from lenstui.readout.values import all_values
from lenstui.tui import keymap
from lenstui.tui.help.keys import Key

Display = Callable[[Binding], str]
"""A function that returns a key as it is shown to the user."""

# The words and signs of the screen with their meanings, for the list of keys.
_LONGEST = 16  # terminal cells of a word in that list, at most
_WORDS_OF_ROWS = (
    ("row k", "what block k hands on; emb: the embedding"),
    ("last row", "the model's own output, for every lens"),
    ("k.attn k.mlp", "the logits that each of block k adds (s)"),
    ("k.mid", "the stream between block k's two (s)"),
)
_OTHER_WORDS = (
    ("left, right", "KL, ranks: of each against its own final"),
    ("≠", "of the difference: the lenses' tokens differ"),
    ("% yes, in … cells", "without the last row and the first column"),
    ("≥ 6.00, ≤ −10", "there is more beyond the end of the scale"),
    ("wiring ok", "head(final norm(h)) is the model's output"),
    ("settles at", "the crystallization row: its top-1 stays final"),
    ("·  ⏎  ⇥", "a space, a newline, a tab in a token"),
    ("\\x1b  \\u200b", "a byte or character that cannot be shown"),
)


def words() -> Iterator[tuple[str, str]]:
    """Yield the words and signs of the screen, the names of values among them, with their meanings."""
    yield from _WORDS_OF_ROWS
    for value in all_values():
        if value.keys_line:
            yield value.label if len(value.label) <= _LONGEST else value.brief, value.keys_line
    yield from _OTHER_WORDS


def all_keys(display: Display, own: keymap.Keys) -> list[Key]:
    """Return every key of the screens and of their parts, one line each, then the words of the screen.

    Args:
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
    """
    keys: dict[str, Key] = {}
    for place in keymap.places():
        for binding in keymap.bindings_of(place.owner):
            if not place.name or not binding.action.startswith("app."):
                does = binding.tooltip or binding.description
                keys[binding.id or binding.key] = Key(place.name, _shown(binding, display, own), does)
    return [*keys.values(), *(Key("word", word, meaning) for word, meaning in words())]


def commands(
    screen: Screen[Any], display: Display, own: keymap.Keys, run: Callable[[str], Awaitable[None]]
) -> Iterator[SystemCommand]:
    """Yield every action of a screen, and of the part of it that has keys of its own.

    Args:
        screen: the screen.
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
        run: runs an action on that screen.
    """
    parts = [part for part in (getattr(screen, "part", None), screen) if part is not None]
    for binding in (binding for part in parts for binding in keymap.bindings_of(type(part))):
        does = binding.tooltip or binding.description
        yield SystemCommand(
            binding.description, f"{does} ({_shown(binding, display, own)})", partial(run, binding.action)
        )


def _shown(binding: Binding, display: Display, own: keymap.Keys) -> str:
    """Return the keys of a binding as the user knows them."""
    return " ".join(dict.fromkeys(map(display, keymap.shown_keys(binding, own))))
