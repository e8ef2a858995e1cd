"""The folder of a scan: its records in Parquet parts, and a manifest with what they were made of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui.scan.columns import Column, Second, all_columns
from lenstui.support.atomic_file import is_half_written, replaced
from lenstui.support.errors import LensError, first_line, unreadable
from lenstui.support.file_lock import lock
from lenstui.support.small_file import read_json
from lenstui.support.typed_path import check_spelling
from lenstui.support.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "_scan.json"  # programs that read a folder of Parquet files pass over names that begin with _
VERSION = 1
_PART = re.compile(r"part-(\d{8})\.parquet")

# Settings that have to be the same where a scan goes on, with their names in messages.
_SETTINGS = {
    "model": "model",
    "tokenizer": "tokenizer",
    "dtype": "dtype",
    "device": "device",
    "lenses": "lens",
    "text": "text",
    "text_column": "text column",
    "max_samples": "number of documents (--max-samples)",
    "min_chars": "least length of documents (--min-chars)",
    "max_tokens": "number of tokens (--max-tokens)",
    "seq_len": "length of blocks (--seq-len)",
    "against_model": "second model (--against-model)",
    "against_dtype": "dtype of the second model",
    "against_lenses": "second lens",
}
_HASHES = {"model", "tokenizer", "against_model"}  # which a message does not show


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the records of a scan were made of.

    Attributes:
        settings: what has to be the same for the scan to go on, as plain values: hashes of the weights, the
            tokenizer, the lenses and the texts, and the options.
        source: the model and the lenses in words, as in other files.
        data: the texts, as the user named them.
        rows: the labels of the rows, `emb` first.
        lenses: the keys of the lenses.
        second: the second side that the first is compared with; None without one.
        finished: whether the whole text was read.
    """

    settings: Mapping[str, Any]
    source: Mapping[str, Any]
    data: tuple[str, ...]
    rows: tuple[str, ...]
    lenses: tuple[str, ...]
    finished: bool = False
    second: Second | None = None

    @property
    def columns(self) -> list[Column]:
        """The columns of the records."""
        if self.second is None:
            return all_columns(self.lenses)
        return all_columns(self.lenses, self.second.lenses, second_model=self.second.is_model)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the records.

    Attributes:
        path: its file.
        first: the number of its first block.
        blocks: the number of its blocks.
        records: the number of its records.
    """

    path: Path
    first: int
    blocks: int
    records: int


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder; None where there is none.

    Raises:
        LensError: if it is damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError:
        content = None
    if isinstance(content, dict) and content.get("version") != VERSION and "version" in content:
        raise LensError(f"{path} is of another version of lenstui: scan the text anew.")
    try:
        lenses = _names(content["lenses"], 1)
        found = Manifest(
            settings=dict(content["settings"]),
            source=dict(content["source"]),
            data=tuple(map(str, content["data"])),
            rows=_names(content["rows"], 2),  # `emb` and that of a block
            lenses=lenses,
            finished=bool(content["finished"]),
            second=_second_of(content.get("against"), lenses),  # which older folders lack
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LensError(f"{path} is damaged: scan the text anew, into another folder.") from error
    return found


def _names(content: Any, least: int) -> tuple[str, ...]:
    """Return names as a manifest has them, at least so many, none of them twice.

    Raises:
        ValueError: if they are anything else.
    """
    is_list = isinstance(content, list) and all(isinstance(name, str) for name in content)
    if not is_list or len(content) < least or len(set(content)) < len(content):
        raise ValueError("no list of names")
    return tuple(content)


def _second_of(content: Any, scanned: Sequence[str]) -> Second | None:
    """Return the second side as a manifest has it.

    Raises:
        ValueError: if a lens is compared that was not scanned.
    """
    if content is None:
        return None
    lenses = {str(key): str(other) for key, other in dict(content["lenses"]).items()}
    if not set(lenses) <= set(scanned):
        raise ValueError("a lens is compared that was not scanned")
    return Second(dict(content["source"]), bool(content["model"]), lenses)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder as a whole.

    Raises:
        LensError: if it cannot be written.
    """
    second = manifest.second
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "settings": manifest.settings,
        "source": manifest.source,
        "data": list(manifest.data),
        "rows": list(manifest.rows),
        "lenses": list(manifest.lenses),
        "against": None
        if second is None
        else {"source": second.source, "model": second.is_model, "lenses": dict(second.lenses)},
        "finished": manifest.finished,
    }
    with replaced(folder / MANIFEST) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


def check_same(folder: Path, before: Manifest, now: Manifest) -> None:
    """Refuse to go on with a scan that was made of something else.

    Raises:
        LensError: if a setting differs; the message names it.
    """
    another = "go on as it was begun, or scan into another folder"
    if (before.second is None) != (now.second is None):
        how = "without" if before.second is None else "against"
        raise LensError(f"{folder} was scanned {how} a second model or lens: {another}.")
    for name, words in _SETTINGS.items():
        was, wanted = before.settings.get(name), now.settings.get(name)
        if was != wanted:
            plain = all(isinstance(value, str | int | None) for value in (was, wanted))
            values = f" ({was}, not {wanted})" if plain and name not in _HASHES else ""
            raise LensError(f"{folder} was scanned with another {words}{values}: {another}.")


def parts_of(folder: Path) -> list[Part]:
    """Return the parts of a folder, in the order of the text.

    Raises:
        LensError: if a part is damaged or missing, or two hold the same blocks.
    """
    from pyarrow import parquet

    from lenstui.texts.files import open_parquet

    parts: list[Part] = []
    for path in sorted(folder.glob("part-*.parquet")):
        if (found := _PART.fullmatch(path.name)) is None:
            continue
        with open_parquet(path) as file:
            metadata: parquet.FileMetaData = file.metadata
        said = metadata.metadata or {}
        try:
            blocks, records = int(said[b"blocks"]), int(said.get(b"records", metadata.num_rows))
        except (KeyError, ValueError) as error:
            raise LensError(f"{path} is no part of a scan: take it out of the folder.") from error
        if records != metadata.num_rows:
            raise LensError(f"{path} is damaged: of {records} records it has {metadata.num_rows}.")
        if int(found[1]) != (first := parts[-1].first + parts[-1].blocks if parts else 0):
            raise LensError(f"The part of {folder} that begins with block {first} is missing.")
        parts.append(Part(path, first, blocks, records))
    return parts


def check_columns(part: Part, manifest: Manifest) -> None:
    """Refuse a part whose columns are not those of its scan.

    Raises:
        LensError: if one is missing or of another type.
    """
    from pyarrow import parquet

    from lenstui.scan.columns import arrow_type

    schema = parquet.read_schema(part.path)
    for column in manifest.columns:
        place = schema.get_field_index(column.name)  # -1 also where there are two
        if place < 0 or schema.types[place] != arrow_type(column):
            raise LensError(f"{part.path} is damaged: it has no column {column.name}, or of another type.")


def write_part(folder: Path, first: int, blocks: list[pa.Table]) -> Part:
    """Write the records of neighbouring blocks as one part, which is there as a whole or not at all.

    Args:
        folder: the folder of the scan.
        first: the number of the first block.
        blocks: the records of each block.

    Raises:
        LensError: if it cannot be written; the parts before it stay.
    """
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.concat_tables(blocks)
    table = table.replace_schema_metadata({"blocks": str(len(blocks)), "records": str(len(table))})
    path = folder / f"part-{first:08d}.parquet"
    with replaced(path) as file:
        try:
            parquet.write_table(table, file, compression="zstd")
        except pa.ArrowException as error:
            raise LensError(f"{path} cannot be written: {first_line(error)}.") from error
    return Part(path, first, len(blocks), table.num_rows)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder where there is none, and keep other scans out of it.

    What a killed scan left of a part that was not whole is removed.

    Raises:
        LensError: if it cannot be made, or another scan writes into it.
    """
    check_spelling(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LensError(f"{folder} cannot be made a folder: {error.strerror or error}.") from error
    try:
        if not lock(number, otherwise=True):  # where its disk has no locks, others are not kept out
            raise LensError(f"Another scan writes into {folder}: wait until it is over.")
        for path in folder.iterdir():
            if is_half_written(path):  # the program was killed
                with suppress(OSError):
                    path.unlink()
        yield
    finally:
        os.close(number)
