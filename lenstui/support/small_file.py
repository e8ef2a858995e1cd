"""Files that are read whole: settings, tables, lists. A large one, or a device without an end, is refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from lenstui.support.typed_path import open_file

LIMIT = 32 << 20  # bytes; the list of a model's weight files, the longest there is, has some 10 MB


def read_small(path: Path, *, regular: bool = True, limit: int = LIMIT) -> bytes:
    """Return the contents of a file.

    Args:
        path: the file.
        regular: whether to refuse a pipe or a device, since opening a pipe waits for its writer.
        limit: the most bytes that the file may have.

    Raises:
        OSError: if the file cannot be read, is not regular, or is larger.
    """
    if regular and path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with open_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit >> 20} MB", str(path))
    return content


def read_json(path: Path, *, limit: int = LIMIT) -> Any:
    """Return what a JSON file in UTF-8 holds.

    Args:
        path: the file.
        limit: the most bytes that the file may have.

    Raises:
        OSError: if the file cannot be read, is not regular, or is too large.
        ValueError: if it is no JSON, or nested too deep.
    """
    try:
        return json.loads(read_small(path, limit=limit).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
