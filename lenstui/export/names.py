"""Names of the files that the screen writes: proposed names, and typed paths."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from lenstui.support import paths
from lenstui.support.errors import LensError

_WORDS = 5  # words of the prompt in a name
_LONGEST = 40  # most characters of a part of a name


def proposed_path(model: str, prompt: str, ending: str, part: str = "") -> Path:
    """Return `MODEL-FIRST-WORDS.ENDING` in the exports folder, with the first number that makes it new.

    Args:
        model: the model's name, of which the part behind the last slash is taken.
        prompt: the prompt.
        ending: the ending, with its dot.
        part: the part of the readout, if that is to be in the name.
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
    """Return the absolute path that a typed text means.

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
    except (OSError, RuntimeError, ValueError) as error:  # too long; `~` of an unknown user
        reason = getattr(error, "strerror", None) or error
        raise LensError(f"No file can have this name ({reason}): type another.") from error
    return path


def is_there(path: Path) -> bool:
    """Return whether a path is taken; one that cannot be examined counts as free."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return False


def shown_path(path: Path) -> str:
    """Return a path as text, with `~` for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def _safe(text: str) -> str:
    """Return a text's letters, digits, dots and underscores, joined by dashes: safe in shells and paths."""
    text = unicodedata.normalize("NFC", text)
    words = "".join(c if c.isalnum() or c in "._" else " " for c in text).split()
    safe = "-".join(words)[:_LONGEST].strip("-._")
    while len(safe.encode()) > 2 * _LONGEST:
        safe = safe[:-1]
    return safe
