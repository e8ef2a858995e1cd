"""Small JSON files of state that may be lost without harm: read leniently, replaced as a whole.

All lenstuis of a user write them, each beside what the others have written meanwhile.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lenstui.support.atomic_file import replaced
from lenstui.support.errors import LensError, message_line
from lenstui.support.file_lock import lock
from lenstui.support.small_file import read_json

_PATIENCE = 1.0  # seconds; whoever changes a state file needs milliseconds
_POLL = 0.005


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep other programs from changing a state file between the reading and the writing within the block.

    Where no lock is possible (no folder, a disk without locks, a program that is stopped within its block)
    they are not kept out.
    """
    with suppress(OSError):  # writing the file will say what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield
        return
    try:
        end = time.monotonic() + _PATIENCE
        while not lock(folder, otherwise=True) and time.monotonic() <= end:
            time.sleep(_POLL)
        yield
    finally:
        os.close(folder)


def read_state(path: Path, version: int) -> tuple[dict[str, Any], str | None]:
    """Return the contents of a state file, with the reason where the file cannot be used.

    The contents are empty where the file is missing, which is no error, or cannot be used. Their values are
    not checked and may be of any type.

    Args:
        path: the state file.
        version: the version that the file must have.
    """
    try:
        found = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}, None
    except OSError as error:
        return {}, _trouble(path, f"cannot be read ({error.strerror or error})")
    except ValueError:
        return {}, _trouble(path, "is damaged and passed over")
    if not isinstance(found, dict) or found.get("version") != version:
        return {}, _trouble(path, "is of another version and passed over")
    return found, None


def write_state(path: Path, version: int, content: dict[str, Any]) -> str | None:
    """Write a state file as a whole, for the user's eyes only.

    What was there and cannot be used, as another version wrote it or it is damaged, is kept as `NAME.aside`.

    Returns:
        Why the file was not written, in one line; None where it was.
    """
    if read_state(path, version)[1] is not None:
        with suppress(OSError, ValueError):
            path.replace(path.with_name(f"{path.name}.aside"))
    try:
        with replaced(path, private=True, durable=False, make_folder=True) as file:
            file.write(json.dumps({"version": version, **content}, indent=1).encode())
    except LensError as error:
        return str(error)
    except ValueError as error:  # content that is no JSON, or a path that is no file name
        return _trouble(path, f"cannot be written ({error})")
    return None


def _trouble(path: Path, what: str) -> str:
    return message_line(f"{path} {what}.")
