"""A small JSON file of what may be lost without harm: read leniently, replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lenstui.support.atomic_file import replaced
from lenstui.support.errors import LensError
from lenstui.support.printable import printable


def read_state(path: Path, version: int) -> tuple[dict[str, Any], str | None]:
    """What the file says; nothing, and why, where it cannot be understood.

    A file that is not there is no trouble. What is in it may still be of any type.
    """
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}, None
    except OSError as error:
        return {}, _trouble(path, f"cannot be read ({error.strerror or error})")
    except (ValueError, RecursionError):
        return {}, _trouble(path, "is damaged and passed over")
    if not isinstance(found, dict) or found.get("version") != version:
        return {}, _trouble(path, "is of another version and passed over")
    return found, None


def write_state(path: Path, version: int, content: dict[str, Any]) -> str | None:
    """Have the file say this; why it does not, where it cannot. There is the old one or the new one."""
    try:
        # For the user's eyes only.
        with replaced(path, private=True, durable=False, make_folder=True) as file:
            file.write(json.dumps({"version": version, **content}, indent=1).encode())
    except LensError as error:
        return printable(str(error))
    except ValueError as error:  # what is no JSON, or no file name
        return _trouble(path, f"cannot be written ({error})")
    return None


def _trouble(path: Path, what: str) -> str:
    return printable(f"{path} {what}.")
