"""Tensor files: read without ever running what is in them, written whole or not at all."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from lenstui.support.atomic_file import replaced
from lenstui.support.errors import LensError, first_line


def load_tensors(path: Path, what: str = "lens file") -> Any:
    """What `torch.save` wrote to `path`, if it is nothing but tensors and plain values.

    Args:
        path: the file.
        what: it should be, for a message.

    Raises:
        LensError: if there is no such file, it is of another kind, damaged, or holds more than that.
    """
    check_regular(path, what)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise LensError(f"There is no {what} {path}.") from error
    except OSError as error:
        raise damaged(path, error, what) from error
    except Exception as error:  # on damaged bytes torch raises nearly every kind
        if not _begins_as_written(path):
            raise LensError(f"{path} is no {what}.") from error
        if not isinstance(error, pickle.UnpicklingError):
            raise damaged(path, error, what) from error
        raise LensError(
            f"{path} holds more than plain tensors, so it was not opened: it is no {what}."
        ) from error


def check_regular(path: Path, what: str = "lens file") -> None:
    """Raise `LensError` for a pipe, a device or a folder: opening a pipe would wait for whoever writes to it.

    Where there is nothing at all, that is left to whoever opens it.
    """
    if path.exists() and not path.is_file():
        raise LensError(f"{path} is no {what}: it is no regular file.")


def _begins_as_written(path: Path) -> bool:
    """Whether a file begins as `torch.save` has it: a zip archive, long ago a pickle; or is empty."""
    with path.open("rb") as file:
        return file.read(2) in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b""}


def check_bytes(path: Path, what: str = "lens file") -> None:
    """Look for damage among the numbers themselves, which `torch.load` does not notice.

    Raises:
        LensError: if there is any.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except Exception as error:  # as torch does
        raise damaged(path, error, what) from error
    if bad is not None:
        raise LensError(f"{path} is damaged: the checksum of {bad} is another.")


def save_tensors(content: Any, path: Path) -> None:
    """Write tensors and plain values whole or not at all, in a folder that is made where there is none.

    Raises:
        LensError: if the file cannot be written, or a device or a folder has this name.
    """
    with replaced(path, make_folder=True) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # as which torch raises some write errors again
            raise OSError(first_line(error)) from error


def damaged(path: Path, error: Exception, what: str = "lens file") -> LensError:
    """The complaint about a file on which a reader failed with `error`."""
    return LensError(f"{path} is damaged or no {what}: {first_line(error)}")
