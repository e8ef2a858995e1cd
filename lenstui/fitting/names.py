"""Names of the files of a fit: the lens, and its checkpoint beside it.

Before it begins, a fit claims the name of its lens: it locks a hidden file beside the checkpoint. The lock
ends with the process, however that ends. A killed process leaves the hidden file, empty and unlocked: it is
no lens and no checkpoint, does not block the name, and is removed when the next fit of that name ends.
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
_TRIES = 100  # attempts to lock a file that others keep removing


class Claim:
    """The exclusive right of one fit to write a lens and its checkpoint, until released or garbage-collected.

    Attributes:
        lens: the file that the lens is to be saved to.
    """

    def __init__(self, lens: Path, lock: Path, number: int | None) -> None:
        """Keep a lock that is held.

        Args:
            lens: the file that the lens is to be saved to.
            lock: the locked file beside it.
            number: the descriptor of the locked file; None where no lock is possible.
        """
        self.lens = lens
        self._release = weakref.finalize(self, _release, lock, number)

    def release(self) -> None:
        """Give up the claim. Calling it again does nothing."""
        self._release()


def unclaimed(lens: Path) -> Claim:
    """Return what a process has that writes no file: its lens is claimed by another of the same fit."""
    return Claim(lens, lens, None)


class _TakenError(LensError):
    """Another fit has claimed the name of the lens."""


def claim(lens: Path) -> Claim:
    """Claim a lens file for a fit.

    Where no lock is possible (the folder cannot be written, its disk has no locks) others are not kept out.

    Raises:
        LensError: if another fit has claimed it.
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
        with suppress(FileNotFoundError):  # the former holder has just removed the file: try again
            if os.path.samestat(os.fstat(number), lock.lstat()):
                return Claim(lens, lock, number)
        os.close(number)
    return Claim(lens, lock, None)


def claim_new(model: str, preset: str) -> Claim:
    """Claim `MODEL-PRESET-1.pt` in the lenses folder, or the first number that neither a lens nor a fit has.

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
            if not _is_used(lens):  # a fit may have ended since the check above
                return claimed
            claimed.release()


def checkpoint_path(lens: Path) -> Path:
    """Return the checkpoint file of a fit whose lens is to be saved to `lens`."""
    return lens.with_name(lens.name.removesuffix(".pt") + CHECKPOINT)


def lens_path(checkpoint: Path) -> Path:
    """Return the lens file beside a checkpoint: `NAME.pt` of `NAME.checkpoint`.

    The place that the checkpoint names is not used: the file may come from anywhere and name any place.
    """
    return checkpoint.with_name(checkpoint.name.removesuffix(CHECKPOINT) + ".pt")


def check_unfinished(lens: Path) -> None:
    """Refuse a lens file that has the checkpoint of an unfinished fit, which a new fit would overwrite.

    Raises:
        LensError: if there is such a checkpoint.
    """
    path = checkpoint_path(lens)
    if path.exists():
        raise LensError(
            f"{path} is of a fit that was not finished: --resume goes on with it. Delete it to begin anew."
        )


def _is_used(lens: Path) -> bool:
    return os.path.lexists(lens) or os.path.lexists(checkpoint_path(lens))


def _release(lock: Path, number: int | None) -> None:
    """Remove the locked file before its lock ends, so that the next one to lock it sees that it is gone."""
    if number is not None:
        with suppress(OSError):  # the folder may be read-only by now
            lock.unlink(missing_ok=True)
        os.close(number)
