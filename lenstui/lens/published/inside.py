"""The model that a lens file on the hub names within itself, read from a few kilobytes of the file.

A file of `torch.save` is a zip archive whose entry `data.pkl` has everything but the numbers. J++ writes its
config there. The pickle is only looked through for texts: nothing in it is ever built or run.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any

_KEY = "hf_model_name"
_LARGEST = 1 << 20  # bytes of a pickle without numbers; a larger one is passed over
_BLOCK = 1 << 16  # bytes that are asked for at once

ReadBytes = Callable[[int, int], bytes]
"""A function that returns the bytes of a file from a place on, as many as asked for."""


class _Remote(io.RawIOBase):
    """A file of which parts are read as they are needed."""

    def __init__(self, size: int, read_bytes: ReadBytes) -> None:
        super().__init__()
        self._size, self._read_bytes, self._place = size, read_bytes, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, and return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(origin + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as are there, and return how many they were."""
        view = memoryview(buffer).cast("B")
        count = max(min(len(view), self._size - self._place), 0)
        found = self._read_bytes(self._place, count) if count else b""
        view[: len(found)] = found
        self._place += len(found)
        return len(found)


def model_inside(size: int, read_bytes: ReadBytes) -> str | None:
    """Return the model that a lens file names within itself; None where it names none, or is no such file.

    Args:
        size: bytes of the file.
        read_bytes: reads a part of it.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_Remote(size, read_bytes), _BLOCK)) as archive:
            entry = next((each for each in archive.infolist() if each.filename.endswith("/data.pkl")), None)
            if entry is None or entry.file_size > _LARGEST:
                return None
            return _text_after(_KEY, archive.read(entry))
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):  # of another form, or damaged
        return None


def _text_after(key: str, pickle: bytes) -> str | None:
    """Return the value of a key in a pickled table, if it is a text: what is pickled right behind the key."""
    is_next = False
    for operation, argument, _ in pickletools.genops(pickle):
        if "MEMO" in operation.name or "PUT" in operation.name:
            continue
        if is_next:
            return argument if isinstance(argument, str) and argument else None
        is_next = argument == key
    return None
