"""The key of a model in the session file."""

from __future__ import annotations

from pathlib import Path

from lenstui.support.typed_path import is_folder


def model_key(name: str) -> str:
    """Return the key of a model: of a folder the resolved path, wherever the program is started."""
    path = Path(name)
    return str(path.resolve()) if is_folder(path) else name
