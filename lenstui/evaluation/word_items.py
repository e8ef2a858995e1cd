"""Items for pass@k: prompts, each with the words that a model should think of before it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenstui.model.tokens import Prompt, TokenTexts
from lenstui.support.errors import LensError, unreadable
from lenstui.support.small_file import read_small
from lenstui.texts.files import json_object, json_string, looks_like

LAST, NEWLINE = "last", "newline"


@dataclass(frozen=True, slots=True)
class WordItem:
    """A prompt with its intermediates, words between the prompt and its answer, which need be in neither.

    Attributes:
        prompt: the text that the model reads.
        intermediates: the words that a lens should find.
        target: the answer, if known. It follows the prompt, or the prompt ends in it.
        at: the column to read: `last` (the last one), `newline` (the last one whose token contains a
            newline), or an index, from 0, of the tokens as the model reads them, BOS among them. None: the
            last one before the target.
        forms: further words that count as an intermediate, by intermediate.
    """

    prompt: str
    intermediates: tuple[str, ...]
    target: str | None = None
    at: str | int | None = None
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ends_in_space(self) -> bool:
        """Whether it is read at the end of a prompt that ends in a space."""
        return self.prompt.endswith(" ") and self.at in {None, LAST}

    def column(self, prompt: Prompt, texts: TokenTexts) -> int:
        """Return the index of the column to read.

        Args:
            prompt: the prompt as tokenized.
            texts: display texts of the tokens.

        Raises:
            LensError: if there is no such column.
        """
        last = len(prompt.ids) - 1
        if self.at is None:
            return self.answer_column(prompt, texts)
        if self.at == LAST:
            return last
        if self.at == NEWLINE:
            lines = (column for column in range(last, -1, -1) if "\n" in texts.surface(prompt.ids[column]))
            if (found := next(lines, None)) is None:
                raise LensError("no token of its prompt contains a newline.")
            return found
        assert isinstance(self.at, int)
        if self.at > last:
            raise LensError(f"its prompt has no token {self.at}, but tokens 0 … {last}.")
        return self.at

    def answer_column(self, prompt: Prompt, texts: TokenTexts) -> int:
        """Return the index of the column whose next token begins the answer: the last one before the target.

        Args:
            prompt: the prompt as tokenized.
            texts: display texts of the tokens.

        Raises:
            LensError: if the prompt is nothing but the target.
        """
        last = len(prompt.ids) - 1
        if not self.target or not prompt.text.endswith(self.target):
            return last
        # The target begins within the last token from which on the text is at least as long.
        for column in range(last, 0, -1):
            if len(texts.join(prompt.ids[column:])) >= len(self.target):
                return column - 1
        raise LensError("its prompt has no token before the target.")


def open_items(path: Path) -> tuple[WordItem, ...]:
    """Return the items of a JSON file: `{"items": [...]}`, a list, or JSON lines with one item each.

    An item is an object with `prompt` and `intermediates`, and perhaps `target`, `at` and `forms`. An `at`
    beside `items` is that of all items that have none; other fields are ignored.

    Raises:
        LensError: if the file is missing or holds no items, or one of them is wrong.
    """
    try:
        content = read_small(path, regular=False)
    except FileNotFoundError as error:
        raise LensError(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise LensError(f"{path} is a folder: name a file of items in it.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    found, usual = _listed(content, path)
    if not found:
        raise LensError(f"There are no items in {path}.")
    return tuple(_numbered(found, usual, path))


def _numbered(found: Sequence[object], usual: Mapping[str, Any], path: Path) -> Iterator[WordItem]:
    for number, each in enumerate(found, 1):
        try:
            yield _item(each, usual)
        except ValueError as error:
            raise LensError(f"Item {number} of {path} is wrong: {error}.") from error


def _listed(content: bytes, path: Path) -> tuple[Sequence[object], Mapping[str, Any]]:
    """Return the items of a file as plain values, and the fields that all of them share."""
    try:
        whole = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LensError(f"{path} is not UTF-8 text: it looks like {looks_like(content[:64])}.") from error
    except (ValueError, RecursionError):
        return _of_lines(content, path), {}
    if isinstance(whole, dict) and "items" in whole:
        items = whole["items"]
        if not isinstance(items, list):
            raise LensError(f"The 'items' of {path} are no list.")
        return items, {"at": whole["at"]} if "at" in whole else {}
    if isinstance(whole, list):
        return whole, {}
    if isinstance(whole, dict) and "prompt" in whole:  # JSON lines, of a single line
        return [whole], {}
    raise LensError(f"There are no items in {path}: it should hold a list of them, alone or as 'items'.")


def _of_lines(content: bytes, path: Path) -> list[object]:
    items: list[object] = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                items.append(json_object(line))
            except ValueError as error:
                raise LensError(f"{path} is neither JSON nor JSON lines (line {number}: {error}).") from error
    return items


def _item(found: object, usual: Mapping[str, Any]) -> WordItem:
    """Return the item in a plain value, whose missing fields are as in `usual`.

    Raises:
        ValueError: if it is wrong, with the reason.
    """
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - the file is wrong, not a type in the program
    content = {**usual, **found}
    if content.get("prompt") is None:
        raise ValueError("it has no 'prompt'")
    prompt = json_string(content, "prompt")
    if not prompt.strip(" "):
        raise ValueError("its 'prompt' is empty")
    if not content.get("intermediates"):
        raise ValueError("it has no 'intermediates'")
    forms = content.get("forms") or {}
    if not isinstance(forms, dict):
        raise ValueError("its 'forms' are no object with a list for each intermediate")  # noqa: TRY004
    intermediates = _words(content, "intermediates")
    if strange := forms.keys() - set(intermediates):
        raise ValueError(f"its 'forms' name {min(strange)!r}, which is none of its intermediates")
    target = content.get("target")
    return WordItem(
        prompt=prompt,
        intermediates=intermediates,
        target=None if target is None else _word(target, "target"),
        at=_at(content.get("at")),
        forms={word: _words(forms, word) for word in forms},
    )


def _at(value: object) -> str | int | None:
    if value is None or (isinstance(value, str) and value in {LAST, NEWLINE}):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"its 'at' is neither {LAST!r} nor {NEWLINE!r} nor the index of a token")


def _words(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the words in a list, which may be whole numbers."""
    values = content[name]
    if not isinstance(values, list):
        raise ValueError(f"its {name!r} are no list")  # noqa: TRY004
    return tuple(_word(value, name) for value in values)


def _word(value: object, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    word = json_string({name: value}, name)
    if not word.strip():
        raise ValueError(f"a word of its {name!r} is empty")
    return word
