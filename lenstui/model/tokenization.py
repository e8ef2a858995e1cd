"""A text cut into tokens; a text that a tokenizer does not take is refused in a line."""

from __future__ import annotations

from typing import Any

from lenstui.support.errors import LensError, first_clause, is_panic
from lenstui.support.printable import is_unicode


def cut(tokenizer: Any, text: str, **how: Any) -> Any:
    """Return what a Hugging Face tokenizer makes of a text: `input_ids`, and what else is asked for.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        how: further arguments of the tokenizer.

    Raises:
        LensError: if the text is none, or the tokenizer gives up on it: a pattern of its own may try too many
            ways through a text, which its library ends.
    """
    if not is_unicode(text):
        raise LensError("The text has half of a surrogate pair, which is no character: leave it out.")
    try:
        return tokenizer(text, verbose=False, **how)
    except BaseException as error:
        if not is_panic(error):
            raise
        raise LensError(f"The tokenizer gives up on this text: {first_clause(error)}.") from error


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text without special tokens around it; as `cut` does it."""
    return list(cut(tokenizer, text, add_special_tokens=False)["input_ids"])
