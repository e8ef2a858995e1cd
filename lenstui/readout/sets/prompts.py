"""Prompt sets: files of prompts, each with the word that should come next, if it is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

from lenstui.readout.sets.prompt_fields import PROMPT_NAMES, Case, PromptFile, case_of, turns_of
from lenstui.readout.sets.prompt_tables import DELIMITERS, parquet_cases, table_cases, table_delimiter
from lenstui.support.errors import LensError, unreadable
from lenstui.support.turns import Conversation
from lenstui.texts.documents import SkippedLines
from lenstui.texts.files import (
    JSON_LINES,
    PARQUET,
    bounded_lines,
    json_object,
    json_string,
    lines_of,
    listed,
    utf8_lines,
)

EXAMPLES = "examples"  # the name of the set that comes with lenstui; a file of that name is `./examples`

_MOST = 256_000_000  # characters of all prompts of a set, which are in memory together
_BOM = b"\xef\xbb\xbf"
SPREADSHEETS = frozenset({".xlsx", ".xls", ".ods"})


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All cases of a file.

    Attributes:
        name: the name of the set.
        cases: the cases, in the file's order.
        skipped: the lines or rows that held no prompt.
        unread: the names of fields or columns that were not read.
    """

    name: str
    cases: tuple[Case, ...]
    skipped: SkippedLines
    unread: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the file, in sentences."""
        remarks = [str(self.skipped)] if self.skipped.count else []
        if self.unread:
            remarks.append(f"Fields of {Path(self.name).name} that are not read: {listed(self.unread)}.")
        return remarks

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, in order of appearance."""
        return tuple(dict.fromkeys(case.group for case in self.cases if case.group is not None))

    @property
    def has_foils(self) -> bool:
        """Whether any case has a foil."""
        return any(case.foil is not None for case in self.cases)


Unread = dict[str, None]
"""Names of fields, each once, in order of appearance."""


def open_prompts(file: PromptFile) -> PromptSet:
    """Read all cases of a file.

    Raises:
        LensError: as `read_cases` and `in_memory` do.
    """
    skipped, unread = skipped_rows(file.path), Unread()
    cases = in_memory(read_cases(file, skipped, unread), file.path)
    return PromptSet(str(file.path), cases, skipped, tuple(unread))


def in_memory(cases: Iterable[Case], path: Path) -> tuple[Case, ...]:
    """Return all cases of a file.

    Raises:
        LensError: if their prompts have more than 256 million characters.
    """
    held: list[Case] = []
    length = 0
    for case in cases:
        held.append(case)
        length += len(case.text) + len(case.corrupted or "")
        if length > _MOST:
            raise LensError(f"{path} has more than {_MOST:,} characters of prompts: cut it into several.")
    return tuple(held)


def example_prompts() -> PromptSet:
    """Return the prompts that come with lenstui, in groups: facts, grammar, arithmetic, code and stories."""
    from lenstui.support.paths import example_prompts

    return replace(open_prompts(PromptFile(example_prompts())), name=EXAMPLES)


def skipped_rows(path: Path) -> SkippedLines:
    """Return an empty tally for the lines or rows of a file that hold no prompt."""
    return SkippedLines(what="prompt", unit="row" if path.suffix.lower() in PARQUET else "line")


def read_cases(
    file: PromptFile, skipped: SkippedLines | None = None, unread: Unread | None = None
) -> Iterator[Case]:
    """Yield the cases of a file, with only a few in memory.

    Args:
        file: the file and its columns.
        skipped: a tally, from `skipped_rows`, for lines and rows that hold no prompt.
        unread: takes the names of fields or columns that are not read.

    Raises:
        LensError: if the file is missing, damaged or not of the kind that its name says, or lacks a named
            column or one of prompts; at the end, if there was no prompt in it.
    """
    path = file.path
    skipped = skipped_rows(path) if skipped is None else skipped
    unread = {} if unread is None else unread
    ending = path.suffix.lower()
    try:
        if path.is_dir():
            raise LensError(f"{path} is a folder: name a file of prompts in it.")
        if ending in SPREADSHEETS:
            raise LensError(
                f"No prompts are read from {ending}: save {path} as CSV, JSON lines (.jsonl) or Parquet with "
                "a column 'prompt', or as plain text (.txt), one prompt a line and a target behind a tab."
            )
        if ending in PARQUET:
            yield from _some(parquet_cases(file, skipped, unread), path, skipped)
            return
        with lines_of(path) as lines:
            if ending in DELIMITERS:
                cases = table_cases(lines, file, skipped, unread, delimiter=DELIMITERS[ending])
                yield from _some(cases, path, skipped)
            else:
                json = None if _is_stream(path) else ending in JSON_LINES
                yield from _cases(lines, file, skipped, json=json, unread=unread)
    except FileNotFoundError as error:
        raise LensError(f"There is no file {path}.") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _is_stream(path: Path) -> bool:
    """Return whether a path is a device or a pipe, such as `/dev/stdin`, whose name tells no kind of file."""
    return path.is_relative_to("/dev") or path.is_fifo()


def read_lines(
    opened: IO[bytes], file: PromptFile, skipped: SkippedLines, unread: Unread | None = None
) -> Iterator[Case]:
    """Return an iterator over the cases of an open file, such as standard input, as its first line says.

    Args:
        opened: the file, opened for reading, at its beginning.
        file: the name for messages, and the fields to take.
        skipped: a tally for lines that hold no prompt.
        unread: takes the names of fields that are not read.

    Raises:
        LensError: as `read_cases` does.
    """
    return _cases(bounded_lines(opened, file.path), file, skipped, json=None, unread=unread)


def _cases(
    lines: Iterator[bytes],
    file: PromptFile,
    skipped: SkippedLines,
    *,
    json: bool | None,
    unread: Unread | None,
) -> Iterator[Case]:
    """Return an iterator over the cases of lines.

    Args:
        lines: the lines of the file.
        file: the name for messages, and the fields to take.
        skipped: a tally for lines that hold no prompt.
        json: whether each line is a JSON object, else plain text; None to decide by the first line that is
            not blank, which may also be the head of a table.
        unread: takes the names of fields that are not read.
    """
    stream: Iterable[bytes] = lines
    if json is None:
        blank: list[bytes] = []
        first = b""
        for first in lines:
            if first.removeprefix(_BOM).strip():
                break
            blank.append(first)
        else:
            first = b""
        json = first.removeprefix(_BOM).lstrip().startswith(b"{")
        stream = chain(blank, [first], lines) if first else blank
        if not json and (delimiter := table_delimiter(first, file)) is not None:
            taken = Unread() if unread is None else unread
            return _some(table_cases(stream, file, skipped, taken, delimiter=delimiter), file.path, skipped)
    if not json and (named := next(filter(None, (file.prompt, *file.optional.values())), None)):
        raise LensError(f"Plain text has no columns: leave the column {named!r} out.")
    unread = {} if unread is None else unread
    cases = _json_cases(stream, file, skipped, unread) if json else _plain_cases(stream, file.path)
    return _some(cases, file.path, skipped)


def _some(cases: Iterator[Case], path: Path, skipped: SkippedLines) -> Iterator[Case]:
    """Yield the cases, and refuse a file that has none, with the reason of the first line without one."""
    first = next(cases, None)
    if first is None:
        why = f": {skipped.first[0]}" if skipped.first else ""
        raise LensError(f"There is no prompt in {path}{why}.")
    yield first
    yield from cases


def _plain_cases(lines: Iterable[bytes], path: Path) -> Iterator[Case]:
    for number, line in enumerate(utf8_lines(lines, path), 1):
        if line.strip():
            text, tab, target = line.removesuffix("\n").rpartition("\t")
            yield Case(number, text, target or None) if tab else Case(number, target)


def _json_cases(
    lines: Iterable[bytes], file: PromptFile, skipped: SkippedLines, unread: Unread
) -> Iterator[Case]:
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
            unread |= dict.fromkeys(file.unread(content))
            if lacking:
                lacking -= content.keys()
                seen |= dict.fromkeys(content)
            yield case
    wanted = file.prompt or PROMPT_NAMES[0]
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
    names = PROMPT_NAMES if file.prompt is None else (file.prompt,)
    prompt = next((name for name in names if name in content), None)
    if prompt is None:
        raise ValueError(f"it has {listed(content) or 'no fields'}")
    optional = dict(file.optional)
    corrupted = None
    if "corrupted" in optional:
        name = optional.pop("corrupted") or "corrupted"
        corrupted = None if content.get(name) is None else _json_prompt(content, name)
    words = {what: _json_word(content, named or what) for what, named in optional.items()}
    return case_of(number, _json_prompt(content, prompt), corrupted, words)


def _json_prompt(content: Mapping[str, Any], name: str) -> str | Conversation:
    """Return the text or the turns in a field."""
    return turns_of(content[name]) if isinstance(content[name], list) else json_string(content, name)


def _json_word(content: Mapping[str, Any], name: str) -> str | None:
    """Return the word in an optional field, which may be a whole number; None where there is none."""
    value = content.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else json_string(content, name) or None
