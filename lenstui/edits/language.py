"""The language of edits: `ablate 4.7 @3`, `patch row 2 "another prompt"`, `steer Paris rows 3-6 by 2`.

    ablate COMPONENT [@COLUMNS] [zero | mean]
    patch COMPONENT [@COLUMNS] "PROMPT"|@FILE [COMPONENT] [@COLUMNS]
    steer WORD [@COLUMNS] rows 3-6 by 2
    steer "PROMPT" -> "PROMPT" [@COLUMNS] rows 3-6 by 2
    swap WORD WORD [@COLUMNS] rows 3-6
    cut HEAD COLUMNS<-COLUMNS

A component is `4.attn`, `4.mlp`, `4.7` (an attention head), `4.mlp.812` (a neuron), `row 4` (the residual
stream by its row label) or `emb`; columns are `3`, `3-6`, `3,5`, `last`. The model is not asked: whether it
has such a block or column is found out where the edit is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from lenstui.edits.edit import (
    Ablate,
    Columns,
    Component,
    Cut,
    Edit,
    Patch,
    Rows,
    Steer,
    Swap,
    Text,
)
from lenstui.support.errors import LensError
from lenstui.support.small_file import read_small
from lenstui.support.typed_path import expanded

COMPONENTS = "4.attn, 4.mlp, 4.7 for an attention head, 4.mlp.812 for a neuron, row 4 or emb"

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"?|@"(?:[^"\\]|\\.)*"?|\S+')
_ESCAPES = {"n": "\n", "t": "\t"}
_COMPONENT = re.compile(r"(\d{1,6})\.(?:(attn|mlp)|(\d{1,6})|mlp\.(\d{1,8}))")
_RUN = re.compile(r"(\d{1,8}|last)(?:-(\d{1,8}|last))?")
_LABEL = re.compile(r"emb|\d{1,6}")
_LABELS = re.compile(r"(emb|\d{1,6})(?:-(\d{1,6}|emb))?")


class EditError(LensError):
    """An edit that is not understood. The message names the edit and the place in it.

    Attributes:
        text: the edit as it was typed.
        start: the index of the first character that is not understood.
        stop: one past the last one.
        reason: what is wrong there.
    """

    def __init__(self, text: str, start: int, stop: int, reason: str) -> None:
        """Point at `text[start:stop]`, or at the end of the edit where that is empty."""
        at = f"at {text[start:stop]!r}" if text[start:stop].strip() else "at its end"
        super().__init__(f"Edit {text!r}, {at}: {reason}.")
        self.text, self.start, self.stop, self.reason = text, start, stop, reason


def parse_edit(text: str) -> Edit:
    """Return the edit that a line of the language means.

    Raises:
        EditError: if it is not understood; it points at the place.
    """
    words = _Words(text)
    verb = words.take("a verb: " + ", ".join(_VERBS))
    if (read := _VERBS.get(verb.text)) is None:
        near = get_close_matches(verb.text, _VERBS, 1)
        hint = f"perhaps {near[0]!r} is meant" if near else "there are " + ", ".join(_VERBS)
        raise words.error(verb, f"{verb.text!r} is no edit: {hint}")
    edit = read(words)
    if (rest := words.peek()) is not None:
        raise words.error(rest, "nothing more is expected here")
    return edit


def parse_edits(text: str) -> tuple[Edit, ...]:
    """Return the edits on one line, with semicolons between them, but for those within quotes.

    Raises:
        EditError: if one is not understood; it points at the place.
    """
    parts = re.findall(r'(?:[^;"]|"[^"]*"?)+', text)
    return tuple(parse_edit(part.strip()) for part in parts if part.strip())


def begins_as_edit(text: str) -> bool:
    """Return whether the first word of a text is the verb of an edit."""
    return text.split(maxsplit=1)[:1] != [] and text.split(maxsplit=1)[0] in _VERBS


def parse_columns(text: str) -> Columns:
    """Return columns as they are typed: `3`, `3-6`, `3,5`, `last`.

    Raises:
        LensError: if they are not understood.
    """
    try:
        return _columns(_Words(""), _Word(text, 0, len(text), False), text)
    except EditError as error:
        raise LensError(f"{error.reason}.") from None


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of an edit: its text, without quotation marks and escapes, and where it stands."""

    text: str
    start: int
    stop: int
    is_quoted: bool


class _Words:
    """The words of an edit, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = [self._word(match) for match in _WORD.finditer(text)]
        self._at = 0

    def _word(self, match: re.Match[str]) -> _Word:
        shown, start = match[0], match.start()
        is_file = shown.startswith('@"')
        body = shown.removeprefix("@")
        if not body.startswith('"'):
            return _Word(shown, start, match.end(), False)
        if len(body) < 2 or not re.fullmatch(r'"(?:[^"\\]|\\.)*"', body, re.DOTALL):
            raise EditError(self._text, start, match.end(), "the quotation marks are not closed")
        inner = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), body[1:-1], flags=re.DOTALL)
        return _Word(f"@{inner}" if is_file else inner, start, match.end(), not is_file)

    def error(self, word: _Word | None, reason: str) -> EditError:
        """Return an error that points at a word, or at the end."""
        start, stop = (len(self._text),) * 2 if word is None else (word.start, word.stop)
        return EditError(self._text, start, stop, reason)

    def peek(self) -> _Word | None:
        """Return the next word without taking it; None at the end."""
        return self._words[self._at] if self._at < len(self._words) else None

    def take(self, expected: str) -> _Word:
        """Take the next word.

        Raises:
            EditError: at the end; it says what was expected.
        """
        if (word := self.peek()) is None:
            raise self.error(None, f"{expected} is expected")
        self._at += 1
        return word

    def take_if(self, *texts: str) -> str | None:
        """Take the next word if it is one of `texts`, unquoted; None where it is not."""
        word = self.peek()
        if word is None or word.is_quoted or word.text not in texts:
            return None
        self._at += 1
        return word.text


def _ablate(words: _Words) -> Ablate:
    component, columns = _component(words), _columns_if(words)
    return Ablate(component, columns, words.take_if("zero", "mean") == "mean")


def _patch(words: _Words) -> Patch:
    component, columns = _component(words), _columns_if(words, before_file=True)
    prompt = _prompt(words)
    named = words.peek()
    source = None if named is None or _starts_columns(words) else _component(words)
    if source is not None and not _go_together(component, source):
        raise words.error(named, f"{source.text} cannot be put in the place of {component.text}")
    at = words.peek()
    source_columns = _columns_if(words)
    if source_columns is not None and columns is None:
        raise words.error(at, "columns to take from need columns to put in: @COLUMNS before the prompt")
    return Patch(component, prompt, columns, source, source_columns)


def _go_together(one: Component, other: Component) -> bool:
    """Return whether one component has the shape of the other in any model."""
    whole = {"attn", "mlp", "stream"}
    return one.part == other.part or {one.part, other.part} <= whole


def _steer(words: _Words) -> Steer:
    first = words.take("a word, or a prompt in quotation marks,")
    if words.take_if("->") is None:
        columns, rows = _columns_if(words), _rows(words)
        if not first.text:
            raise words.error(first, "a word is expected")
        return Steer(rows, _by(words), word=first.text, columns=columns)
    second = _prompt(words)
    columns, rows = _columns_if(words), _rows(words)
    return Steer(rows, _by(words), prompts=(_as_prompt(words, first), second), columns=columns)


def _swap(words: _Words) -> Swap:
    first, second = words.take("a word"), words.take("a second word")
    for each in (first, second):
        if not each.text:
            raise words.error(each, "a word is expected")
    columns = _columns_if(words)
    return Swap(first.text, second.text, _rows(words), columns)


def _cut(words: _Words) -> Cut:
    at = words.peek()
    component = _component(words)
    if component.part not in {"head", "attn"}:
        raise words.error(at, "an attention head such as 4.7 is expected, or 4.attn for all of a block")
    pair = words.take("who may not read what, such as 9<-2,")
    readers, arrow, sources = pair.text.partition("<-")
    if not arrow:
        raise words.error(pair, "who may not read what is expected, such as 9<-2")
    return Cut(component, _columns(words, pair, readers), _columns(words, pair, sources))


_VERBS: dict[str, Callable[[_Words], Edit]] = {
    "ablate": _ablate,
    "patch": _patch,
    "steer": _steer,
    "swap": _swap,
    "cut": _cut,
}


def _component(words: _Words) -> Component:
    word = words.take(f"a component ({COMPONENTS})")
    if word.text == "emb":
        return Component("stream", -1)
    if word.text == "row":
        label = words.take("a row label, such as 4,")
        if not _LABEL.fullmatch(label.text):
            raise words.error(label, f"{label.text!r} is no row: emb or a number is expected")
        return Component("stream", _block(label.text))
    if (match := _COMPONENT.fullmatch(word.text)) is None:
        raise words.error(word, f"{word.text!r} is no component: {COMPONENTS}")
    block, whole, head, neuron = match.groups()
    if head is not None:
        return Component("head", int(block), int(head))
    if neuron is not None:
        return Component("neuron", int(block), int(neuron))
    return Component("attn" if whole == "attn" else "mlp", int(block))


def _block(label: str) -> int:
    return -1 if label == "emb" else int(label)


def _starts_columns(words: _Words) -> bool:
    word = words.peek()
    return word is not None and not word.is_quoted and word.text.startswith("@")


def _columns_if(words: _Words, *, before_file: bool = False) -> Columns | None:
    """Take columns, `@3-6`, where the next word begins as columns do.

    Args:
        words: the words of the edit.
        before_file: whether `@FILE` may stand in this place too, so that only what can be nothing but columns
            counts.
    """
    word = words.peek()
    begins = (
        re.fullmatch(r"@(\d|last)([\d,-]|last)*" if before_file else r"@(\d|last).*", word.text)
        if word
        else None
    )
    if word is None or word.is_quoted or not begins:
        return None
    words.take("columns")
    return _columns(words, word, word.text[1:])


def _columns(words: _Words, word: _Word, text: str) -> Columns:
    runs = []
    for each in text.split(","):
        if (match := _RUN.fullmatch(each)) is None:
            raise words.error(word, f"{each!r} is no column: 3, 3-6, 3,5 or last is expected")
        first, last = (None if end == "last" else int(end) for end in (match[1], match[2] or match[1]))
        if (first is None and last is not None) or (first is not None and last is not None and last < first):
            raise words.error(word, f"{each!r} runs backwards: name its first column first")
        runs.append((first, last))
    return Columns(tuple(runs))


def _rows(words: _Words) -> Rows:
    if words.take_if("rows", "row") is None:
        raise words.error(words.peek(), "the rows are expected, such as rows 3-6")
    word = words.take("row labels, such as 3-6,")
    if (match := _LABELS.fullmatch(word.text)) is None:
        raise words.error(word, f"{word.text!r} are no rows: 4, 3-6 or emb-2 is expected")
    first, last = _block(match[1]), _block(match[2] or match[1])
    if last < first:
        raise words.error(word, f"{word.text!r} runs downwards: name its lower end first")
    return Rows(first, last)


def _by(words: _Words) -> float:
    if words.take_if("by") is None:
        raise words.error(words.peek(), "how much is expected, such as by 2")
    word = words.take("a number, such as 2,")
    try:
        amount = float(word.text)
    except ValueError:
        raise words.error(word, f"{word.text!r} is no number") from None
    if not isfinite(amount):
        raise words.error(word, f"{word.text!r} is no finite number")
    return amount


def _prompt(words: _Words) -> Text:
    return _as_prompt(words, words.take("a prompt in quotation marks or @FILE"))


def _as_prompt(words: _Words, word: _Word) -> Text:
    if word.text.startswith("@") and not word.is_quoted:
        return _read(words, word, word.text[1:])
    if not word.text:
        raise words.error(word, "the prompt is empty")
    if not word.is_quoted:
        raise words.error(word, "a prompt is expected, in quotation marks or as @FILE")
    return Text(word.text)


def _read(words: _Words, word: _Word, name: str) -> Text:
    if not name:
        raise words.error(word, "the name of a file is expected behind @")
    try:
        text = read_small(expanded(name), regular=False).decode()
    except OSError as error:
        raise words.error(word, f"{name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise words.error(word, f"{name} is not UTF-8 text (byte {error.start})") from error
    if not (text := text.removesuffix("\n")):
        raise words.error(word, f"{name} is empty")
    return Text(text, name)


def edits_text(edits: Sequence[Edit]) -> str:
    """Return a list of edits on one line, as a screen or a file says what is in force."""
    return "; ".join(edit.text for edit in edits)
