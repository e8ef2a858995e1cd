"""The place of a file that is written: whether it can be, and that what was there stays until then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lenstui.lens.errors import LensError


def check_place(file: Path) -> None:
    """Raise `LensError` if `file` cannot be written where it is to be, before any work is done in vain."""
    if file.is_dir():
        raise LensError(f"{file} is a folder: name a file in it.")
    if not file.parent.is_dir():
        raise LensError(f"There is no folder {file.parent} to write {file.name} to.")
    if not os.access(file.parent, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        raise LensError(f"{file} may not be written: choose another folder.")


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `file` once all is written; a device or a pipe is written as it is.

    Raises:
        LensError: if it cannot be written.
    """
    target = file.resolve()
    special = target.exists() and not target.is_file()
    written = target if special else target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with written.open("wb") as out:
            yield out
        if not special:
            written.replace(target)
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        if not special:
            with suppress(OSError):  # a folder that cannot be written has nothing to tidy up
                written.unlink(missing_ok=True)
