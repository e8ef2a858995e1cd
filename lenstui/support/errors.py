"""Exceptions whose messages are written for the user, and one-line messages for all others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lenstui.support.printable import printable

# What another program's module may raise where it is given what it does not know.
FOREIGN_ERRORS = (
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)

# What torch and cuBLAS say where memory ran out, in small letters: of a GPU, of the machine, on Windows.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "status_alloc_failed")
# torch goes on with all that its allocator holds, and with advice for programmers.
_TRIED = re.compile(r".*?out of memory\. Tried to allocate [\d.]+ \w+\.")
# What to do where memory runs out while a prompt is read.
SHORTER_PROMPT = "Try a shorter prompt."
SHORTER_BLOCKS = "Try shorter blocks."

PREFIX = "lenstui: "  # of every line on stderr
LONGEST_MESSAGE = 300 - len(PREFIX)  # characters: a sentence or two with some paths in them
_SHORT_WORD = 40  # characters; no word of our own has as many


def is_debugging() -> bool:
    """Return whether the user asks for messages in the log, and for tracebacks and warnings on stderr."""
    return bool(os.environ.get("LENSTUI_DEBUG"))


class LensError(Exception):
    """An error that the user can act on. The message is one line: what is wrong, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message_line(message))


class NoDeviceError(LensError):
    """An error for a requested device that this machine does not have."""


def message_line(message: str) -> str:
    """Return a message that may quote a file, as one line that is safe to show, of bounded length.

    Where it is too long, its longest words give way, which are paths, names and numbers: each keeps its
    beginning and its end, where the name of a file is. What is too long all the same, as it quotes a text of
    many words, loses its middle, so that its end says what to do.
    """
    if len(message) > LONGEST_MESSAGE:  # an escape is never shorter than what it stands for: ends are enough
        message = _ends(" ".join(_ends(word, LONGEST_MESSAGE) for word in message.split(" ")), 10_000)
    line = printable(message)
    if len(line) > LONGEST_MESSAGE:
        line = _with_short_words(line)
    return _ends(line, LONGEST_MESSAGE, " … ")


def _with_short_words(line: str) -> str:
    """Return a line whose longest words are as short as they must be for it to fit.

    Where it would not fit even so, as it has many words, they stay as long as a third of a line.
    """
    words = line.split(" ")

    def length(most: int) -> int:
        return sum(min(len(word), most) + 1 for word in words) - 1

    fits = (most for most in range(LONGEST_MESSAGE, _SHORT_WORD - 1, -1) if length(most) <= LONGEST_MESSAGE)
    most = next(fits, LONGEST_MESSAGE // 3)
    return " ".join(_ends(word, most, first=1 / 3) for word in words)


def _ends(text: str, most: int, gap: str = "…", *, first: float = 1 / 2) -> str:
    """Return a text of at most so many characters: what is too much is left out of its middle.

    Args:
        text: any text.
        most: its greatest length.
        gap: what stands for what is left out.
        first: the share of its beginning in what stays.
    """
    if len(text) <= most:
        return text
    begin = int((most - len(gap)) * first)
    return f"{text[:begin]}{gap}{text[begin + len(gap) - most :]}"


def unreadable(path: Path, error: OSError) -> LensError:
    """Return the error for a file or folder that cannot be read."""
    return LensError(f"{path} cannot be read: {error.strerror or error}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, with the second where the first ends in a colon.

    Of a GPU whose memory ran out it is what was tried, without the state of torch's allocator.
    """
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    if (tried := _TRIED.match(first)) is not None:
        return tried[0]
    return f"{first.rstrip()} {more[0].strip()}" if more and first.rstrip().endswith(":") else first


def first_clause(error: BaseException) -> str:
    """Return the first line of an error's message without a full stop, to stand within a sentence."""
    return first_line(error).rstrip(".")


def named_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of its message: `ValueError: it is odd`."""
    return f"{type(error).__name__}: {first_line(error)}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out; torch raises several kinds."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY)


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Say in one line that memory ran out, where it does within the block.

    Args:
        advice: the line: what happened, and what to do.

    Raises:
        LensError: in place of the error of torch or Python.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise LensError(advice) from error


def failure(what: str, error: BaseException, out_of_memory: str = "") -> str:
    """Return the line about work that an error of another program's ended.

    Args:
        what: what failed, as the beginning of a sentence: `Reading failed`.
        error: any exception.
        out_of_memory: a sentence on what to do where memory ran out, which helps nowhere else.
    """
    if not is_out_of_memory(error):
        return f"{what}: {first_line(error)}"
    said = first_clause(error) if str(error).strip() else "memory ran out"
    return f"{what}: {said}. {out_of_memory}".rstrip()


def is_panic(error: BaseException) -> bool:
    """Return whether an error is a panic of a library in Rust, such as tokenizers: it is no `Exception`."""
    return type(error).__name__ == "PanicException"


def advice(error: BaseException, out_of_memory: str) -> str | None:
    """Return one line on what the user can do about an error; None for an unexpected error.

    Args:
        error: any exception.
        out_of_memory: the line for an error that says that memory ran out.
    """
    if isinstance(error, LensError):
        return str(error)
    return out_of_memory if is_out_of_memory(error) else None
