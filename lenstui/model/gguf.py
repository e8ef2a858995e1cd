"""GGUF files: a whole model in one file, with quantised weights, which transformers unpacks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lenstui.support.errors import LensError

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_PACKAGES = ("gguf", "accelerate")  # transformers needs both to read GGUF files


def is_gguf(path: Path) -> bool:
    """Return whether `path` has the name of a GGUF file."""
    return path.suffix.lower() == SUFFIX


def only_gguf(folder: Path) -> Path:
    """Return the GGUF file of a folder that has no config.json.

    Raises:
        LensError: if there is not exactly one.
    """
    files = sorted(file for file in folder.iterdir() if is_gguf(file))
    if not files:
        raise LensError(f"{folder} has no config.json: it is not the folder of a model.")
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:4])
        raise LensError(f"{folder} holds {len(files)} GGUF files: name one of them ({names}).")
    return files[0]


def check_gguf(file: Path) -> None:
    """Refuse a GGUF file that cannot be read, before transformers opens it.

    Raises:
        LensError: if a package that is needed is missing, or the file is not readable or no GGUF file.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise LensError(f"GGUF files need {' and '.join(missing)}: pip install 'lenstui[gguf]'.")
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(_MAGIC))
    except OSError as error:
        raise LensError(f"{file} cannot be read: {error.strerror}.") from error
    if magic != _MAGIC:
        raise LensError(f"{file} is no GGUF file.")


def source(path: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder and the keyword arguments for `from_pretrained`, of a folder or a GGUF file."""
    return (path.parent, {"gguf_file": path.name}) if is_gguf(path) else (path, {})
