"""The menu of what can be done here: with a cell of the grid, or with a line of a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from lenstui.tui.help.columns import in_columns
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList

_KEY, _TITLE, _DOES = 6, 14, 51  # terminal cells; with a scroll bar they fill the box on 80 columns
# What the menu itself needs, whatever the entries' keys are.
_KEPT = frozenset({"enter", "escape", "q", "up", "down", "home", "end", "pageup", "pagedown"})

Run = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu.

    Attributes:
        title: the name of what it does, in a word or two.
        does: a description of that.
        keys: the keys that do it, as Textual names them.
        shown: these keys as the user knows them.
        run: does it.
        reason: why it cannot be done now; empty where it can.
    """

    title: str
    does: str
    keys: tuple[str, ...]
    shown: str
    run: Run
    reason: str = ""


class Menu(BoxScreen[Run | None]):
    """A menu whose result is what to run, or None. An entry's own key chooses it, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,space", "dismiss", "Close"),
        Binding("j", "list('cursor_down')", show=False),
        Binding("k", "list('cursor_up')", show=False),
    ]
    DEFAULT_CSS = """
    Menu {
        Box { width: 78; max-width: 100%; max-height: 96%; border-subtitle-color: $text-muted; padding: 0 1; }
        OptionList, OptionList:focus {
            border: none; height: auto; max-height: 100%; padding: 0; background: $surface;
            background-tint: $surface; scrollbar-size: 1 1;
        }
        OptionList > .option-list--option { padding: 0; }
    }
    """

    def __init__(self, title: str, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._title, self._entries = title, tuple(entries)

    def compose(self) -> ComposeResult:
        """Yield the entries; those that cannot be done now cannot be chosen either."""
        with Box(self._title, "enter does it, or its key · esc closes"):
            yield LineList(*(Option(_line(entry), disabled=bool(entry.reason)) for entry in self._entries))

    def on_mount(self) -> None:
        """Highlight the first entry that can be done."""
        self.query_one(OptionList).action_first()

    def on_key(self, event: events.Key) -> None:
        """Do what a key does outside the menu, or tell the user why it cannot be done."""
        found = [entry for entry in self._entries if event.key in entry.keys and event.key not in _KEPT]
        if found:
            event.stop()
            event.prevent_default()
            self._choose(found[0])

    @on(OptionList.OptionSelected)
    def choose(self, message: OptionList.OptionSelected) -> None:
        """Do what the highlighted entry does."""
        self._choose(self._entries[message.option_index])

    def action_list(self, action: str) -> None:
        """Move in the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def _choose(self, entry: Entry) -> None:
        if entry.reason:
            self._tell(entry.reason)
        else:
            self.dismiss(entry.run)


def _line(entry: Entry) -> Text:
    """Return the keys, the name and the description of an entry; in place of that why it cannot be done."""
    keys, title = (entry.shown, _KEY, "bold"), (entry.title, _TITLE, "")
    return in_columns(keys, title, (entry.reason or entry.does, _DOES, "italic" if entry.reason else "dim"))
