"""A choice among a few words, made with the arrow keys or the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

_GAP = 2  # cells between two words


class Choice(Widget, can_focus=True):
    """A line of words, one of them chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Word before", show=False, id="choice.before"),
        Binding("right,l,space", "step(1)", "Next word", show=False, id="choice.next"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--chosen", "choice--other"}
    DEFAULT_CSS = """
    Choice {
        height: 1;
        width: auto;
        .choice--chosen { color: $foreground; text-style: bold; background: $panel; }
        .choice--other { color: $foreground 60%; }
        &:focus .choice--chosen { color: $background; background: $primary; }
    }
    """
    value: reactive[str] = reactive("", init=False)

    class Changed(Message):
        """The message that another word was chosen."""

        def __init__(self, choice: Choice, value: str) -> None:
            self.choice = choice
            self.value = value
            super().__init__()

        @property
        def control(self) -> Choice:
            """The widget whose word was chosen, for `on`'s selectors."""
            return self.choice

    def __init__(self, words: Sequence[str], value: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = tuple(words)
        self.set_reactive(Choice.value, value)

    def get_content_width(self, *_: object) -> int:
        """Return the width of all words and the gaps between them."""
        return sum(len(word) + 2 for word in self._words) + _GAP * (len(self._words) - 1)

    def render(self) -> Text:
        """Return the words, the chosen one in a style of its own."""
        chosen, other = (
            self.get_component_rich_style(f"choice--{kind}", partial=True) for kind in ("chosen", "other")
        )
        words = [Text(f" {word} ", style=chosen if word == self.value else other) for word in self._words]
        return Text(" " * _GAP, no_wrap=True).join(words)

    def watch_value(self) -> None:
        """Post `Changed`."""
        self.post_message(self.Changed(self, self.value))

    def action_step(self, step: int) -> None:
        """Choose the word that is `step` places further, or the last one in that direction."""
        place = self._words.index(self.value) + step
        self.value = self._words[max(0, min(place, len(self._words) - 1))]

    def on_click(self, event: events.Click) -> None:
        """Choose the word under the pointer."""
        x = 0
        for word in self._words:
            if x <= event.x < x + len(word) + 2:
                self.value = word
            x += len(word) + 2 + _GAP
