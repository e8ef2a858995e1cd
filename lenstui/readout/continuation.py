"""Continuations: the tokens of a word that follows a text, while the tokens of the text stay as they are."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from lenstui.model.tokenization import plain_ids

if TYPE_CHECKING:
    from lenstui.model.tokens import Prompt, TokenTexts

_CLOSING = frozenset(".,;:!?…)]}%")  # punctuation directly after a word
_UNSPACED = ("THAI ", "LAO ", "KHMER ", "MYANMAR ")  # scripts without spaces, beside the East Asian ones
_NEAR = 16  # tokens of a text that may decide how the word behind it is cut
_BARE = "\n"  # a text behind which every tokenizer cuts a word as it is, without a space
ANSWER_BEGINS = _BARE  # what stands before the first word of an answer, in any chat template


def text_behind(prompt: Prompt, *, chat: bool) -> str:
    """Return the text that the word behind a prompt follows, as far as that decides how it is cut.

    Args:
        prompt: the prompt.
        chat: whether it was put into a chat template.
    """
    goes_on = prompt.turns is not None and prompt.turns.conversation.goes_on
    return ANSWER_BEGINS if chat and not prompt.appended and not goes_on else prompt.text


def space_between(text: str, word: str) -> str:
    """Return the space between a text and the word that follows it, or nothing where none belongs.

    No space belongs behind or before white space, before closing punctuation, or between characters of
    scripts that are written without spaces.
    """
    if text[-1:].isspace() or word[0].isspace() or _CLOSING.issuperset(word):
        return ""
    return "" if text and _is_unspaced(text[-1]) and _is_unspaced(word[0]) else " "


def _is_unspaced(character: str) -> bool:
    """Return whether a character is of a script without spaces between words: Chinese, Japanese, Thai, …"""
    name = unicodedata.name(character, "")
    wide = unicodedata.east_asian_width(character) in {"W", "F"}
    return name.startswith(_UNSPACED) or (wide and not name.startswith("HANGUL"))


def tokens_behind(tokenizer: Any, text: str, added: str) -> list[int]:
    """Return the tokens of `added` where it follows a text whose tokens are there already.

    Where the tokenizer would merge the end of the text with `added` (a space and a word, two characters of
    Chinese), which a model that has read the text cannot take back, `added` is cut as it is behind a newline.

    Args:
        tokenizer: a Hugging Face tokenizer.
        text: the text.
        added: the word, with the space before it if there is one.
    """

    for before in (text, _BARE):
        start, whole = plain_ids(tokenizer, before), plain_ids(tokenizer, before + added)
        if whole[: len(start)] == start:
            return whole[len(start) :]
    return plain_ids(tokenizer, added)


def word_behind(tokenizer: Any, texts: TokenTexts, ids: Sequence[int], word: str) -> list[int]:
    """Return the tokens of a word where it follows the first tokens of a prompt, often cut in the middle.

    A space comes before the word where one belongs, but none behind a special token: there a text begins.

    Args:
        tokenizer: a Hugging Face tokenizer.
        texts: display texts of its tokens.
        ids: the tokens that stand before the word.
        word: the word as typed; a space before it counts for nothing.
    """
    typed = word.lstrip(" ") or word
    # The text's special tokens are none of the word's business: as text they would be cut as text.
    near = list(takewhile(lambda token: not texts.is_special(token), ids[: -_NEAR - 1 : -1]))[::-1]
    text = texts.join(near) if near else ""
    return tokens_behind(tokenizer, text, (space_between(text, typed) if text else "") + typed)
