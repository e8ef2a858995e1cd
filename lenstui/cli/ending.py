"""Signals that end the program, handled between two pieces of work instead of in the middle of one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.02  # seconds after which a swallowed Ctrl+C is sent once more


def interrupt_again() -> None:
    """Have a Ctrl+C that Python swallows, as within a `__del__`, sent once more a moment later."""

    def swallowed(what: UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(what)

    sys.unraisablehook = swallowed


@contextmanager
def heard() -> Iterator[Callable[[], signal.Signals | None]]:
    """Yield a function that returns the signal that was received, if any.

    A second Ctrl+C ends the program at once. Signals that `nohup` made the program ignore stay ignored.
    """
    came: list[signal.Signals] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(signal.Signals(number))

    before = {
        number: signal.signal(number, hear)
        for number in _ENDINGS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield lambda: came[0] if came else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
