"""A process that restores the terminal where lenstui is killed, or fails in a way that it cannot hear of.

So it is after SIGKILL, which is what Linux sends where memory is short, and after SIGBUS, which comes where
others cut the mapped file of a model short. The process is a shell that waits for a pipe to end.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Any

_CONTROLS = 6  # where `termios.tcgetattr` has the control characters
# The shell that the terminal goes back to may have set it up already: it leaves signals on, lenstui does not.
_SCRIPT = """
read -r over && exit
printf %s "$1"
exec 3<&1
case $(stty -a <&3) in *"-isig -icanon"*) stty "$2" <&3 ;; esac
"""


class Guard:
    """The process that watches over the terminal, from its beginning until it is dismissed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._is_dismissed = False

    def begin(self, settings: list[Any], put_away: bytes) -> None:
        """Start the process, unless it is dismissed already; where that is not possible, nothing watches.

        Args:
            settings: the terminal's, from `termios.tcgetattr`, to which it is set again.
            put_away: what a terminal is sent to leave the screen of lenstui.
        """
        with self._lock, suppress(AttributeError, OSError, ValueError):
            if not self._is_dismissed:
                self._pipe = _started(put_away, stty_words(settings))

    def dismiss(self) -> None:
        """End the process: the terminal is restored. Calling it again does nothing."""
        with self._lock:
            self._is_dismissed = True
            if self._pipe is not None:
                with suppress(OSError):  # it was killed itself
                    os.write(self._pipe, b"over\n")
                os.close(self._pipe)
            self._pipe = None


def _started(put_away: bytes, settings: str) -> int:
    """Start the process, and return the pipe that it listens to.

    Raises:
        OSError: if it cannot be started.
    """
    name = os.ttyname(sys.__stderr__.fileno())  # type: ignore[union-attr]  # where Textual draws
    terminal = os.open(name, os.O_RDWR | os.O_NOCTTY)
    listening, pipe = os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _SCRIPT, "lenstui-guard", put_away.decode(), settings],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ours, its) for its, ours in enumerate((listening, terminal, nowhere))
            ],
            setsid=True,  # the terminal's signals are not for it, and it may set one that is not its own
        )
    except OSError:
        os.close(pipe)
        raise
    finally:
        for number in (terminal, listening, nowhere):
            os.close(number)
    return pipe


def stty_words(settings: list[Any]) -> str:
    """Return settings of a terminal as GNU `stty` takes them; `sane` where another `stty` is likely.

    Args:
        settings: from `termios.tcgetattr`.
    """
    if not sys.platform.startswith("linux"):
        return "sane"
    controls = (each[0] if isinstance(each, bytes) else each for each in settings[_CONTROLS])
    return ":".join(f"{number:x}" for number in (*settings[:4], *controls))
