"""Where the files of a fit go: the lens in the end, and beside it, until then, its checkpoint.

A fit takes the name of its lens for itself before it begins: a lock on a hidden file beside the checkpoint.
The lock ends with the process, however that ends. What a killed one leaves is that hidden file, empty and
without a lock: it is no lens and no checkpoint, keeps nobody from the name, and goes when the next fit of
that name ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import weakref
from contextlib import suppress
from pathlib import Path

from lenstui.support import paths
from lenstui.support.errors import LensError

CHECKPOINT = ".checkpoint"
_TRIES = 100  # to lock a file that others remove; no disk that knows it again needs as many


class Claim:
    """The right of one fit alone to write a lens and its checkpoint, until it is released or forgotten.

    Attributes:
        lens: the file that the lens is to go to.
    """

    def __init__(self, lens: Path, lock: Path, number: int | None) -> None:
        """Keep a lock that is held.

        Args:
            lens: the file that the lens is to go to.
            lock: the file beside it that is locked.
            number: its descriptor; None where there can be no lock.
        """
        self.lens = lens
        self._release = weakref.finalize(self, _release, lock, number)

    def release(self) -> None:
        """Leave the name to others; once more does nothing."""
        self._release()


class _TakenError(LensError):
    """Another fit has taken the name of the lens."""


def claim(lens: Path) -> Claim:
    """Take a lens file for a fit.

    Where no lock can be had (the folder cannot be written, its disk knows none) nobody is kept out.

    Raises:
        LensError: if another fit has it.
    """
    real = Path(os.path.realpath(lens))
    lock = real.with_name(f".{checkpoint_path(real).name}.lock")
    for _ in range(_TRIES):
        try:
            number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError:
            break
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(number)
            raise _TakenError(
                f"A fit for {lens} is under way already: wait until it is over, or choose another file."
            ) from error
        except OSError:
            _release(lock, number)
            break
        with suppress(FileNotFoundError):  # whoever had it before has just removed it: then once more
            if os.path.samestat(os.fstat(number), lock.lstat()):
                return Claim(lens, lock, number)
        os.close(number)
    return Claim(lens, lock, None)


def claim_new(model: str, preset: str) -> Claim:
    """Take `MODEL-PRESET-1.pt` in the lenses folder, or the first number that neither a lens nor a fit has.

    Raises:
        LensError: if the folder cannot be made.
    """
    folder = paths.made(paths.lenses())
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-") or "model"
    number = 0
    while True:
        number += 1
        lens = folder / f"{slug}-{preset}-{number}.pt"
        if _is_used(lens):
            continue
        with suppress(_TakenError):
            claimed = claim(lens)
            if not _is_used(lens):  # by a fit that has ended since
                return claimed
            claimed.release()


def checkpoint_path(lens: Path) -> Path:
    """Return the file of the checkpoint of a fit whose lens is to go to `lens`."""
    return lens.with_name(lens.name.removesuffix(".pt") + CHECKPOINT)


def lens_path(checkpoint: Path) -> Path:
    """Return the lens file beside a checkpoint: `NAME.pt` of `NAME.checkpoint`.

    Never what the checkpoint says: whoever made the file could have written any place into it.
    """
    return checkpoint.with_name(checkpoint.name.removesuffix(CHECKPOINT) + ".pt")


def check_unfinished(lens: Path) -> None:
    """Raise `LensError` if a fit that was not finished would be lost by a new one for `lens`."""
    path = checkpoint_path(lens)
    if path.exists():
        raise LensError(
            f"{path} is of a fit that was not finished: --resume goes on with it. Delete it to begin anew."
        )


def _is_used(lens: Path) -> bool:
    return os.path.lexists(lens) or os.path.lexists(checkpoint_path(lens))


def _release(lock: Path, number: int | None) -> None:
    """Remove the file before the lock on it ends: who gets a lock on it later sees that it is gone."""
    if number is not None:
        with suppress(OSError):  # the folder may be read-only by now
            lock.unlink(missing_ok=True)
        os.close(number)
