"""Tensor files: read without running any code in them, written whole or not at all."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch

from lenstui.support.atomic_file import replaced
from lenstui.support.errors import LensError, first_line, unreadable
from lenstui.support.printable import is_unicode
from lenstui.support.typed_path import open_file

_SMALL = 64 << 20  # bytes that every file may claim
_MOST_PACKED = 20  # times its size that a larger one may: zeros pack well
_DEEPEST = 32
_MOST_VALUES = 1_000_000


def load_tensors(path: Path, what: str = "lens file", *, mapped: bool = False) -> Any:
    """Return what `torch.save` wrote to `path`, if it is nothing but tensors and plain values.

    Args:
        path: the file.
        what: the noun for the file, in messages.
        mapped: whether to leave the tensors on the disk until they are used, where the file allows it.

    Raises:
        LensError: if the file is missing, of another kind, damaged, or holds other objects.
    """
    check_regular(path, what)
    check_archive(path, what)
    try:
        # Files in torch's older form cannot be mapped, nor those with a name that is not UTF-8.
        mapped = mapped and zipfile.is_zipfile(path) and is_unicode(str(path))
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError as error:
        raise damaged(path, error, what) from error
    except Exception as error:  # on damaged bytes torch raises nearly every kind
        if not _begins_as_written(path):
            raise LensError(f"{path} is no {what}.") from error
        if not isinstance(error, pickle.UnpicklingError):
            raise damaged(path, error, what) from error
        raise LensError(
            f"{path} holds more than plain tensors, so it was not opened: it is no {what}."
        ) from error
    if (wrong := _overclaim(content, path.stat().st_size)) is not None:
        raise LensError(f"{path} is damaged or no {what}: {wrong}.")
    return content


def check_archive(path: Path, what: str = "lens file") -> None:
    """Refuse a zip archive that is small on the disk and would be huge in memory.

    Raises:
        LensError: if it is one.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception:  # on damaged bytes zipfile raises many kinds; whoever reads the file says what is wrong
        return
    if unpacked > _SMALL + _MOST_PACKED * path.stat().st_size:
        raise LensError(f"{path} is damaged or no {what}: it would unpack to {unpacked / 1e9:.1f} GB.")


def _overclaim(content: Any, size: int) -> str | None:
    """Return what content of a file of `size` bytes claims to be that it cannot be; None where all is well.

    A tensor may claim any shape over one number of a file, and a list may be in itself, or a hundred times in
    another one that is a hundred times in a third.
    """
    claimed, count = 0, 0
    pending = [(content, 0)]
    while pending:
        value, depth = pending.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            return "its values are nested too deep, or too many"
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
                return "it holds a tensor without plain numbers"
            claimed += value.numel() * value.element_size()
            if claimed > _SMALL + _MOST_PACKED * size:
                return f"its tensors claim {claimed / 1e9:,.0f} GB and more"
        elif isinstance(value, Mapping):
            pending += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            pending += [(item, depth + 1) for item in value]
    return None


def check_regular(path: Path, what: str = "lens file") -> None:
    """Refuse what cannot be read, and a pipe, a device or a folder: opening a pipe waits for its writer.

    Raises:
        LensError: if `path` is missing, cannot be read, or is no regular file.
    """
    try:
        if not path.is_file() and path.exists():
            raise LensError(f"{path} is no {what}: it is no regular file.")
        open_file(path).close()
    except FileNotFoundError as error:
        raise LensError(f"There is no {what} {path}.") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _begins_as_written(path: Path) -> bool:
    """Return whether a file begins like one of `torch.save`'s (a zip archive or old pickle) or is empty."""
    with path.open("rb") as file:
        return file.read(2) in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b""}


def check_bytes(path: Path, what: str = "lens file") -> None:
    """Check a file's checksums, to find damage among the numbers, which `torch.load` does not notice.

    Raises:
        LensError: if there is any.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except Exception as error:  # on damaged bytes zipfile raises many kinds
        raise damaged(path, error, what) from error
    if bad is not None:
        raise LensError(f"{path} is damaged: the checksum of {bad} is another.")


def save_tensors(content: Any, path: Path) -> None:
    """Write tensors and plain values whole or not at all, with the folder where it is missing.

    Raises:
        LensError: if the file cannot be written, or a device or a folder has its name.
    """
    with replaced(path, make_folder=True) as file:
        write_tensors(content, file)


def write_tensors(content: Any, file: IO[bytes]) -> None:
    """Write tensors and plain values into an open file.

    Raises:
        OSError: if they cannot be written.
    """
    out = _Remembering(file)
    try:
        torch.save(content, cast(IO[bytes], out))  # it writes and flushes, and does no more
    except RuntimeError as error:
        raise out.failure or OSError(first_line(error)) from error


class _Remembering:
    """A file that remembers why it could not be written: torch says where its archive ends instead.

    Attributes:
        name: of the file.
        failure: the first error; None while there is none.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.name = file.name
        self.failure: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write, as the file does."""
        try:
            return self._file.write(content)
        except OSError as error:
            self.failure = self.failure or error
            raise

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def damaged(path: Path, error: Exception, what: str = "lens file") -> LensError:
    """Return the error for a file on which a reader failed with `error`."""
    return LensError(f"{path} is damaged or no {what}: {first_line(error)}")
