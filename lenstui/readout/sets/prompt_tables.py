"""Cases from tables: CSV, tabs, and Parquet, also those that a readout of a prompt set was written to."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.readout.sets.prompt_fields import PROMPT_NAMES, Case, PromptFile, case_of, turns_of
from lenstui.support.errors import LensError
from lenstui.support.turns import Conversation, conversation_of_json
from lenstui.texts.documents import SkippedLines
from lenstui.texts.files import (
    LONGEST,
    check_text_column,
    listed,
    open_parquet,
    parquet_tables,
    too_long,
    utf8_lines,
)

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_MESSAGES = "messages"
_PROMPTS = frozenset({"prompt", "corrupted"})  # columns that may hold turns
_OF_READOUTS = frozenset({"case", "prompt", "lens", "row"})  # columns that a file of readouts has


def table_delimiter(line: bytes, file: PromptFile) -> str | None:
    """Return what separates the columns of a table that begins with a line; None where it begins none.

    It is the head of a table if one of its cells is the name of the column of prompts, or columns were named,
    which plain text does not have. A line of one cell alone may be a prompt as well, and is taken for a head
    only where it is `prompt`, or the column that was named.

    Args:
        line: the first line that is not blank.
        file: the columns to take.
    """
    alone = {file.prompt or PROMPT_NAMES[0]}
    are_named = any((file.prompt, *file.optional.values()))
    try:
        text = line.removeprefix(b"\xef\xbb\xbf").decode()
        heads: dict[str, list[str]] = {
            delimiter: next(_reader([text], delimiter), []) for delimiter in DELIMITERS.values()
        }
    except (UnicodeDecodeError, csv.Error):
        return None
    several = {delimiter: cells for delimiter, cells in heads.items() if len(cells) > 1}
    for delimiter, cells in heads.items():
        if {*cells} & (set(_prompt_names(file)) if delimiter in several else alone):
            return delimiter
    return next(iter(several), None) if are_named else None


def table_cases(
    lines: Iterable[bytes],
    file: PromptFile,
    skipped: SkippedLines,
    unread: dict[str, None],
    *,
    delimiter: str,
) -> Iterator[Case]:
    """Yield the cases of a table of text, whose first line names the columns.

    Of a file of readouts, which has a line for each prompt, lens and row, each prompt is a case once.

    Args:
        lines: the lines of the file.
        file: its name and columns.
        skipped: a tally for lines that hold no prompt.
        unread: takes the names of columns that are not read.
        delimiter: what separates the columns.

    Raises:
        LensError: if a line has more or fewer columns than the first, two columns have a name that is read,
            a column is missing, or it is no such table at all.
    """
    records = _records(lines, file.path, delimiter)
    number, head = next(records, (0, []))
    if not head:
        return
    columns = _columns(file, head)
    is_readout = _OF_READOUTS.issubset(head)
    taken = (*columns.values(), *(("case", _MESSAGES) if is_readout else ()))
    _check_once(head, taken, f"Line {number} of {file.path}")
    if not is_readout:
        unread |= dict.fromkeys(file.unread(head))
    before = None
    for line, record in records:
        if len(record) != len(head):
            have = f"{len(record)} column{'s' * (len(record) != 1)}"
            raise LensError(
                f"Line {line} of {file.path} has {have}, and the first line has {len(head)}: a cell that "
                "holds a line break, or what separates columns, has to be in quotes."
            )
        cells = dict(zip(head, record, strict=True))
        if not any(record) or (is_readout and cells["case"] == before):
            continue
        before = cells["case"] if is_readout else None
        number = int(before) if before and before.isascii() and before.isdigit() else line
        try:
            yield _table_case(number, cells, columns, is_readout=is_readout)
        except LensError as error:
            skipped.add(file.path, number, str(error).rstrip("."))


def _table_case(
    number: int, cells: Mapping[str, str], columns: Mapping[str, str], *, is_readout: bool
) -> Case:
    """Return the case of a record.

    Raises:
        LensError: if its turns are none.
    """
    clean: str | Conversation = cells[columns["prompt"]]
    if columns["prompt"] == _MESSAGES or (is_readout and cells.get(_MESSAGES)):
        clean = conversation_of_json(cells[_MESSAGES], f"its {_MESSAGES!r}")
    words = {what: cells[name] or None for what, name in columns.items() if what not in _PROMPTS}
    return case_of(number, clean, cells.get(columns.get("corrupted", "")), words)


def _records(lines: Iterable[bytes], path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a table, each with the number of its first line; blank lines are passed over."""
    length = 0

    def of_record() -> Iterator[str]:
        nonlocal length
        for line in utf8_lines(lines, path, exact=True):
            length += len(line)
            if length > LONGEST:  # cells in quotes go on over lines
                raise too_long(f"Line {number} of {path}")
            yield line

    reader = _reader(of_record(), delimiter)
    while True:
        number, length = reader.line_num + 1, 0
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise LensError(f"Line {number} of {path} is no line of a table ({error}).") from error
        if record is None:
            return
        if record:
            yield number, record


def _reader(lines: Iterable[str], delimiter: str) -> Any:
    """Return a reader of the records of a table, whose cells may be as long as lines may be.

    That limit is of the whole program: it is set where tables are read, and nothing else in it reads any.
    """
    csv.field_size_limit(LONGEST)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _columns(file: PromptFile, head: Sequence[str]) -> Mapping[str, str]:
    """Return the columns of a table by what they are for.

    Raises:
        LensError: if one is missing.
    """
    names = _prompt_names(file)
    columns = {"prompt": next((name for name in names if name in head), names[0]), **_optional(file, head)}
    for what, name in columns.items():
        if name not in head:
            raise LensError(
                f"{file.path} has no column {name!r} (it has {listed(head)}): name the one with the {what}."
            )
    return columns


def _check_once(names: Sequence[str], taken: Iterable[str], where: str) -> None:
    """Refuse a table in which two columns have the name of one that is read."""
    if twice := [name for name in taken if names.count(name) > 1]:
        raise LensError(f"{where} has two columns {twice[0]!r}: rename one.")


def _prompt_names(file: PromptFile) -> tuple[str, ...]:
    return PROMPT_NAMES if file.prompt is None else (file.prompt,)


def _optional(file: PromptFile, head: Sequence[str]) -> dict[str, str]:
    """Return the columns of optional fields: those that are named, and those that are there."""
    return {what: named or what for what, named in file.optional.items() if named is not None or what in head}


def parquet_cases(file: PromptFile, skipped: SkippedLines, unread: dict[str, None]) -> Iterator[Case]:
    """Yield the cases of a Parquet file; of a file of readouts each prompt is a case once.

    Args:
        file: its name and columns.
        skipped: a tally for rows that hold no prompt.
        unread: takes the names of columns that are not read.

    Raises:
        LensError: if the file is damaged, or a column is missing or of another type.
    """
    path = file.path
    with open_parquet(path) as opened:
        schema = opened.schema_arrow
        is_readout = _OF_READOUTS.issubset(schema.names)
        if not is_readout:
            unread |= dict.fromkeys(file.unread(schema.names))
        columns = _parquet_columns(path, schema, file)
        taken = [*columns.values(), *(["case"] if is_readout else [])]
        if is_readout and _MESSAGES in schema.names:
            taken.append(_MESSAGES)
        number, before = 0, None
        for cells in _parquet_rows(opened, path, taken):
            number += 1
            if is_readout:
                if cells["case"] == before:
                    continue
                number = before = cells["case"]
            try:
                yield _parquet_case(number, cells, columns)
            except (ValueError, LensError) as error:
                skipped.add(path, number, str(error).rstrip("."))


def _parquet_columns(path: Path, schema: pyarrow.Schema, file: PromptFile) -> Mapping[str, str]:
    """Return the columns of a Parquet file by what they are for, as `_columns` does; each holds its kind."""
    columns = {"prompt": next((name for name in _prompt_names(file) if name in schema.names), "prompt")}
    columns["prompt"] = file.prompt or columns["prompt"]
    columns |= _optional(file, schema.names)
    for what, name in columns.items():
        if what not in _PROMPTS or not _holds_turns(schema, name):
            check_text_column(path, schema, name, what, numbers=what != "prompt")
    _check_once(schema.names, columns.values(), str(path))
    return columns


def _parquet_rows(
    opened: pyarrow.parquet.ParquetFile, path: Path, columns: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """Yield the cells of each row by column."""
    for table in parquet_tables(opened, path, tuple(dict.fromkeys(columns))):
        try:
            values = {name: table.column(table.schema.names.index(name)).to_pylist() for name in columns}
        except UnicodeDecodeError as error:
            raise LensError(f"A column of {path} is not UTF-8 (one of {listed(columns)}).") from error
        for cells in zip(*values.values(), strict=True):
            yield dict(zip(values, cells, strict=True))


def _parquet_case(number: int, cells: Mapping[str, Any], columns: Mapping[str, str]) -> Case:
    """Return the case of a row.

    Raises:
        ValueError: if it holds none, with the reason.
        LensError: likewise.
    """
    text = cells[columns["prompt"]]
    if text is None:
        raise ValueError(f"its {columns['prompt']!r} is null")
    if isinstance(cells.get(_MESSAGES), str) and columns["prompt"] != _MESSAGES:  # of a file of readouts
        text = conversation_of_json(cells[_MESSAGES], f"its {_MESSAGES!r}")
    other = cells[columns["corrupted"]] if "corrupted" in columns else None
    clean: str | Conversation = turns_of(text) if isinstance(text, list) else text
    corrupted: str | Conversation | None = turns_of(other) if isinstance(other, list) else other
    words = {what: _word(cells[name]) for what, name in columns.items() if what not in _PROMPTS}
    return case_of(number, clean, corrupted, words)


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
