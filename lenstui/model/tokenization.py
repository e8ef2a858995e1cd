"""A text cut into tokens; a text that a tokenizer does not take is refused in a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lenstui.support.errors import LensError, first_clause, is_panic
from lenstui.support.printable import is_unicode

LONGEST_TEXT = 1_000_000  # characters: a tokenizer takes some 150 bytes of memory for each
_NEAR = 1000  # characters in which whitespace is looked for


def cut(tokenizer: Any, text: str, **how: Any) -> Any:
    """Return what a Hugging Face tokenizer makes of a text: `input_ids`, and what else is asked for.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        how: further arguments of the tokenizer.

    Raises:
        LensError: if the text is none, or longer than `LONGEST_TEXT`, or the tokenizer gives up on it: a
            pattern of its own may try too many ways through a text, which its library ends.
    """
    if not is_unicode(text):
        raise LensError("The text has half of a surrogate pair, which is no character: leave it out.")
    if len(text) > LONGEST_TEXT:
        raise LensError(
            f"The text has {len(text):,} characters, and {LONGEST_TEXT:,} are read at once: make it shorter."
        )
    try:
        return tokenizer(text, verbose=False, **how)
    except BaseException as error:
        if not is_panic(error):
            raise
        raise LensError(f"The tokenizer gives up on this text: {first_clause(error)}.") from error


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text without special tokens around it; as `cut` does it."""
    return list(cut(tokenizer, text, add_special_tokens=False)["input_ids"])


def pieces(text: str) -> Iterator[str]:
    """Cut a document into texts that `plain_ids` takes, in front of whitespace where there is some near.

    One that is no longer than `LONGEST_TEXT` stays whole.
    """
    start = 0
    while (end := start + LONGEST_TEXT) < len(text):
        end = break_near(text, end, start)
        yield text[start:end]
        start = end
    yield text[start:]


def break_near(text: str, end: int, start: int = 0) -> int:
    """Return where to cut a text, at `end` or in front of whitespace a little before it, behind `start`."""
    near = range(end, max(end - _NEAR, start), -1)
    breaks = (place for place in near if text[place].isspace() and not text[place - 1].isspace())
    return next(breaks, end)
