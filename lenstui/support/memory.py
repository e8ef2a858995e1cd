"""Memory that a program which runs for days does not need any more, handed back to the system."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import cache

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def keep_together() -> None:
    """Have all threads, and Arrow where it is not imported yet, take their memory from one place.

    Else each thread has a place of its own, whose free memory no other thread uses, and Arrow has one that
    keeps tens of MB which no call gives back.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if (set_option := _of_glibc("mallopt")) is not None:
        set_option(_ARENA_MAX, 1)


def hand_back() -> None:
    """Collect what nothing refers to any more, and hand pages that nothing is in back to the system.

    It takes some milliseconds. Without it the garbage of closed screens, which refer to their widgets and
    these to them, would lie about until there were as many new objects as a quarter of all.
    """
    gc.collect()
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the GNU C library; None where another one is in use, which decides for itself."""
    if sys.platform != "linux":
        return None
    import ctypes  # not on every system

    return getattr(ctypes.CDLL(None), name, None)
