"""Results on their way to a file, with complaints that are written for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lenstui.support.atomic_file import written
from lenstui.support.errors import LensError


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of `file` once all is written; a device or a pipe is written into.

    Raises:
        LensError: if it cannot be written.
    """
    try:
        with written(file) as out:
            yield out
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error
