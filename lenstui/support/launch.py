"""How a program that runs in several processes was started: what `torchrun` tells each of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from lenstui.support.errors import LensError


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started together.

    Attributes:
        number: its number, from 0 on.
        count: the number of all of them.
        number_here: its number among those on this machine.
        count_here: the number of those on this machine.
        is_several: whether they were started together, be it a single one; otherwise the program was started
            by itself.
    """

    number: int = 0
    count: int = 1
    number_here: int = 0
    count_here: int = 1
    is_several: bool = False


def launched(environ: Mapping[str, str] = os.environ) -> Launch:
    """Return how this process was started, by the variables that `torchrun` sets.

    Raises:
        LensError: if they contradict each other.
    """
    if not all(name in environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")):
        return Launch()
    number, count = _whole(environ, "RANK"), _whole(environ, "WORLD_SIZE")
    number_here = _whole(environ, "LOCAL_RANK", number)
    count_here = _whole(environ, "LOCAL_WORLD_SIZE", count)
    if number >= count or number_here >= count_here:
        raise LensError(
            f"Process {number} of {count} (RANK, WORLD_SIZE), {number_here} of {count_here} on its machine "
            "(LOCAL_RANK, LOCAL_WORLD_SIZE), cannot be: start the processes by torchrun."
        )
    return Launch(number, count, number_here, count_here, is_several=True)


def _whole(environ: Mapping[str, str], name: str, usual: int | None = None) -> int:
    """Return the whole number that a variable says, or `usual` where it is not set."""
    text = environ.get(name, "" if usual is None else str(usual))
    if not text.isdecimal():
        raise LensError(f"{name}={text!r} is no whole number: start the processes by torchrun.")
    return int(text)
