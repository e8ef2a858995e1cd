"""The forms of a word: all single tokens that stand for it, by which its rank is the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lenstui.model.tokens import TokenTexts

_UP_TO_TWENTY = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_GREATER = {
    **{30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety"},
    **{100: "hundred", 1_000: "thousand", 1_000_000: "million"},
}
# Words alone: the signs stand in the prompts themselves.
_OPERATIONS = (
    ("addition", "add", "added", "adding", "plus"),
    ("subtraction", "subtract", "subtracted", "subtracting", "minus"),
    ("multiplication", "multiply", "multiplied", "multiplying", "times"),
    ("division", "divide", "divided", "dividing"),
    ("mod", "modulo", "modulus", "remainder"),
    ("squared", "square", "squaring"),
)


def _same_words() -> Mapping[str, tuple[str, ...]]:
    numbers = [(str(number), word) for number, word in (*enumerate(_UP_TO_TWENTY), *_GREATER.items())]
    return {word: group for group in (*numbers, *_OPERATIONS) for word in group}


_SAME = _same_words()


def surfaces_of(word: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the texts that count as a word, each once.

    These are the word, those of `more`, and the other form of a number (`7`, `seven`) or of an arithmetic
    operation (`addition`, `plus`): each as written, in lower case and capitalised, with and without a leading
    space.

    Args:
        word: the word.
        more: further words that count as this one.
    """
    return tuple(dict.fromkeys(_surfaces(word, more)))


def _surfaces(word: str, more: Iterable[str]) -> Iterator[str]:
    for written in (word, *more, *_SAME.get(word.strip().lower(), ())):
        bare = written.strip()
        for form in (bare, bare.lower(), bare[:1].upper() + bare[1:]):
            yield from (f" {form}", form)


def tokens_of_word(
    texts: TokenTexts, word: str, more: Iterable[str] = (), *, vocabulary: int
) -> tuple[int, ...]:
    """Return all tokens that are a whole form of a word, in order of id; none where each form is several.

    Args:
        texts: display texts of the tokenizer's tokens.
        word: the word.
        more: further words that count as this one.
        vocabulary: the number of logits of the model; tokens beyond it have no logit.
    """
    found = {token for surface in surfaces_of(word, more) for token in texts.tokens_of(surface)}
    return tuple(sorted(token for token in found if token < vocabulary))
