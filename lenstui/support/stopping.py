"""Whether the work under way is to end: asked from deep within it, where waiting is for another machine."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_stopped: ContextVar[Callable[[], bool]] = ContextVar("stopped", default=lambda: False)


def is_stopped() -> bool:
    """Return whether the work of this thread is to end now; False where nobody can end it."""
    return _stopped.get()()


def stop_when(stopped: Callable[[], bool]) -> None:
    """Set what says, from now on and in this thread, whether its work is to end."""
    _stopped.set(stopped)
