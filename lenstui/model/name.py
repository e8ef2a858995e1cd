"""What a model is called: OWNER/NAME on the hub, OWNER/NAME@REVISION, or a path. Nothing is opened here."""

from __future__ import annotations

from pathlib import Path

from lenstui.model.gguf import SUFFIX


def looks_like_a_path(name: str) -> bool:
    """Whether this can be no name on the hub."""
    return name.startswith(("/", ".", "~")) or name.endswith("/") or name.count("/") > 1


def split_revision(text: str) -> tuple[str, str | None]:
    """Name and revision, from `OWNER/NAME@REVISION`; in a path an @ is a letter like any other.

    Args:
        text: as it was typed.

    Returns:
        The name, and the branch, tag or commit; None where none is named.
    """
    name, at, revision = text.partition("@")
    if not at or not name or looks_like_a_path(name) or text.lower().endswith(SUFFIX) or _is_there(text):
        return text, None
    return name, revision or None


def _is_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # longer than a path may be, or with a zero byte
        return False
