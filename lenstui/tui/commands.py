"""All there is to do, by name: the list of keys, and the command palette."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.theme import ThemeProvider

from lenstui.readout.values import all_values
from lenstui.tui import keymap
from lenstui.tui.app_base import AppBase
from lenstui.tui.shared.lean_screen import LeanScreen

if TYPE_CHECKING:
    from lenstui.tui.help.keys import Key

# What the screen's words and signs mean, for the list of keys.
_LONGEST = 16  # cells of a word there
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
    """Yield the words and signs of the screen, the names of values among them, with what they mean."""
    yield from _WORDS_OF_ROWS
    for value in all_values():
        if value.keys_line:
            yield value.label if len(value.label) <= _LONGEST else value.brief, value.keys_line
    yield from _OTHER_WORDS


class Commands(AppBase):
    """An app that knows every key of its screens, the user's own in their place."""

    def action_show_keys(self) -> None:
        """List all keys."""
        from lenstui.tui.help.keys import Keys  # the first paint can do without

        self.push_screen(Keys(self._keys()))

    def _keys(self) -> list[Key]:
        """Every binding of the screens and what is in them, one line each."""
        from lenstui.tui.help.keys import Key

        keys: dict[str, Key] = {}
        for place in keymap.places():
            for binding in keymap.bindings_of(place.owner):
                if not place.name or not binding.action.startswith("app."):
                    keys[binding.id or binding.key] = Key(
                        place.name, self._shown(binding), binding.tooltip or binding.description
                    )
        return [*keys.values(), *(Key("word", word, meaning) for word, meaning in words())]

    def _shown(self, binding: Binding) -> str:
        """The keys of a binding, as the user knows them."""
        shown = map(self.get_key_display, keymap.shown_keys(binding, self.settings.keys))
        return " ".join(dict.fromkeys(shown))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the screen by name."""
        owner: Screen[Any] = screen if isinstance(screen, LeanScreen) else self.explore
        parts: list[DOMNode] = [owner]
        if self._train is not None and owner is self._train:
            parts.insert(0, self._train.part)
        for binding in (binding for part in parts for binding in keymap.bindings_of(type(part))):
            yield SystemCommand(
                binding.description,
                f"{binding.tooltip or binding.description} ({self._shown(binding)})",
                lambda action=binding.action: self._run_on(owner, action),
            )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    def action_command_palette(self) -> None:
        """Find an action by its name."""
        from lenstui.tui.help.palette import Palette  # the first paint can do without

        self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        """Find a theme by its name."""
        from lenstui.tui.help.palette import Palette

        self.push_screen(Palette([ThemeProvider], placeholder="Search for themes…"))

    async def _run_on(self, screen: Screen[Any], action: str) -> None:
        await self.run_action(action, default_namespace=screen)
