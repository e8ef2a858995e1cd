"""The list of all keys, which can be searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList

from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.still_input import StillInput

_KEY_WIDTH, _DOES_WIDTH = 16, 44  # cells; with the place they fill the box on 80 columns


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the list of keys: the place where the keys work, the keys, and what they do."""

    place: str
    keys: str
    does: str


class Keys(BoxScreen[None]):
    """A searchable list of all keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="keys.close"),
        Binding("down", "list('cursor_down')", show=False),
        Binding("up", "list('cursor_up')", show=False),
        Binding("pagedown", "list('page_down')", show=False),
        Binding("pageup", "list('page_up')", show=False),
    ]
    DEFAULT_CSS = """
    Keys {
        Box { width: 78; height: 80%; border-subtitle-color: $text-muted; padding: 0; }
        Input { margin: 0 1 1 1; }
        OptionList { border: none; height: 1fr; background: $surface; scrollbar-size: 1 1; }
    }
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        """Yield a search line over the list."""
        with Box("keys", "type to search · esc closes"):
            yield StillInput(placeholder="search")
            options = OptionList()
            options.can_focus = False
            yield options

    def on_mount(self) -> None:
        """List all keys, until something is searched."""
        self._fill("")

    @on(Input.Changed)
    def search(self, message: Input.Changed) -> None:
        """List the keys in whose lines every word of the search occurs."""
        self._fill(message.value)

    def action_list(self, action: str) -> None:
        """Move in the list while the search line keeps the focus."""
        options = self.query_one(OptionList)
        if options.highlighted is None and action == "page_down":  # a page down from nowhere goes to the end
            options.highlighted = 0
        getattr(options, f"action_{action}")()

    def _fill(self, query: str) -> None:
        words = query.casefold().split()
        found = [
            key
            for key in self._keys
            if all(word in f"{key.place} {key.keys} {key.does}".casefold() for word in words)
        ]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([_line(key) for key in found] or [Text("nothing found", style="dim")])


def _line(key: Key) -> Text:
    """Return a key in three columns, wrapped to as many lines as show all of them in full."""
    columns = (wrap(key.keys, _KEY_WIDTH), wrap(key.does, _DOES_WIDTH), [key.place])
    return Text("\n").join(
        Text.assemble(
            (set_cell_size(keys, _KEY_WIDTH), "bold"),
            " ",
            set_cell_size(does, _DOES_WIDTH),
            " ",
            (place, "dim"),
        )
        for keys, does, place in zip_longest(*columns, fillvalue="")
    )
