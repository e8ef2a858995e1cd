"""Places that cannot be written or read, also where tests run as root, who may do everything."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_VERSION_3 = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: root's leave to pass over permissions
_SET_SECUREBITS, _NO_ROOT = 28, 1 << 0  # programs that are started get no capabilities for being root's


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing in a folder, and in those within it, be written as long as the block runs.

    Where the tests run as root, this thread, and what it starts, obey permissions for as long.
    """
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        with _as_anybody():
            yield
    finally:
        for path, mode in modes.items():
            with suppress(FileNotFoundError):
                path.chmod(mode)


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Let a file not be read as long as the block runs, likewise."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0)
    try:
        with _as_anybody():
            yield
    finally:
        path.chmod(mode)


@contextmanager
def _as_anybody() -> Iterator[None]:
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _done(libc.capget(ctypes.byref(header), sets))
    before = sets[0].effective
    _done(libc.prctl(_SET_SECUREBITS, _NO_ROOT, 0, 0, 0))
    sets[0].effective = before & ~_OVERRIDES
    _done(libc.capset(ctypes.byref(header), sets))
    try:
        yield
    finally:
        sets[0].effective = before
        _done(libc.capset(ctypes.byref(header), sets))
        _done(libc.prctl(_SET_SECUREBITS, 0, 0, 0, 0))


def _done(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
