"""Files that are written whole or not at all, and the one place that decides what may be replaced.

Only a regular file or a new name is ever replaced. A symbolic link stays a link: its target is replaced, or
made where there is none. A device, a pipe or a socket is never replaced by a file. Results may be written
into an existing one (`-o /dev/null`, `-o /dev/stdout`, `-o >(gzip > out.gz)`): it is opened and gets the
bytes as they come. Lenses, checkpoints and settings have to be regular files.

The bytes are first in a part beside the file, which is locked as long as somebody writes it. A part that a
killed program left is removed when the same name is written again.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lenstui.support.errors import LensError
from lenstui.support.file_lock import lock

_NAME = 40  # characters of the file's name in the temporary file's name: a name may have 255 bytes
_MOST_LINKS = 40  # the kernel's own limit
_PART = "lenstui-part"
_NEW = 60.0  # seconds in which a part may not be locked yet
_OLD = 24 * 3600.0  # seconds after which nobody writes a part, where no lock can say so


def check_place(file: Path, *, special: bool = False) -> None:
    """Refuse a place that cannot be written, before any work is done in vain.

    Args:
        file: the file to be written.
        special: whether `file` may be a device or a pipe, which is written into, not replaced.

    Raises:
        LensError: if `file` is a folder, is in a folder that does not exist, may not be written, or is a
            device or a pipe where neither is allowed.
    """
    with write_errors(file):
        _check_place(file, special=special)


def _check_place(file: Path, *, special: bool) -> None:
    if special and is_special(file):
        if not _may_write(file):
            raise LensError(f"{file} may not be written: choose another file.")
        if _is_terminal(file):
            raise LensError(f"{file} is a terminal: leave it out to see results there, or name a file.")
        return
    check_replaceable(file)
    target = _target(file)
    for place in (file, target):  # the name as typed first: the message is clearer
        if not place.parent.is_dir():
            raise LensError(f"There is no folder {place.parent} to write {place.name} to.")
    if not _may_write(target.parent) or (target.exists() and not _may_write(target)):
        raise LensError(f"{file} may not be written: choose another folder.")


def _may_write(path: Path) -> bool:
    """Return whether this process may write a file or folder, by the rights that opening it asks for."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def check_replaceable(file: Path) -> None:
    """Refuse a name that is neither a regular file's nor new.

    Raises:
        LensError: if `file` is a folder, a device, a pipe, a socket, or a link to itself.
    """
    if file.is_dir():
        raise LensError(f"{file} is a folder: name a file in it.")
    if _target(file).is_symlink():
        raise LensError(f"{file} is a link that leads to itself: name a file.")
    if is_special(file):
        raise LensError(f"{file} is a device or a pipe, which no file may take the place of: name a file.")


@contextmanager
def write_errors(file: Path) -> Iterator[None]:
    """Turn an `OSError` raised while writing `file` into a `LensError`."""
    try:
        yield
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error


@contextmanager
def replaced(
    file: Path, *, private: bool = False, durable: bool = True, make_folder: bool = False
) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of `file` once all is written.

    Readers see either the old file or the complete new one. Permissions are kept, unless `private`. Where
    `file` is a symbolic link, its target is replaced.

    Args:
        file: a regular file, or a name that is not taken.
        private: whether only the user may read the file, whatever its permissions were before.
        durable: whether the bytes must have reached the disk by the end of the block.
        make_folder: whether to make the file's folder where there is none.

    Raises:
        LensError: if `file` cannot be written, in which case the old file is kept; or if `file` is neither a
            regular file nor new.
    """
    with write_errors(file):
        check_replaceable(file)
        if make_folder:
            with suppress(FileExistsError):  # a file has the folder's name: opening `file` will fail below
                file.parent.mkdir(parents=True, exist_ok=True)
        with _replaced(file, private=private, durable=durable) as out:
            yield out


@contextmanager
def _replaced(file: Path, *, private: bool, durable: bool) -> Iterator[IO[bytes]]:
    """Replace a name that has been checked; every `OSError` is raised unchanged."""
    target = _target(file)
    permissions = None
    if not private and target.exists():
        permissions = stat.S_IMODE(target.stat().st_mode)
    _remove_left(target)
    part = target.with_name(f".{target.name[:_NAME]}.{os.urandom(4).hex()}.{_PART}")
    mode = 0o600 if private else 0o666
    try:
        # x: the name must be new, so that no link or file placed there by others is followed or overwritten.
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
            lock(out.fileno())
            yield out
            out.flush()
            if permissions is not None:
                with suppress(OSError):  # some file systems have no permissions
                    os.fchmod(out.fileno(), permissions)
            if durable:
                os.fsync(out.fileno())
        part.replace(target)
    finally:
        with suppress(OSError):  # a folder that cannot be written has nothing to tidy up
            part.unlink(missing_ok=True)


def _remove_left(target: Path) -> None:
    """Remove the parts of a file that killed programs left, and no other file."""
    parts = re.compile(rf"\.{re.escape(target.name[:_NAME])}\.[0-9a-f]{{8}}\.{_PART}")
    with suppress(OSError):  # opening the new part says what is wrong with the folder
        for file in target.parent.iterdir():
            if parts.fullmatch(file.name) and _is_left(file):
                file.unlink(missing_ok=True)


def _is_left(part: Path) -> bool:
    """Return whether nobody writes a part any more."""
    try:
        if not stat.S_ISREG(part.lstat().st_mode):  # not one of ours
            return False
        number = os.open(part, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # gone, or another user's
        return False
    try:
        age = time.time() - os.fstat(number).st_mtime
        return age > _NEW and lock(number, otherwise=age > _OLD)
    finally:
        os.close(number)


def remove(file: Path) -> None:
    """Remove a file, if it is there, and the parts of it that killed programs left.

    Raises:
        OSError: if the file cannot be removed.
    """
    file.unlink(missing_ok=True)
    _remove_left(_target(file))


@contextmanager
def scratch_folder(beside: Path, name: str) -> Iterator[Path]:
    """Yield a new folder for what is to be written beside it, which is gone at the end of the block.

    Those of the same name that killed programs left are removed.

    Args:
        beside: the folder that it is in, which is made where there is none.
        name: what it is for, as its name begins.

    Raises:
        LensError: if it cannot be made.
    """
    prefix = f".{name}-"
    with write_errors(beside):
        beside.mkdir(parents=True, exist_ok=True)
        for each in beside.glob(f"{prefix}*"):
            if (number := _opened_folder(each)) is not None:
                if time.time() - os.fstat(number).st_mtime > _NEW and lock(number):
                    shutil.rmtree(each, ignore_errors=True)
                os.close(number)
        folder = tempfile.TemporaryDirectory(prefix=prefix, dir=beside)
    with folder as place:
        number = _opened_folder(Path(place))
        try:
            if number is not None:
                lock(number)
            yield Path(place)
        finally:
            if number is not None:
                os.close(number)


def _opened_folder(path: Path) -> int | None:
    """Return the descriptor of an open folder; None where the path is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None


@contextmanager
def written(file: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write results to: a regular file is replaced as a whole, a special one is written into.

    Raises:
        LensError: if `file` cannot be written, is a folder, or is a terminal, where control characters would
            act.
    """
    with write_errors(file):
        if not is_special(file):
            with replaced(file) as out:
                yield out
            return
        if _is_terminal(file):
            raise LensError(f"{file} is a terminal: leave it out to see results there, or name a file.")
        number = _descriptor(file)
        # An open file is duplicated, so that writing goes on at its position, behind what `>>` found there.
        with file.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as out:
            yield out


def is_half_written(file: Path) -> bool:
    """Return whether a file has the name of a part, which somebody writes or a killed program left."""
    return file.name.startswith(".") and file.name.endswith(f".{_PART}")


def is_special(file: Path) -> bool:
    """Return whether `file` is a device, a pipe, a socket, or an open file such as `/dev/stdout`."""
    if _descriptor(file) is not None:
        return True
    try:
        mode = file.stat().st_mode
    except OSError:  # a new name, or one that cannot be written either
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _target(file: Path) -> Path:
    """Return the path with all links followed; a link that leads to itself is returned as it is."""
    return Path(os.path.realpath(file))


def _descriptor(file: Path) -> int | None:
    """Return the descriptor that a path such as `/dev/stdout` or `/dev/fd/63` stands for, if any."""
    folders = {"/dev/fd", f"/proc/{os.getpid()}/fd"}
    for _ in range(_MOST_LINKS):
        if file.name.isdecimal() and os.path.realpath(file.parent) in folders:
            return int(file.name)
        if not file.is_symlink():
            break
        file = file.parent / file.readlink()
    return None


def _is_terminal(file: Path) -> bool:
    """Return whether bytes written to `file` reach a terminal."""
    number = _descriptor(file)
    if number is not None:
        return os.isatty(number)
    if not file.is_char_device():
        return False
    try:
        number = os.open(file, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # writing will raise it again, with a message
        return False
    try:
        return os.isatty(number)
    finally:
        os.close(number)
