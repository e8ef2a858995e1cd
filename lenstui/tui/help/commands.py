"""The actions of the program by name: for the list of keys, the command palette and the menu."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from lenstui.readout.values import all_values
from lenstui.tui import keymap
from lenstui.tui.help.key import Key
from lenstui.tui.help.menu import Entry
from lenstui.tui.topics import MOVING, TOPICS

Display = Callable[[Binding], str]
"""A function that returns a key as it is shown to the user."""
Run = Callable[[str, DOMNode], Awaitable[object]]
"""A function that runs an action of a screen or widget."""

# The words and signs of the screen with their meanings, for the list of keys.
_LONGEST = 16  # terminal cells of a word in that list, at most
_WORDS_OF_LENSES = (
    ("logit lens", "a row as it is, through final norm and head"),
    ("tuned lens", "the same behind a fitted affine map, one a row"),
    ("instant lens", "a tuned lens in closed form, made by itself"),
    ("Jacobian lens", "what a row disposes the model to say later"),
)
_WORDS_OF_ROWS = (
    ("column", "a token; its cells predict the one after it"),
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
    ("side", "what a pane shows: a model, prompt and lens"),
    ("pin, r0", "a token followed through all rows; its rank"),
    ("target", "in a prompt set, the word that should come next"),
    ("nats", "of entropy and KL; 1 nat is 1.44 bits"),
    ("wiring ok", "head(final norm(h)) is the model's output"),
    ("settles at", "the crystallization row: its top-1 stays final"),
    ("·  ⏎  ⇥", "a space, a newline, a tab in a token"),
    ("\\x1b  \\u200b", "a byte or character that cannot be shown"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """An action of the command palette.

    Attributes:
        title: its name.
        key: its key, and the words by which it is found.
        run: runs it.
    """

    title: str
    key: Key
    run: Callable[[], Awaitable[object]]


def words() -> Iterator[tuple[str, str]]:
    """Yield the words and signs of the screen, the names of values among them, with their meanings."""
    yield from (*_WORDS_OF_LENSES, *_WORDS_OF_ROWS)
    for value in all_values():
        if value.keys_line:
            yield value.label if len(value.label) <= _LONGEST else value.brief, value.keys_line
    yield from _OTHER_WORDS


def all_keys(
    everywhere: type[DOMNode], display: Display, own: keymap.Keys, here: Collection[str] = ()
) -> list[Key]:
    """Return every key by its topic, one line each, then the words of the screen.

    What the keys of several screens do to the app is listed once.

    Args:
        everywhere: the app, whose keys work in every place.
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
        here: the ids of the bindings that work on the screen in front.
    """
    lines: dict[str, tuple[str, Binding]] = {}
    for name, owner in (("", everywhere), *((place.name, place.owner) for place in keymap.places())):
        for binding in keymap.bindings_of(owner):
            if binding.id is not None:
                same = binding.action if binding.action.startswith("app.") else binding.id
                if same not in lines or binding.id in here:
                    lines[same] = (name, binding)
    keys = [
        replace(_key(binding, display, own), place=name, is_here=binding.id in here)
        for name, binding in sorted(lines.values(), key=lambda line: TOPICS[line[1].id or ""].place)
    ]
    return [*dict.fromkeys(keys), *(Key("word", word, meaning) for word, meaning in words())]


def commands(screen: Screen[Any], display: Display, own: keymap.Keys, run: Run) -> Iterator[Command]:
    """Yield every action of a screen, of the part of it that has keys of its own, and of what has the focus.

    Args:
        screen: the screen.
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
        run: runs an action.
    """
    parts = (getattr(screen, "part", None), screen.focused, screen)
    for node in dict.fromkeys(part for part in parts if part is not None):
        for binding in keymap.bindings_of(type(node)):
            if node is not screen.focused or (binding.id and TOPICS[binding.id].topic != MOVING):
                key = _key(binding, display, own)
                yield Command(binding.description, key, partial(run, binding.action, node))


def entries(
    nodes: Sequence[DOMNode], why_not: Mapping[str, str], display: Display, own: keymap.Keys, run: Run
) -> list[Entry]:
    """Return the lines of a menu.

    Args:
        nodes: the screens and widgets whose actions are in the menu.
        why_not: in the order of the menu, by binding id, why it cannot be done now; empty where it can.
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
        run: runs an action.
    """
    bound = {binding.id: (binding, node) for node in nodes for binding in keymap.bindings_of(type(node))}

    def entry(name: str, reason: str) -> Entry:
        binding, node = bound[name]
        keys = tuple(each.key for each in keymap.shown_keys(binding, own))
        key, do = _key(binding, display, own), partial(run, binding.action, node)
        return Entry(binding.description, key.does, keys, key.keys, do, reason)

    return [entry(name, reason) for name, reason in why_not.items()]


def shown_keys(binding: Binding, display: Display, own: keymap.Keys) -> str:
    """Return the keys of a binding as the user knows them."""
    return " ".join(dict.fromkeys(map(display, keymap.shown_keys(binding, own))))


def _key(binding: Binding, display: Display, own: keymap.Keys) -> Key:
    """Return a binding with its keys as the user knows them."""
    keys = shown_keys(binding, display, own)
    does = binding.tooltip or binding.description
    name, entry = binding.description.casefold(), TOPICS.get(binding.id or "")
    return Key("", keys, does) if entry is None else Key("", keys, does, entry.topic, f"{name} {entry.words}")
