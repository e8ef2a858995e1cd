"""Prompt sets: files of prompts, each with the word that should come next, if it is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lenstui.support.errors import LensError, unreadable
from lenstui.support.turns import Conversation, conversation_of
from lenstui.texts.documents import SkippedLines
from lenstui.texts.files import (
    JSON_LINES,
    PARQUET,
    check_text_column,
    json_object,
    json_string,
    listed,
    open_parquet,
    parquet_batches,
    utf8_lines,
)

if TYPE_CHECKING:
    import pyarrow

EXAMPLES = "examples"  # the name of the set that comes with lenstui; a file of that name is `./examples`

TABLES = frozenset({".csv", ".tsv", ".xlsx", ".xls", ".ods"})
_PROMPT_NAMES = ("prompt", "text", "messages")
_OF_ALL = ("target", "group")  # optional fields, by their usual names
_OF_READINGS = ("foil",)  # those of readouts
_OF_PAIRS = ("corrupted", "minus")  # those of causal traces


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt of a set.

    Attributes:
        number: the number of its line or row in the file, from 1.
        text: the prompt; an empty one fails only when it is read. Of turns, a line for each.
        target: the word that should come next, if known.
        group: the name of its group, if any.
        corrupted: the prompt that a causal trace patches parts of this one into, if any.
        minus: the word whose logit a trace takes off that of the target, if any.
        turns: the prompt as the turns of a chat; None where it is one text.
        corrupted_turns: the corrupted prompt likewise.
        foil: another word that could come next, which the target is held against, if any.
    """

    number: int
    text: str
    target: str | None = None
    group: str | None = None
    corrupted: str | None = None
    minus: str | None = None
    turns: Conversation | None = None
    corrupted_turns: Conversation | None = None
    foil: str | None = None

    @property
    def typed(self) -> str | Conversation:
        """The prompt: its text, or its turns."""
        return self.text if self.turns is None else self.turns

    @property
    def typed_corrupted(self) -> str | Conversation | None:
        """The corrupted prompt, if any: its text, or its turns."""
        return self.corrupted if self.corrupted_turns is None else self.corrupted_turns

    def with_thinking(self, thinking: bool) -> Case:
        """Return the case with the thinking switch of its turns set."""
        clean, corrupted = (
            None if turns is None else replace(turns, thinking=thinking)
            for turns in (self.turns, self.corrupted_turns)
        )
        return replace(self, turns=clean, corrupted_turns=corrupted)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A choice of a file of prompts, and of its columns. The prompts are not held in memory.

    The ending determines the kind of file: `.parquet` and `.pq`; `.jsonl`, `.ndjson` and `.json` (one object
    a line); any other file is plain text: one prompt a line, blank lines skipped, a target behind the last
    tab. Tables (`.csv`, `.xlsx`, …) are refused. A field or column of prompts may hold the turns of chats:
    lists of objects with `role` and `content`.

    Attributes:
        path: the file.
        prompt: the column or field of the prompt; None for `prompt`, or `text` or `messages` where there is
            no such column.
        target: the column or field of the target; None for `target`, which may be missing.
        group: the column or field of the group; None for `group`, which may be missing.
        corrupted: that of the corrupted prompt of a causal trace; None for `corrupted`, which may be missing.
        minus: that of the word that a trace takes off; None for `minus`, which may be missing.
        of_pairs: whether these two are taken, and the foil is not.
        foil: the column or field of the foil; None for `foil`, which may be missing.
    """

    path: Path
    prompt: str | None = None
    target: str | None = None
    group: str | None = None
    corrupted: str | None = None
    minus: str | None = None
    of_pairs: bool = False
    foil: str | None = None

    @property
    def optional(self) -> dict[str, str | None]:
        """The optional fields of a `Case`, each with the name that the user gave its column, or None."""
        taken = (*_OF_ALL, *(_OF_PAIRS if self.of_pairs else _OF_READINGS))
        return {what: getattr(self, what) for what in taken}


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All cases of a file.

    Attributes:
        name: the name of the set.
        cases: the cases, in the file's order.
        skipped: the lines or rows that held no prompt.
    """

    name: str
    cases: tuple[Case, ...]
    skipped: SkippedLines

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, in order of appearance."""
        return tuple(dict.fromkeys(case.group for case in self.cases if case.group is not None))

    @property
    def has_foils(self) -> bool:
        """Whether any case has a foil."""
        return any(case.foil is not None for case in self.cases)


def open_prompts(file: PromptFile) -> PromptSet:
    """Read all cases of a file.

    Raises:
        LensError: as `read_cases` does.
    """
    skipped = skipped_rows(file.path)
    return PromptSet(str(file.path), tuple(read_cases(file, skipped)), skipped)


def example_prompts() -> PromptSet:
    """Return the prompts that come with lenstui, in groups: facts, grammar, arithmetic, code and stories."""
    from lenstui.support.paths import example_prompts

    return replace(open_prompts(PromptFile(example_prompts())), name=EXAMPLES)


def skipped_rows(path: Path) -> SkippedLines:
    """Return an empty tally for the lines or rows of a file that hold no prompt."""
    return SkippedLines(what="prompt", unit="row" if path.suffix.lower() in PARQUET else "line")


def read_cases(file: PromptFile, skipped: SkippedLines | None = None) -> Iterator[Case]:
    """Yield the cases of a file, with only a few in memory.

    Args:
        file: the file and its columns.
        skipped: a tally, from `skipped_rows`, for lines and rows that hold no prompt.

    Raises:
        LensError: if the file is missing, damaged or not of the kind that its name says, or lacks a named
            column or one of prompts; at the end, if there was no prompt in it.
    """
    path = file.path
    skipped = skipped_rows(path) if skipped is None else skipped
    ending = path.suffix.lower()
    try:
        if path.is_dir():
            raise LensError(f"{path} is a folder: name a file of prompts in it.")
        if ending in TABLES:
            raise LensError(
                f"No prompts are read from {ending}: save {path} as JSON lines (.jsonl) or Parquet with "
                "a column 'prompt', or as plain text (.txt), one prompt a line and a target behind a tab."
            )
        if ending in PARQUET:
            yield from _some(_parquet_cases(file, skipped), path)
        else:
            with path.open("rb") as lines:
                yield from read_lines(lines, file, skipped, json=ending in JSON_LINES)
    except FileNotFoundError as error:
        raise LensError(f"There is no file {path}.") from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_lines(
    lines: IO[bytes], file: PromptFile, skipped: SkippedLines, *, json: bool | None = None
) -> Iterator[Case]:
    """Return an iterator over the cases of an open file, or of standard input.

    Args:
        lines: the file, opened for reading, at its beginning.
        file: the name for messages, and the fields to take.
        skipped: a tally for lines that hold no prompt.
        json: whether each line is a JSON object, else plain text; None to decide by the first line that is
            not blank.

    Raises:
        LensError: as `read_cases` does.
    """
    stream: Iterable[bytes] = lines
    if json is None:
        blank: list[bytes] = []
        first = b""
        for first in lines:
            if first.strip():
                break
            blank.append(first)
        json = first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
        stream = chain(blank, [first], lines) if first.strip() else blank
    if not json and (named := next(filter(None, (file.prompt, *file.optional.values())), None)):
        raise LensError(f"Plain text has no columns: leave the column {named!r} out.")
    cases = _json_cases(stream, file, skipped) if json else _plain_cases(stream, file.path)
    return _some(cases, file.path)


def _some(cases: Iterator[Case], path: Path) -> Iterator[Case]:
    """Yield the cases, and refuse a file that has none."""
    first = next(cases, None)
    if first is None:
        raise LensError(f"There is no prompt in {path}.")
    yield first
    yield from cases


def _plain_cases(lines: Iterable[bytes], path: Path) -> Iterator[Case]:
    for number, line in enumerate(utf8_lines(lines, path), 1):
        if line.strip():
            text, tab, target = line.removesuffix("\n").rpartition("\t")
            yield Case(number, text, target or None) if tab else Case(number, target)


def _json_cases(lines: Iterable[bytes], file: PromptFile, skipped: SkippedLines) -> Iterator[Case]:
    good, first_wrong = False, ""
    lacking = {name for name in file.optional.values() if name is not None}
    seen: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            content = json_object(line)
            case = _json_case(content, number, file)
        except ValueError as error:
            first_wrong = first_wrong or f"line {number}: {error}"
            skipped.add(file.path, number, str(error))
        else:
            good = True
            if lacking:
                lacking -= content.keys()
                seen |= dict.fromkeys(content)
            yield case
    wanted = file.prompt or _PROMPT_NAMES[0]
    if not good and first_wrong:
        raise LensError(
            f"No line of {file.path} is a JSON object with a prompt in {wanted!r} ({first_wrong}). "
            "One object a line is expected."
        )
    if lacking:
        raise LensError(f"No line of {file.path} has {min(lacking)!r} (they have {listed(seen)}).")


def _json_case(content: Mapping[str, Any], number: int, file: PromptFile) -> Case:
    """Return the case in one JSON object.

    Raises:
        ValueError: if it holds none, with the reason.
    """
    names = _PROMPT_NAMES if file.prompt is None else (file.prompt,)
    prompt = next((name for name in names if name in content), None)
    if prompt is None:
        raise ValueError(f"it has {listed(content) or 'no fields'}")
    optional = dict(file.optional)
    corrupted = None
    if "corrupted" in optional:
        name = optional.pop("corrupted") or "corrupted"
        corrupted = None if content.get(name) is None else _json_prompt(content, name)
    words = {what: _json_word(content, named or what) for what, named in optional.items()}
    return _case(number, _json_prompt(content, prompt), corrupted, words)


def _json_prompt(content: Mapping[str, Any], name: str) -> str | Conversation:
    """Return the text or the turns in a field."""
    return _turns(content[name]) if isinstance(content[name], list) else json_string(content, name)


def _turns(messages: list[Any]) -> Conversation:
    """Return turns, and raise a `ValueError` with the reason where these are none."""
    try:
        return conversation_of(messages)
    except LensError as error:
        raise ValueError(str(error).rstrip(".")) from error


def _case(
    number: int,
    clean: str | Conversation,
    corrupted: str | Conversation | None,
    words: Mapping[str, str | None],
) -> Case:
    """Return a case of prompts that are texts or turns, and of its words."""
    return Case(
        number,
        clean if isinstance(clean, str) else clean.text,
        corrupted=(corrupted.text if isinstance(corrupted, Conversation) else corrupted) or None,
        turns=None if isinstance(clean, str) else clean,
        corrupted_turns=corrupted if isinstance(corrupted, Conversation) else None,
        **words,
    )


def _json_word(content: Mapping[str, Any], name: str) -> str | None:
    """Return the word in an optional field, which may be a whole number; None where there is none."""
    value = content.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else json_string(content, name) or None


def _parquet_cases(file: PromptFile, skipped: SkippedLines) -> Iterator[Case]:
    path = file.path
    with open_parquet(path) as opened:
        schema = opened.schema_arrow
        there = set(schema.names)
        prompt = file.prompt or next((name for name in _PROMPT_NAMES if name in there), _PROMPT_NAMES[0])
        if not _holds_turns(schema, prompt):
            check_text_column(path, schema, prompt, "prompt")
        optional = {
            what: named or what for what, named in file.optional.items() if named is not None or what in there
        }
        for what, name in optional.items():
            if what != "corrupted" or not _holds_turns(schema, name):
                check_text_column(path, schema, name, what, numbers=True)
        columns = [prompt, *optional.values()]
        number = 0
        for batch in parquet_batches(opened, path, tuple(dict.fromkeys(columns))):
            try:
                values = {name: batch.column(batch.schema.names.index(name)).to_pylist() for name in columns}
            except UnicodeDecodeError as error:
                raise LensError(f"A column of {path} is not UTF-8 (one of {listed(columns)}).") from error
            for row, text in enumerate(values[prompt]):
                number += 1
                if text is None:
                    skipped.add(path, number, f"its {prompt!r} is null")
                    continue
                found = {what: values[name][row] for what, name in optional.items()}
                try:
                    clean, corrupted = (
                        _turns(prompt) if isinstance(prompt, list) else prompt
                        for prompt in (text, found.pop("corrupted", None))
                    )
                except ValueError as error:
                    skipped.add(path, number, str(error))
                    continue
                yield _case(number, clean, corrupted, {what: _word(word) for what, word in found.items()})


def _holds_turns(schema: pyarrow.Schema, name: str) -> bool:
    """Return whether a column holds lists of objects."""
    import pyarrow as pa

    if name not in schema.names:
        return False
    kind = schema.types[schema.names.index(name)]
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_list and pa.types.is_struct(kind.value_type))


def _word(value: object) -> str | None:
    return None if value is None else str(value) or None
