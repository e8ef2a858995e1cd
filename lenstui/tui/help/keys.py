"""The list of all keys by topic, which can be searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from lenstui.tui.help.columns import in_columns
from lenstui.tui.help.key import Key
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.still_input import StillInput
from lenstui.tui.topics import HEADINGS

_KEY_WIDTH, _DOES_WIDTH, _PLACE_WIDTH = 16, 44, 8  # cells; they fill the box on 80 columns
WORDS = "what the words and signs on screen mean"


class Keys(BoxScreen[None]):
    """A searchable list of all keys, those that work here before the others, each under its topic."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close"),
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
        OptionList > .option-list--option-disabled { color: $foreground; }
    }
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        """Prepare the list.

        Args:
            keys: all keys, topic by topic, and the words of the screen, which have no topic.
        """
        super().__init__()
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        """Yield a search line over the list."""
        with Box("keys", "type to search · esc closes"):
            yield StillInput(placeholder="search: what it does, a key, or a word on screen")
            options = LineList()
            options.can_focus = False
            yield options

    def on_mount(self) -> None:
        """List all keys, until something is searched."""
        self._fill("")

    @on(Input.Changed)
    def search(self, message: Input.Changed) -> None:
        """List the keys that the typed words lead to."""
        self._fill(message.value)

    def action_list(self, action: str) -> None:
        """Move in the list while the search line keeps the focus."""
        options = self.query_one(OptionList)
        if options.highlighted is None and action == "page_down":  # a page down from nowhere goes to the end
            options.action_first()
        getattr(options, f"action_{action}")()

    def _fill(self, query: str) -> None:
        words = query.split()
        found = [key for key in self._keys if key.is_found_by(words)]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(self._options(found, words) if found else [Text("nothing found", style="dim")])
        options.scroll_home(animate=False)

    def _options(self, keys: Sequence[Key], words: Sequence[str]) -> Iterator[Option]:
        """Yield headings and keys: first what works here, then what works elsewhere, then words."""
        for is_here in (True, False):
            of_place = (key for key in keys if key.topic and key.is_here is is_here)
            for topic, of_topic in groupby(of_place, key=lambda key: key.topic):
                yield _heading(HEADINGS[topic], "here" if is_here else "on other screens")
                yield from (Option(_line(key, key.hidden_words(words))) for key in of_topic)
        if meanings := [key for key in keys if not key.topic]:
            yield _heading(WORDS)
            yield from (Option(_line(key)) for key in meanings)


def _heading(text: str, place: str = "") -> Option:
    """Return a heading: a topic, what it is about, and where its keys work; it cannot be highlighted."""
    topic, colon, about = text.partition(":")
    where = f"  ({place})" if place else ""
    heading = Text.assemble((topic, "bold underline"), (f"{colon}{about}", "italic"), (where, "dim"))
    return Option(heading, disabled=True)


def _line(key: Key, words: str = "") -> Text:
    """Return a key in three columns.

    Args:
        key: the key.
        words: words by which the key was found, and which its description lacks.
    """
    does = f"{key.does} · {words}" if words else key.does
    place = key.place or ("" if key.is_here else "Explore")
    return in_columns((key.keys, _KEY_WIDTH, "bold"), (does, _DOES_WIDTH, ""), (place, _PLACE_WIDTH, "dim"))
