"""Locks of open files and folders, which end with the program that has them, however it ends."""

from __future__ import annotations


def lock(number: int, *, otherwise: bool = False) -> bool:
    """Lock an open file or folder until it is closed, without waiting for it.

    Args:
        number: its descriptor.
        otherwise: what to return where no lock is possible.

    Returns:
        Whether it is locked now; False where another program has it.
    """
    try:
        import fcntl  # not on Windows

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # not every file system knows locks
        return otherwise
    return True
