"""Pins: from the words that a user watches to the tokens whose numbers every cell keeps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lenstui.model.tokens import TokenTexts
from lenstui.readout.continuation import space_between, tokens_behind
from lenstui.support.errors import LensError

MOST_PINS = 8  # tokens that may be pinned

_NUMBER = re.compile(r"\[id (\d{1,9})\]", re.ASCII)
_PIECES = 12  # in a message


@dataclass(frozen=True, slots=True)
class Pin:
    """A pinned token.

    Attributes:
        word: the word as typed.
        id: the token id.
        whole: True if the token is the whole word, False if it is the first of several tokens of the word.
        rest: the word's other tokens behind the prompt, where it is of several.
    """

    word: str
    id: int
    whole: bool = True
    rest: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All tokens of the word behind the prompt, the pinned one first."""
        return self.id, *self.rest


def find_pins(
    tokenizer: Any, texts: TokenTexts, words: Iterable[str], *, prompt: str, vocabulary: int
) -> tuple[Pin, ...]:
    """Return the tokens that `words` mean, in the order of the words, each once for all words that are it.

    A word means every token that is the word, with or without a space before it; a word typed with a leading
    space means only the token with the space. Failing these, it means the token with that display text
    (`·sky`, `⏎`) or number (`[id 278]`). Failing that too, it means the first token of the word after the
    prompt, with a space between the two where one belongs; two words may begin with the same token.

    Args:
        tokenizer: a Hugging Face tokenizer.
        texts: display texts of its tokens.
        words: the words, none of them empty.
        prompt: the text that is read.
        vocabulary: the number of logits of the model; tokens beyond it have no logit.

    Raises:
        LensError: if no such token begins a word, or a word is only a space.
    """
    words = tuple(words)  # iterated more than once
    by_surface = {
        form: [token for token in texts.tokens_of(form) if token < vocabulary]
        for word in words
        for form in _forms(word)
    }
    missing = {word for word in words if not any(by_surface[form] for form in _forms(word))}
    by_display = _by_text(missing, texts.__getitem__, vocabulary) if missing else {}

    found: dict[tuple[int, ...], Pin] = {}
    for word in words:
        ids = by_display.get(word) or [token for form in _forms(word) for token in by_surface[form]]
        ids = ids or _by_number(word, vocabulary)
        pins = [Pin(word, token) for token in ids]
        if not pins:
            _check_logit(texts, word, _forms(word), vocabulary)
            first, *rest = _tokens_after(tokenizer, texts, word, prompt)
            pins = [Pin(word, first, whole=False, rest=tuple(rest))]
        for pin in pins:
            if (token := max(pin.ids)) >= vocabulary:
                raise _no_logit(word, token, vocabulary)
            found.setdefault(pin.ids, pin)
    return tuple(found.values())


def find_target(
    tokenizer: Any, texts: TokenTexts, word: str, *, prompt: str, vocabulary: int, exact: bool = False
) -> Pin:
    """Return the one token whose probability measures how likely a word is after a prompt.

    The token is the word as it follows the prompt: behind a space where one belongs. Where no single token is
    that, it is the first token of the word. Of several tokens with the same text it is the one that the
    tokenizer would use.

    Args:
        tokenizer: a Hugging Face tokenizer.
        texts: display texts of its tokens.
        word: the word, not empty.
        prompt: the text before the word.
        vocabulary: the number of logits of the model.
        exact: whether to take the word as written, without putting a space before it.

    Raises:
        LensError: if no token begins the word, or the word is only a space.
    """
    form = word if exact else space_between(prompt, word) + word
    same = [token for token in texts.tokens_of(form) if token < vocabulary]
    if same:
        used = tokens_behind(tokenizer, prompt, form)[:1] if len(same) > 1 else []
        # SentencePiece's byte tokens come before its pieces, and are used only where there is no piece.
        return Pin(word, next((token for token in used if token in same), same[-1]))
    _check_logit(texts, word, (form, word), vocabulary)
    added = tokens_behind(tokenizer, prompt, form)
    token = _first(tokenizer, texts, word, added)
    if word.strip() and not texts.surface(token).strip():
        # The next token is the space: the word's letters come only at the position after it.
        raise LensError(
            f"The tokenizer puts a space of its own before {word.strip()!r} ({_pieces(texts, added)}), and "
            "that comes next: put the space into the prompt, or take targets as they are written."
        )
    if max(added) >= vocabulary:
        raise _no_logit(word, max(added), vocabulary)
    if texts.surface(token).strip() == word.strip():
        return Pin(word, token)
    return Pin(word, token, whole=False, rest=tuple(added[1:]))


def pins_of(
    texts: TokenTexts,
    tokens: Sequence[int],
    *,
    vocabulary: int,
    apart: bool = False,
    words: Mapping[int, Pin] | None = None,
) -> tuple[Pin, ...]:
    """Return pins of exactly these tokens, with words for which `find_pins` finds the same tokens.

    Args:
        texts: display texts of the tokens.
        tokens: the token ids, each once.
        vocabulary: the number of logits of the model.
        apart: whether to give each token a separate word.
        words: by their place, pins of words of several tokens, which stand there as they are.
    """
    words, pins = words or {}, list[Pin]()
    while len(pins) < len(tokens):
        place = len(pins)
        if place in words:
            pins.append(words[place])
            continue
        rest = list(tokens[place : min((at for at in words if at > place), default=None)])
        surface = texts.surface(rest[0])
        word, found = f"[id {rest[0]}]", rest[:1]
        # One word stands for both forms, with and without a space, where they follow each other.
        for candidate in (surface.removeprefix(" "), surface):
            if candidate and "\0" not in candidate:  # no command line takes a zero byte
                meant = [token for form in _forms(candidate) for token in texts.tokens_of(form)]
                meant = [token for token in meant if token < vocabulary]
                if meant and meant == rest[: 1 if apart else len(meant)]:
                    word, found = candidate, meant
                    break
        pins += [Pin(word, token) for token in found]
    return tuple(pins)


def _by_number(word: str, vocabulary: int) -> list[int]:
    """Return the token of a number in brackets, `[id 278]`; an empty list for any other word."""
    match = _NUMBER.fullmatch(word)
    if match is None:
        return []
    if int(match[1]) >= vocabulary:
        raise LensError(f"There is no token {match[1]}: the vocabulary has ids 0 … {vocabulary - 1}.")
    return [int(match[1])]


def _check_logit(texts: TokenTexts, word: str, forms: Iterable[str], vocabulary: int) -> None:
    """Refuse a word if all tokens that are exactly this word are beyond the vocabulary."""
    tokens = [token for form in forms for token in texts.tokens_of(form)]
    if tokens and min(tokens) >= vocabulary:
        raise _no_logit(word, min(tokens), vocabulary)


def _no_logit(word: str, token: int, vocabulary: int) -> LensError:
    return LensError(
        f"The model has no logit for {word!r}: its tokenizer gives it the id {token}, and the vocabulary has "
        f"ids 0 … {vocabulary - 1}."
    )


def words_first(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """Return the pins reordered: the first token of each word, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    places: list[tuple[int, Pin]] = []
    for pin in pins:
        places.append((seen[pin.word], pin))
        seen[pin.word] += 1
    return tuple(pin for _, pin in sorted(places, key=lambda place: place[0]))


def _forms(word: str) -> tuple[str, ...]:
    """Return the word with and without a leading space, the likelier first; as typed if it has one."""
    return (word,) if word[0] == " " else (f" {word}", word)


def _by_text(
    wanted: Iterable[str], text_of: Callable[[int], str], vocabulary: int
) -> Mapping[str, list[int]]:
    """Return the wanted texts, each with the ids of the tokens that have it."""
    ids: dict[str, list[int]] = {text: [] for text in wanted}
    for token in range(vocabulary):
        if (text := text_of(token)) in ids:
            ids[text].append(token)
    return ids


def _tokens_after(tokenizer: Any, texts: TokenTexts, word: str, prompt: str) -> list[int]:
    """Return the tokens of `word` where it follows the prompt; the first must say something of it."""
    typed = word.lstrip(" ") or word
    added = tokens_behind(tokenizer, prompt, space_between(prompt, typed) + typed)
    token = _first(tokenizer, texts, word, added)
    if word.strip() and not texts.surface(token).strip():
        raise LensError(
            f"No token is {word!r}: behind a space it is cut into {_pieces(texts, added)}, and a space alone "
            "says nothing of it. Type one of the others."
        )
    return added


def _first(tokenizer: Any, texts: TokenTexts, word: str, added: Sequence[int]) -> int:
    """Return the first of the tokens of a word; the first that has letters must not be the unknown token."""
    lettered = next((token for token in added if texts.surface(token).strip()), None)
    if not added or (lettered is None) != (not word.strip()):
        raise LensError(f"The tokenizer has no token for {word!r}.")
    if lettered is not None and _is_unknown(tokenizer, texts, lettered, word):
        raise LensError(f"The tokenizer has no token for {word!r}.")
    return added[0]


def _pieces(texts: TokenTexts, tokens: Sequence[int]) -> str:
    """Return the tokens of a word as text for a message."""
    shown = " ".join(texts[token] for token in tokens[:_PIECES])
    return f"{shown} …" if len(tokens) > _PIECES else shown


def _is_unknown(tokenizer: Any, texts: TokenTexts, token: int, word: str) -> bool:
    """Return whether a token is the tokenizer's unknown token, and the word does not spell it."""
    return token == getattr(tokenizer, "unk_token_id", None) and texts.surface(token) not in word
