"""Memory that a program which runs for days does not need any more, handed back to the system."""

from __future__ import annotations

import os
import sys


def use_one_allocator() -> None:
    """Have Arrow take its memory from where all other memory comes from, if it is not imported yet.

    Its own allocator keeps tens of MB that nothing is in, and no call gives them back.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def hand_back() -> None:
    """Hand pages that nothing is in back to the system, which takes a few milliseconds.

    The GNU C library keeps what a thread has freed for that thread, tens of MB for each that has worked on a
    model. Other C libraries decide for themselves.
    """
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
