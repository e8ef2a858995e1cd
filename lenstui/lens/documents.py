"""Documents from files: Parquet, JSON lines and plain text, streamed in a fixed order."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.lens.errors import LensError, first_line

if TYPE_CHECKING:
    import pyarrow.parquet

PARQUET = frozenset({".parquet", ".pq"})
JSON_LINES = frozenset({".json", ".jsonl", ".ndjson"})

_COLUMN = "text"
_ROWS = 256  # of a Parquet file, in memory at a time
_BUFFER = 1 << 20  # bytes
_NAMED = 12  # names in a message

# What files that are not what their name says begin with.
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


@dataclass(frozen=True, slots=True)
class Documents:
    """Which documents to read. It holds none of them, so it can be read again and again.

    The ending of a file says what it is: `.parquet` and `.pq`, `.jsonl`, `.ndjson` and `.json` (one object a
    line), everything else plain text, whose documents are what stands between blank lines.

    Attributes:
        paths: files and globs (`data/**/*.parquet`), read in this order, a glob's files sorted by name.
        column: the Parquet column or JSON field that holds the text; None for `text`.
        min_chars: shorter documents are passed over.
        max_samples: stop after so many documents; None for all.
    """

    paths: tuple[str, ...]
    column: str | None = None
    min_chars: int = 1
    max_samples: int | None = None


@dataclass(slots=True)
class SkippedLines:
    """A tally of the JSON lines that held no text. A file that is read again is not counted again.

    Attributes:
        count: how many there were.
        first: the first few, with what is wrong with each.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)
    _seen: dict[Path, int] = field(default_factory=dict)

    def add(self, path: Path, number: int, why: str) -> None:
        """Count line `number` of `path`."""
        if number <= self._seen.get(path, 0):
            return
        self._seen[path] = number
        self.count += 1
        if len(self.first) < 3:
            self.first.append(f"{path.name} line {number} ({why})")

    def __str__(self) -> str:
        lines = "1 line" if self.count == 1 else f"{self.count} lines"
        end = "." if self.count == len(self.first) else ", …"
        return f"Skipped {lines} without a text: {', '.join(self.first)}{end}"


def find_files(documents: Documents) -> tuple[Path, ...]:
    """The files that are meant, each once, and each Parquet file looked into for its column.

    Raises:
        LensError: if one is missing, a folder, or has no such column; if a glob matches nothing.
    """
    found = dict.fromkeys(path for name in documents.paths for path in _matches(name))
    if not found:
        raise LensError("No file to read documents from: name one.")
    if documents.column is not None and not any(
        path.suffix.lower() in PARQUET | JSON_LINES for path in found
    ):
        raise LensError(f"Plain text has no columns: leave the column {documents.column!r} out.")
    for path in found:
        if path.suffix.lower() in PARQUET:
            _open_parquet(path, documents.column or _COLUMN).close()
    return tuple(found)


def read_documents(documents: Documents, skipped: SkippedLines | None = None) -> Iterator[str]:
    """Documents one by one, in the same order each time. No more than a few are in memory.

    Args:
        documents: which ones.
        skipped: where to count JSON lines that hold no text.

    Raises:
        LensError: at once, as `find_files` does; while reading, if a file is damaged or is not what its name
            says; at the end, if nothing was long enough.
    """
    files = find_files(documents)
    return islice(_long_enough(files, documents, skipped or SkippedLines()), documents.max_samples)


def count_documents(documents: Documents) -> int:
    """How many documents `read_documents` gives.

    Of a Parquet file only the lengths are looked at, which is many times as fast as reading it. The other
    kinds are read.
    """
    count = 0
    for path in find_files(documents):
        if path.suffix.lower() in PARQUET:
            lengths = _parquet_lengths(path, documents.column or _COLUMN)
        else:
            lengths = map(len, _texts(path, documents.column or _COLUMN, SkippedLines()))
        count += sum(length >= documents.min_chars for length in lengths)
        if documents.max_samples is not None and count >= documents.max_samples:
            return documents.max_samples
    return count


def _matches(name: str) -> list[Path]:
    """The file called `name`, or those that it matches as a glob."""
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # `~somebody` whose home is unknown: a name like any other
        path = Path(name)
    try:
        if path.is_dir():
            raise LensError(f"{path} is a folder: name the files in it, such as {path / '*.parquet'}.")
        if path.exists():  # even where its name looks like a glob
            return [path]
    except OSError as error:
        raise LensError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not any(wildcard in name for wildcard in "*?["):
        raise LensError(f"There is no file {path}.")
    # Unlike Path.glob it takes absolute patterns, leaves hidden files out, and its ** matches files too.
    names = glob.glob(str(path), recursive=True)  # noqa: PTH207
    files = sorted(file for file in map(Path, names) if file.is_file())
    if not files:
        raise LensError(f"No file matches {path}.")
    return files


def _long_enough(files: Iterable[Path], documents: Documents, skipped: SkippedLines) -> Iterator[str]:
    longest = 0
    some = False
    for path in files:
        for text in _texts(path, documents.column or _COLUMN, skipped):
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
    """Every document of one file."""
    ending = path.suffix.lower()
    try:
        if ending in PARQUET:
            yield from _parquet_texts(path, column)
        elif ending in JSON_LINES:
            yield from _json_texts(path, column, skipped)
        else:
            yield from _plain_texts(path)
    except OSError as error:
        raise LensError(f"{path} cannot be read: {error.strerror or error}.") from error


def _plain_texts(path: Path) -> Iterator[str]:
    paragraph: list[str] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                # A newline is no part of a longer sequence in UTF-8, so that each line can be read alone.
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").replace("\r\n", "\n")
            except UnicodeDecodeError as error:
                file.seek(0)
                raise LensError(
                    f"{path} is not UTF-8 text (line {number}): it looks like {_kind(file.read(64))}."
                ) from error
            if text.strip():
                paragraph.append(text)
            elif paragraph:
                yield "".join(paragraph).rstrip("\n")
                paragraph.clear()
    if paragraph:
        yield "".join(paragraph).rstrip("\n")


def _json_texts(path: Path, field_name: str, skipped: SkippedLines) -> Iterator[str]:
    good, first_wrong = 0, ""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
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
    """The text in one line.

    Raises:
        ValueError: if there is none, with the reason.
    """
    try:
        content = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a matter of the file, not of the program
    if field_name not in content:
        raise ValueError(f"it has {_listed(content) or 'no fields'}")
    text = content[field_name]
    if not isinstance(text, str):
        raise ValueError(f"its {field_name!r} is no string")  # noqa: TRY004
    try:
        text.encode()  # JSON can spell half of a surrogate pair, which no tokenizer takes
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair") from error
    return text


def _parquet_texts(path: Path, column: str) -> Iterator[str]:
    for values in _parquet_batches(path, column):
        try:
            texts = values.to_pylist()
        except UnicodeDecodeError as error:
            raise LensError(f"The column {column!r} of {path} is not UTF-8.") from error
        yield from (text for text in texts if text is not None)


def _parquet_lengths(path: Path, column: str) -> Iterator[int]:
    import pyarrow as pa
    from pyarrow import compute

    for values in _parquet_batches(path, column):
        lengths = compute.utf8_length(values.cast(pa.large_string()))
        yield from lengths.drop_null().to_pylist()


def _parquet_batches(path: Path, column: str) -> Iterator[Any]:
    """Arrow arrays of the column's texts."""
    import pyarrow as pa

    with _open_parquet(path, column) as file:
        batches = file.iter_batches(_ROWS, columns=[column], use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise LensError(f"{path} is damaged ({first_line(error)}): fetch it again.") from error
            if batch is None:
                return
            yield batch.column(0)


def _open_parquet(path: Path, column: str) -> pyarrow.parquet.ParquetFile:
    """An open Parquet file that has `column`, of strings."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError as error:
        raise LensError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not beginning.startswith(b"PAR1"):
        raise LensError(f"{path} is not a Parquet file: it looks like {_kind(beginning)}.")
    try:
        # By default Arrow would hold all row groups, however large the file.
        opened = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        schema = opened.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LensError(f"{path} is damaged ({first_line(error)}): fetch it again.") from error
    if column not in schema.names:
        raise LensError(
            f"{path} has no column {column!r} (it has {_listed(schema.names) or 'none'}): "
            "name the one with the text."
        )
    kind = schema.types[schema.names.index(column)]
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if str(values) not in {"string", "large_string", "string_view"}:
        raise LensError(f"The column {column!r} of {path} holds {kind}, not text: name another.")
    return opened


def _kind(beginning: bytes) -> str:
    """What a file that begins like this looks like."""
    for magic, kind in _BEGINNINGS:
        if beginning.startswith(magic):
            return kind
    if not beginning:
        return "an empty file"
    return "some binary file" if b"\0" in beginning else "text"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
