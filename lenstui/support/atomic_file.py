"""Files that are written whole or not at all, and the one place that decides what may be replaced.

Only a regular file or a new name is ever replaced. A symbolic link stays a link: the file that it leads to is
replaced, or made where it leads to nothing. A device, a pipe or a socket is never replaced by a file. Results
may be written into one that is there (`-o /dev/null`, `-o /dev/stdout`, `-o >(gzip > out.gz)`): it is opened
and gets the bytes as they come. Lenses, checkpoints and settings have to be files.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lenstui.support.errors import LensError

_NAME = 40  # characters of the file's name in that of its temporary one: a name may have 255 bytes
_MOST_LINKS = 40  # as the kernel follows


def check_place(file: Path, *, special: bool = False) -> None:
    """Refuse a place that cannot be written, before any work is done in vain.

    Args:
        file: where something is to be written.
        special: whether it may be a device or a pipe, which is written into, not replaced.

    Raises:
        LensError: if it is a folder, in none, may not be written, or is special and must not be.
    """
    if special and is_special(file):
        if not os.access(file, os.W_OK):
            raise LensError(f"{file} may not be written: choose another file.")
        if _is_terminal(file):
            raise LensError(f"{file} is a terminal: leave it out to see results there, or name a file.")
        return
    check_replaceable(file)
    target = _target(file)
    for place in (file, target):  # as it was typed, if that says it
        if not place.parent.is_dir():
            raise LensError(f"There is no folder {place.parent} to write {place.name} to.")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise LensError(f"{file} may not be written: choose another folder.")


def check_replaceable(file: Path) -> None:
    """Refuse a name that is neither a regular file's nor new.

    Raises:
        LensError: if it is that of a folder, a device, a pipe or a socket, or of a link to itself.
    """
    if file.is_dir():
        raise LensError(f"{file} is a folder: name a file in it.")
    if _target(file).is_symlink():
        raise LensError(f"{file} is a link that leads to itself: name a file.")
    if is_special(file):
        raise LensError(f"{file} is a device or a pipe, which no file may take the place of: name a file.")


@contextmanager
def write_errors(file: Path) -> Iterator[None]:
    """Turn an `OSError` of the block, which writes `file`, into the `LensError` that says so."""
    try:
        yield
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error


@contextmanager
def replaced(
    file: Path, *, private: bool = False, durable: bool = True, make_folder: bool = False
) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of `file` once all is written: there is the old one or the new one.

    Permissions stay as they were. Where `file` is a symbolic link, what it leads to is replaced.

    Args:
        file: a regular file, or a name that nothing has.
        private: whether it is for the user's eyes only, whatever was there.
        durable: whether it has to be on the disk by the end, should the machine stop right then.
        make_folder: whether its folder is made where there is none.

    Raises:
        LensError: if it cannot be written, and there is the old file then; or if anything else has this name.
    """
    with write_errors(file):
        check_replaceable(file)
        if make_folder:
            with suppress(FileExistsError):  # a file is in its place: below it will be no directory
                file.parent.mkdir(parents=True, exist_ok=True)
        with _replaced(file, private=private, durable=durable) as out:
            yield out


@contextmanager
def _replaced(file: Path, *, private: bool, durable: bool) -> Iterator[IO[bytes]]:
    """`replaced` for a name that was checked, with every `OSError` as it comes."""
    target = _target(file)
    permissions = None
    if not private and target.exists():
        permissions = stat.S_IMODE(target.stat().st_mode)
    part = target.with_name(f".{target.name[:_NAME]}.{secrets.token_hex(4)}")
    mode = 0o600 if private else 0o666
    try:
        # x: its name is new for sure, so that nothing that somebody put there is followed or overwritten.
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
            yield out
            out.flush()
            if permissions is not None:
                with suppress(OSError):  # some disks know none
                    os.fchmod(out.fileno(), permissions)
            if durable:
                os.fsync(out.fileno())
        part.replace(target)
    finally:
        with suppress(OSError):  # a folder that cannot be written has nothing to tidy up
            part.unlink(missing_ok=True)


@contextmanager
def written(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write results to, as `replaced` does; a device, a pipe or an open file is written into.

    Raises:
        LensError: if `file` cannot be written, or is a folder, or a terminal, where control characters would
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
        # Where it is open already, its writer goes on: behind what `>>` found there, for example.
        with file.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as out:
            yield out


def is_special(file: Path) -> bool:
    """Whether this names a device, a pipe, a socket, or what is open already: `/dev/stdout`, `/dev/fd/63`."""
    if _descriptor(file) is not None:
        return True
    try:
        mode = file.stat().st_mode
    except OSError:  # a new name, or one that cannot be written either
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _target(file: Path) -> Path:
    """Where it is, links followed; of one that leads to itself, that link."""
    return Path(os.path.realpath(file))


def _descriptor(file: Path) -> int | None:
    """The number of the open file that a name stands for, such as `/dev/stdout` or `/dev/fd/63`."""
    folders = {"/dev/fd", f"/proc/{os.getpid()}/fd"}
    for _ in range(_MOST_LINKS):
        if file.name.isdecimal() and os.path.realpath(file.parent) in folders:
            return int(file.name)
        if not file.is_symlink():
            break
        file = file.parent / file.readlink()
    return None


def _is_terminal(file: Path) -> bool:
    """Whether bytes that are written there act on a terminal."""
    number = _descriptor(file)
    if number is not None:
        return os.isatty(number)
    if not file.is_char_device():
        return False
    try:
        number = os.open(file, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # which writing will say
        return False
    try:
        return os.isatty(number)
    finally:
        os.close(number)
