"""Paths that somebody typed, or a file names: anything, also what no file system takes."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lenstui.support.errors import LensError
from lenstui.support.printable import is_unicode


def expanded(name: str) -> Path:
    """Return the path that a name means, with `~` as a home folder; that of an unknown user is ordinary."""
    try:
        return Path(os.path.expanduser(name))  # noqa: PTH111 - Path takes ./~ for ~
    except ValueError:
        return Path(name)


def current_folder() -> Path:
    """Return the folder that the program is in; where that is gone by now, go to the home folder first.

    In a folder that is gone no relative path means anything, and libraries fail that ask where they are.
    """
    with suppress(OSError):
        return Path.cwd()
    os.chdir(folder_near(Path()))
    return Path.cwd()


def check_spelling(path: Path) -> None:
    """Refuse a path that is no UTF-8, which neither Arrow nor what reads models and tokenizers can open.

    Raises:
        LensError: if it is none.
    """
    if not is_unicode(str(path)):
        raise LensError(f"{path} has a name that is not UTF-8, which libraries cannot open: rename it.")


def is_there(path: Path) -> bool:
    """Return whether there is a path; False where that cannot be said, as it is too long."""
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False where that cannot be said."""
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; False where that cannot be said."""
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def open_file(path: Path) -> BinaryIO:
    """Return a file that is open for reading; a name that no file can have is one that is not there.

    Raises:
        OSError: if it is missing, or cannot be read.
    """
    try:
        return path.open("rb")
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error


def folder_near(path: Path) -> Path:
    """Return the folder from which to look for a file like one: that of the file, home, or the topmost."""
    if is_file(path):
        return path.parent
    home = expanded("~")
    return home if is_folder(home) else Path("/")
