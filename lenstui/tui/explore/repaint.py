"""When the columns on screen are read anew through the lens in training."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

LEAST = 1.0  # seconds between two readings
SHARE = 0.1  # of the time that they may take from the fit


class Repaint:
    """Waits for the lens to change, for the last reading to be answered, and until it is worth its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: Hashable = None
        self._read: Hashable = None
        self._asked = False
        self._next = clock()

    def changed(self, state: Hashable) -> None:
        """The lens is the one after `state`, which may be as it was."""
        self._state = state

    def is_due(self) -> bool:
        """Whether to read now, which the asker then does."""
        if self._asked or self._state == self._read or self._clock() < self._next:
            return False
        self._asked, self._read = True, self._state
        return True

    def answered(self, seconds: float) -> None:
        """A reading came, and took so long."""
        self._asked = False
        self._next = self._clock() + max(LEAST, seconds / SHARE)
