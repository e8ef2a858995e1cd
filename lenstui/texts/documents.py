"""Documents from files: Parquet, JSON lines and plain text, streamed in a fixed order."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.support.errors import LensError, unreadable
from lenstui.support.typed_path import expanded, open_file
from lenstui.texts.files import (
    JSON_LINES,
    LONGEST,
    PARQUET,
    check_text_column,
    json_object,
    json_string,
    lines_of,
    listed,
    open_parquet,
    parquet_tables,
    too_long,
    utf8_lines,
)

if TYPE_CHECKING:
    import pyarrow.parquet

COLUMN = "text"  # where none is named


@dataclass(frozen=True, slots=True)
class Documents:
    """A choice of documents to read. The texts are not held in memory, and can be read again and again.

    The ending of a file determines its kind: `.parquet` and `.pq`; `.jsonl`, `.ndjson` and `.json` (one
    object a line); any other file is plain text, with blank lines between documents.

    Attributes:
        paths: files and globs (`data/**/*.parquet`), read in this order, a glob's files sorted by name.
        column: the Parquet column or JSON field that holds the text; None for `text`.
        min_chars: the least characters of a document; shorter ones are left out.
        max_samples: the most documents to read; None for all.
    """

    paths: tuple[str, ...]
    column: str | None = None
    min_chars: int = 1
    max_samples: int | None = None


@dataclass(slots=True)
class SkippedLines:
    """A tally of the JSON lines that hold no text. Reading a file again does not count its lines again.

    Attributes:
        count: the number of skipped lines.
        first: the first few lines, each with the reason.
        what: the noun for the missing part, in messages.
        unit: the noun for a line, in messages; `row` for a table.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)
    what: str = "text"
    unit: str = "line"
    _seen: dict[Path, int] = field(default_factory=dict)

    def add(self, path: Path, number: int, why: str) -> None:
        """Count line `number` of `path`, skipped for the reason `why`."""
        if number <= self._seen.get(path, 0):
            return
        self._seen[path] = number
        self.count += 1
        if len(self.first) < 3:
            self.first.append(f"{path.name} {self.unit} {number} ({why})")

    def __str__(self) -> str:
        lines = f"1 {self.unit}" if self.count == 1 else f"{self.count} {self.unit}s"
        end = "." if self.count == len(self.first) else ", …"
        return f"Skipped {lines} without a {self.what}: {', '.join(self.first)}{end}"


def find_files(documents: Documents) -> tuple[Path, ...]:
    """Return the files that the paths and globs name, each once; Parquet files are checked for their column.

    Raises:
        LensError: if a file is missing, is a folder, or lacks the column; if a glob matches nothing.
    """
    found = dict.fromkeys(path for name in documents.paths for path in matches(name))
    if not found:
        raise LensError("No file to read documents from: name one.")
    if documents.column is not None and not any(
        path.suffix.lower() in PARQUET | JSON_LINES for path in found
    ):
        raise LensError(f"Plain text has no columns: leave the column {documents.column!r} out.")
    for path in found:
        if path.suffix.lower() in PARQUET:
            _open_parquet(path, documents.column or COLUMN).close()
    return tuple(found)


def read_documents(documents: Documents, skipped: SkippedLines | None = None) -> Iterator[str]:
    """Return an iterator over the documents, in the same order each time, with only a few in memory.

    Args:
        documents: the choice of documents.
        skipped: a tally for JSON lines that hold no text.

    Raises:
        LensError: at once, as `find_files` does; while reading, if a file is damaged or not of the kind that
            its name says; at the end, if no document was long enough.
    """
    files = find_files(documents)
    return islice(_long_enough(files, documents, skipped or SkippedLines()), documents.max_samples)


def count_documents(documents: Documents) -> int:
    """Return the number of documents that `read_documents` gives.

    Of a Parquet file only the text lengths are computed, which is many times as fast as reading it. Files of
    other kinds are read.
    """
    count = 0
    for path in find_files(documents):
        if path.suffix.lower() in PARQUET:
            lengths = _parquet_lengths(path, documents.column or COLUMN)
        else:
            lengths = map(len, _texts(path, documents.column or COLUMN, SkippedLines()))
        count += sum(length >= documents.min_chars for length in lengths)
        if documents.max_samples is not None and count >= documents.max_samples:
            return documents.max_samples
    return count


def matches(name: str) -> list[Path]:
    """Return the file with a name, or the files that match it as a glob.

    Raises:
        LensError: if there is no such file, or the name is that of a folder.
    """
    path = expanded(name)
    try:
        if path.is_dir():
            raise LensError(f"{path} is a folder: name the files in it, such as {path / '*.parquet'}.")
        if path.exists():  # even where its name looks like a glob
            return [path]
        if not any(wildcard in name for wildcard in "*?["):
            open_file(path).close()  # says why not: a link that leads to itself is no missing file
    except FileNotFoundError as error:
        raise LensError(f"There is no file {path}.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    # Unlike Path.glob, glob.glob takes absolute patterns, leaves hidden files out, and ** matches files too.
    names = glob.glob(str(path), recursive=True)  # noqa: PTH207
    files = sorted(file for file in map(Path, names) if file.is_file())
    if not files:
        raise LensError(f"No file matches {path}.")
    return files


def _long_enough(files: Iterable[Path], documents: Documents, skipped: SkippedLines) -> Iterator[str]:
    longest = 0
    some = False
    for path in files:
        for text in _texts(path, documents.column or COLUMN, skipped):
            if len(text) >= documents.min_chars:
                some = True
                yield text
            else:
                longest = max(longest, len(text))
    if some:
        return
    if not longest:
        raise LensError(f"There is no text in {', '.join(documents.paths)}.")
    raise LensError(
        f"No document has {documents.min_chars} characters: the longest has {longest}. "
        "Lower the minimum length."
    )


def _texts(path: Path, column: str, skipped: SkippedLines) -> Iterator[str]:
    """Yield every document of one file."""
    ending = path.suffix.lower()
    try:
        if ending in PARQUET:
            yield from _parquet_texts(path, column)
        elif ending in JSON_LINES:
            yield from _json_texts(path, column, skipped)
        else:
            yield from _plain_texts(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _plain_texts(path: Path) -> Iterator[str]:
    paragraph: list[str] = []
    length = 0
    with lines_of(path) as lines:
        for text in utf8_lines(lines, path):
            if text.strip():
                paragraph.append(text)
                length += len(text)
                if length > LONGEST:
                    raise too_long(f"A document in {path}")
            elif paragraph:
                yield "".join(paragraph).rstrip("\n")
                paragraph.clear()
                length = 0
    if paragraph:
        yield "".join(paragraph).rstrip("\n")


def _json_texts(path: Path, field_name: str, skipped: SkippedLines) -> Iterator[str]:
    good, first_wrong = 0, ""
    with lines_of(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                text = _json_text(line, field_name)
            except ValueError as error:
                first_wrong = first_wrong or f"line {number}: {error}"
                skipped.add(path, number, str(error))
            else:
                good += 1
                yield text
    if not good and first_wrong:
        raise LensError(
            f"No line of {path} is a JSON object with a text in {field_name!r} ({first_wrong}). "
            "One object a line is expected."
        )


def _json_text(line: bytes, field_name: str) -> str:
    """Return the text in one JSON line.

    Raises:
        ValueError: if it holds none, with the reason.
    """
    content = json_object(line)
    if field_name not in content:
        raise ValueError(f"it has {listed(content) or 'no fields'}")
    return json_string(content, field_name)


def _parquet_texts(path: Path, column: str) -> Iterator[str]:
    for values in _parquet_columns(path, column):
        for value in values:  # not all at once: many may be one long text
            try:
                text = value.as_py()
            except UnicodeDecodeError as error:
                raise LensError(f"The column {column!r} of {path} is not UTF-8.") from error
            if text is not None:
                if len(text) > LONGEST:
                    raise too_long(f"A document in {path}")
                yield text


def _parquet_lengths(path: Path, column: str) -> Iterator[int]:
    import pyarrow as pa
    from pyarrow import compute

    for values in _parquet_columns(path, column):
        lengths = compute.utf8_length(values.cast(pa.large_string()))
        yield from lengths.drop_null().to_pylist()


def _parquet_columns(path: Path, column: str) -> Iterator[Any]:
    """Yield Arrow arrays of the column's texts."""
    with _open_parquet(path, column) as file:
        for table in parquet_tables(file, path, [column]):
            yield table.column(0)


def _open_parquet(path: Path, column: str) -> pyarrow.parquet.ParquetFile:
    """Return an open Parquet file, checked to have `column`, of strings."""
    opened = open_parquet(path)
    check_text_column(path, opened.schema_arrow, column)
    return opened
