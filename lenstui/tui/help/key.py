"""A key as help shows and finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the list of keys: keys and what they do, or a word of the screen and what it means.

    Attributes:
        place: the name of the place where the keys work.
        keys: the keys, as the user knows them.
        does: a description of what they do.
        topic: the topic; empty for a word of the screen.
        words: more words by which the keys are found.
        is_here: whether they work on the screen in front.
    """

    place: str
    keys: str
    does: str
    topic: str = ""
    words: str = ""
    is_here: bool = False

    def is_found_by(self, words: Sequence[str]) -> bool:
        """Return whether every word leads here, in upper or lower case; one character alone means a key."""
        if len(words) == 1 and len(words[0]) == 1:
            return words[0] in self.keys.split()
        shown = f"{self.place} {self.keys} {self.does} {self.topic}".casefold()
        return all(word in shown or self._begun_with(word) for word in map(str.casefold, words))

    def hidden_words(self, words: Sequence[str]) -> str:
        """Return those of the words that lead here that the description does not show."""
        shown = self.does.casefold()
        found = (self._begun_with(word) for word in map(str.casefold, words) if word not in shown)
        return " ".join(filter(None, found))

    def _begun_with(self, beginning: str) -> str:
        """Return the first of `words` with this beginning; empty where there is none."""
        return next((word for word in self.words.split() if word.startswith(beginning)), "")
