"""Files of texts: lines, JSON lines and Parquet; and guesses at what a file of another kind is."""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lenstui.support.errors import LensError, first_line, unreadable
from lenstui.support.typed_path import check_spelling, open_file

if TYPE_CHECKING:
    import pyarrow.parquet

PARQUET = frozenset({".parquet", ".pq"})
JSON_LINES = frozenset({".json", ".jsonl", ".ndjson"})

LONGEST = 64 << 20  # bytes of a line, or of a document: all of it is in memory, more than once

_ROWS = 256  # of a Parquet file, in memory at a time
_AT_ONCE = 2 * LONGEST  # bytes that Arrow reads; with less, files of large row groups are slow
_BUFFER = 1 << 20  # bytes
_NAMED = 12  # names in a message
_LONGEST_NAME = 60  # characters of each

# First bytes of files whose name tells another kind.
_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer (fetch the file itself)"),
    (b"PAR1", "a Parquet file"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "a gzip file (unpack it)"),
    (b"PK\x03\x04", "a zip file (unpack it)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file (unpack it)"),
    (b"\xfd7zXZ\x00", "an xz file (unpack it)"),
    (b"BZh", "a bzip2 file (unpack it)"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_CONTROL = {*range(0x20), 0x7F} - {*b"\a\b\t\n\f\r\x1b"}  # bytes that occur in no text


@contextmanager
def lines_of(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a file, a pipe or a terminal, and give its lines within the block, as `bounded_lines` does.

    Raises:
        OSError: if it cannot be read.
        LensError: if it is another device, many of which have no end.
    """
    with open_file(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not file.isatty()):
            raise LensError(f"{path} is a device: name a file, or a pipe.")
        yield bounded_lines(file, path)


def bounded_lines(file: IO[bytes], name: object) -> Iterator[bytes]:
    """Yield the lines of an open file, each with its newline.

    Args:
        file: the file, at its beginning.
        name: its name for messages.

    Raises:
        LensError: if a line is longer than `LONGEST`.
    """
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise too_long(f"Line {number} of {name}")
        yield line


def too_long(what: str) -> LensError:
    """Return the error for a part of a file that is longer than `LONGEST`."""
    return LensError(f"{what} has more than {LONGEST >> 20} MB: cut it into several.")


def utf8_lines(lines: Iterable[bytes], name: object, *, exact: bool = False) -> Iterator[str]:
    """Yield the lines of a text, each with its newline, `\\r\\n` as `\\n`.

    Args:
        lines: the lines of a file, from its beginning on.
        name: the file's name for messages.
        exact: whether `\\r\\n` stays what it is.

    Raises:
        LensError: if the file is not UTF-8.
    """
    beginning = b""
    for number, line in enumerate(lines, 1):
        beginning = beginning if len(beginning) >= 64 else beginning + line[:64]
        try:
            # UTF-8 has no newline within a longer sequence, so that each line can be decoded alone.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise LensError(
                f"{name} is not UTF-8 text (line {number}): it looks like {looks_like(beginning)}."
            ) from error
        yield text if exact else text.replace("\r\n", "\n")


def json_object(line: bytes) -> Mapping[str, Any]:
    """Return the object in one line of JSON.

    Raises:
        ValueError: if the line holds none, with the reason.
    """
    try:
        content = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the file is wrong, not a type in the program
    return content


def json_string(content: Mapping[str, Any], name: str) -> str:
    """Return the string in a field of a JSON object.

    Raises:
        ValueError: if the field holds anything else, or half of a surrogate pair.
    """
    text = content[name]
    if not isinstance(text, str):
        raise ValueError(f"its {name!r} is no string")  # noqa: TRY004
    try:
        text.encode()  # JSON can spell half of a surrogate pair, which no tokenizer takes
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair") from error
    return text


def open_parquet(path: Path) -> pyarrow.parquet.ParquetFile:
    """Return an open Parquet file.

    Raises:
        LensError: if the file cannot be read, is no regular file, is damaged, or is of another kind.
    """
    import pyarrow as pa
    from pyarrow import parquet

    check_spelling(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe waits for its writer
            raise LensError(f"{path} is no regular file, as Parquet must be: save it as one.")
        with open_file(path) as file:
            beginning = file.read(64)
    except OSError as error:
        raise unreadable(path, error) from error
    if not beginning.startswith(b"PAR1"):
        raise LensError(f"{path} is not a Parquet file: it looks like {looks_like(beginning)}.")
    try:
        # By default Arrow would hold all row groups, however large the file.
        opened = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        opened.schema_arrow  # noqa: B018 - it may be damaged too
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LensError(f"{path} is damaged ({first_line(error)}): fetch it again.") from error
    return opened


def check_text_column(
    path: Path, schema: pyarrow.Schema, column: str, what: str = "text", *, numbers: bool = False
) -> None:
    """Refuse a Parquet file in which `column` is missing or does not hold strings.

    Args:
        path: the file.
        schema: the file's schema.
        column: the column's name.
        what: the noun for the column's contents, in messages.
        numbers: whether the column may hold whole numbers, or nothing but nulls.

    Raises:
        LensError: if the column is missing or of another type.
    """
    import pyarrow as pa

    if column not in schema.names:
        raise LensError(
            f"{path} has no column {column!r} (it has {listed(schema.names) or 'none'}): "
            f"name the one with the {what}."
        )
    kind = schema.types[schema.names.index(column)]
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if numbers and (pa.types.is_integer(values) or pa.types.is_null(values)):
        return
    if str(values) not in {"string", "large_string", "string_view"}:
        raise LensError(f"The column {column!r} of {path} holds {kind}, not text: name another.")


def parquet_tables(file: pyarrow.parquet.ParquetFile, path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield Arrow tables of a few columns, a few rows at a time.

    Where row groups are large, Arrow reads fewer still, and what is done with them need not be as often.

    Raises:
        LensError: if the file is damaged, or a row is longer than `LONGEST` by what the file says.
    """
    import pyarrow as pa

    rows = _rows_at_once(file.metadata, path, columns)
    batches = file.iter_batches(rows, columns=list(columns), use_threads=False)
    held: list[pa.RecordBatch] = []
    size = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise LensError(f"{path} is damaged ({first_line(error)}): fetch it again.") from error
        if batch is not None:
            held.append(batch)
            size += batch.nbytes
        if held and (batch is None or rows * len(held) >= _ROWS or size >= LONGEST):
            yield pa.Table.from_batches(held)
            held, size = [], 0
        if batch is None:
            return


def _rows_at_once(metadata: pyarrow.parquet.FileMetaData, path: Path, columns: Sequence[str]) -> int:
    """Return so many rows that they fit in memory even where each has all that its row group has.

    A long text that occurs in many rows is in the file but once, and in memory as often as it occurs.

    Raises:
        LensError: if the rows of a group are longer than `LONGEST` on the average.
    """
    taken = [
        number
        for number in range(metadata.num_columns)
        if any(f"{metadata.schema.column(number).path}.".startswith(f"{name}.") for name in columns)
    ]
    most = 1
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        claimed = sum(group.column(number).total_uncompressed_size for number in taken)
        if claimed > LONGEST * max(group.num_rows, 1):
            raise too_long(f"A row of {path}")
        most = max(most, claimed)
    return max(1, min(_ROWS, _AT_ONCE // most))


def looks_like(beginning: bytes) -> str:
    """Return the kind of file, in words, that begins with these bytes."""
    for magic, kind in _BEGINNINGS:
        if beginning.startswith(magic):
            return kind
    if not beginning:
        return "an empty file"
    if not _CONTROL.isdisjoint(beginning):
        return "some binary file"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)  # the end may be cut
    except UnicodeDecodeError:
        return "some binary file, or text in another encoding than UTF-8"
    return "text"


def listed(names: Iterable[str]) -> str:
    """Return names as text for a message; of many only the first ones, of a long one its beginning."""
    names = list(names)
    first = (name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:_NAMED])
    return ", ".join(first) + (", …" if len(names) > _NAMED else "")
