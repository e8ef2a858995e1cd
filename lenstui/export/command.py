"""A command line as text that a shell reads back word for word, and that is safe to show."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def command_text(words: Iterable[str]) -> str:
    """The words of a command, quoted for bash and zsh, on one line."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
