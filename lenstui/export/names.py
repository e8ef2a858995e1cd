"""Where the files go that the screen writes: names that are proposed, and places that were typed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from lenstui.support import paths
from lenstui.support.errors import LensError

_WORDS = 5  # of the prompt
_LONGEST = 40  # characters of a part of the name


def proposed_path(model: str, prompt: str, ending: str, part: str = "") -> Path:
    """`MODEL-FIRST-WORDS.ENDING` in the exports folder, or with the first number that no file has.

    Args:
        model: by name; of a folder's or hub id's name the last part is taken.
        prompt: what was read.
        ending: with its dot.
        part: what of the readout it is, if that is to be in the name.
    """
    words = " ".join(prompt.split()[:_WORDS])
    parts = (_safe(model.rstrip("/").rpartition("/")[2]) or "model", _safe(words), part)
    name = "-".join(filter(None, parts))
    folder, number = paths.exports(), 1
    path = folder / f"{name}{ending}"
    while is_there(path):
        number += 1
        path = folder / f"{name}-{number}{ending}"
    return path


def typed_path(typed: str) -> Path:
    """The absolute path that somebody means.

    Raises:
        LensError: if no file can have it.
    """
    if not typed.strip():
        raise LensError("Type the name of a file.")
    if "\0" in typed:
        raise LensError("No file can have this name (a NUL character): type another.")
    try:
        path = Path(typed.strip()).expanduser().absolute()
        if typed.rstrip().endswith("/") or path.is_dir():
            raise LensError(f"{shown_path(path)} is a folder: type the name of a file in it.")
    except (OSError, RuntimeError, ValueError) as error:  # too long; no such user
        reason = getattr(error, "strerror", None) or error
        raise LensError(f"No file can have this name ({reason}): type another.") from error
    return path


def is_there(path: Path) -> bool:
    """Whether something has this name; what cannot be looked at is taken for nothing."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return False


def shown_path(path: Path) -> str:
    """With `~` for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def _safe(text: str) -> str:
    """Letters, digits, dots and underscores alone, with dashes between: no shell and no disk minds them."""
    text = unicodedata.normalize("NFC", text)
    words = "".join(c if c.isalnum() or c in "._" else " " for c in text).split()
    safe = "-".join(words)[:_LONGEST].strip("-._")
    while len(safe.encode()) > 2 * _LONGEST:
        safe = safe[:-1]
    return safe
