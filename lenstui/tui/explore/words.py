"""Pinned words of several tokens: read whole in the cursor's column, once the cursor rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.jobs.messages import WordsRead
    from lenstui.opening.side_reading import SideWord
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.services import Services


class Words:
    """The part of Explore that has pinned words of several tokens read in the cursor's column."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._asked: tuple[int, int, tuple[str, ...]] | None = None  # serial, column, words
        self._read: WordsRead | None = None

    @property
    def pinned(self) -> tuple[str, ...]:
        """The pinned words of several tokens, each once."""
        return tuple(dict.fromkeys(pin.word for pin in self._widgets.panel.pins if pin.word))

    @property
    def read(self) -> WordsRead | None:
        """The words as read in the cursor's column; None while they are not."""
        message, cursor = self._read, self._widgets.panes.cursor
        if message is None or (message.serial, message.column) != (self._state.serial, cursor.column):
            return None
        return message

    def at(self, place: int, word: str) -> SideWord | None:
        """Return a word on a side in the cursor's column; None where it is not read."""
        return None if self.read is None else self.read.words.get(place, {}).get(word)

    def follow(self) -> None:
        """Have the words read in the cursor's column, unless they are, or are about to be."""
        asked = (self._state.serial, self._widgets.panes.cursor.column, self.pinned)
        if asked != self._asked and not self._state.is_awaited:
            self._ask(asked)

    def read_anew(self) -> None:
        """Have the words read again, through a lens that has changed; their numbers stay till then."""
        if self._asked is not None and not self._state.is_awaited:
            self._ask((self._state.serial, self._widgets.panes.cursor.column, self.pinned))

    def _ask(self, asked: tuple[int, int, tuple[str, ...]]) -> None:
        self._asked = asked
        serial, column, words = asked
        if words:
            post = self._services.post_to(self._widgets.screen)
            self._services.prompts.read_words(serial, words, column, post)

    def take(self, message: WordsRead) -> None:
        """Show words that were read, if the cursor is still in their column."""
        self._read = message
        if self.read is not None:
            self._widgets.panel.show_words(message)
