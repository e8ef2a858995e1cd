"""The end of the program, by a key, a signal, a dropped line or a failure; a fit under way is saved first."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sys
import termios
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from textual.message import Message

from lenstui.support.printable import printable
from lenstui.tui.guard import Guard
from lenstui.tui.own_terminal import own_terminal
from lenstui.tui.shared.window_size import sensible

if TYPE_CHECKING:
    from lenstui.jobs.fit_service import FitService

LIMIT = 10.0  # seconds that a last checkpoint may take
FIRST_PAINT = 0.5  # seconds that are left to the first paint before anything is watched
GRACE = 2.0  # seconds that the screen may take to be put away
_NO_TERMINAL = (AttributeError, OSError, TypeError, ValueError, termios.error)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


# The sequences by which Textual's driver restores a terminal: paste, mouse, wrapping, keys, screen, cursor.
_PUT_AWAY = (
    b"\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    b"\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1004l"
)


class Ended(Message, bubble=False):
    """The message that a signal came, and that the app is to end."""


class EndingApp(Protocol):
    """The interface of the app for `Ending`."""

    last_words: str | None
    failure: str | None

    @property
    def training(self) -> FitService:
        """The service of the fit that may be under way."""

    @property
    def return_code(self) -> int | None:
        """The exit status of the program."""

    def run(self, *, size: tuple[int, int] | None) -> object:
        """Run the app until it ends; its size at first, columns and lines, is found out where it is None."""

    def post_message(self, message: Message) -> bool:
        """Post a message to the app; callable on any thread."""


class Ending:
    """The runner of the app. Whatever ends the app, a fit under way is saved, and the terminal restored."""

    def __init__(self, app: EndingApp) -> None:
        self._app = app
        self._signal = 0
        self._rescue: threading.Thread | None = None
        self._words: str | None = None
        self._put_away = threading.Event()
        self._terminal: list[Any] | None = None  # the terminal's settings before the app ran
        self._guard = Guard()
        self._is_for_guard = False  # whether the terminal takes nothing now, and is left to the guard

    def run(self) -> NoReturn:
        """Run the app, then leave the process, without waiting for the model thread."""
        try:
            self._terminal = termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]
        except _NO_TERMINAL as error:
            if error.args[:1] == (errno.EIO,):  # there was one, and it is gone
                self._signal = signal.SIGHUP
                self._leave()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has SIGHUP ignored
                signal.signal(number, self._hear)
        if self._terminal is not None:
            threading.Thread(target=self._watch_line, name="lenstui-line", daemon=True).start()
        # Textual asks for the size in two ways, and repaints without end where these disagree: in a window of
        # size 0, and where TERM is dumb. This is the way it asks after that.
        size = None if self._terminal is None else sensible(*shutil.get_terminal_size())
        try:
            with own_terminal():
                self._app.run(size=size)
        except OSError:  # the terminal is gone
            if not self._signal:
                raise
        finally:
            self._put_away.set()
        if self._rescue is not None:
            self._rescue.join(LIMIT + GRACE)
        elif self._app.training.is_under_way and (self._app.failure or self._app.last_words is None):
            self._save()  # the screen has failed, the fit has not
        self._leave()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """End the app after a signal, in a new thread: after a hangup the main one may be stuck writing."""
        if self._rescue is None:
            self._signal = number
            self._rescue = threading.Thread(target=self._end, name="lenstui-ending", daemon=True)
            self._rescue.start()

    def _watch_line(self) -> None:
        """End the app when the terminal is gone, also where the signal that says so is ignored, as by nohup.

        Textual would go on, read nothing without end, and never write again. Where it is the program that is
        gone, the guard restores the terminal.
        """
        if self._put_away.wait(FIRST_PAINT):
            return
        assert self._terminal is not None
        self._guard.begin(self._terminal, _PUT_AWAY)
        line = select.poll()
        line.register(sys.__stdin__, 0)  # type: ignore[arg-type]
        if any(happened & select.POLLHUP for _, happened in line.poll()) and not self._put_away.wait(GRACE):
            self._hear(signal.SIGHUP, None)

    def _end(self) -> None:
        if self._app.training.is_under_way:
            self._save()
        with suppress(Exception):
            self._app.post_message(Ended())
        if not self._put_away.wait(GRACE):
            self._put_terminal_back()
            self._leave()

    def _put_terminal_back(self) -> None:
        """Restore the terminal in place of the app, which is stuck: in its work, or in showing its failure.

        Nothing here waits, since a dropped line may take no byte any more. Where the terminal only takes none
        now, the guard waits for it.
        """
        self._is_for_guard = True
        with suppress(*_NO_TERMINAL):
            if self._terminal is not None:
                termios.tcsetattr(sys.__stdin__, termios.TCSANOW, self._terminal)  # type: ignore[arg-type]
        with suppress(*_NO_TERMINAL):
            name = os.ttyname(sys.__stderr__.fileno())  # type: ignore[union-attr]  # where Textual draws
            screen = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._is_for_guard = os.write(screen, _PUT_AWAY) < len(_PUT_AWAY)

    def _save(self) -> None:
        """Write a checkpoint of the fit, and prepare the last words to the user about that checkpoint."""
        from lenstui.fitting.names import checkpoint_path  # the first paint can do without
        from lenstui.tui.shared.fit_words import how_to_go_on

        training = self._app.training
        before = training.status
        written = training.rescue(LIMIT)
        if written is not None and written.path is not None:
            self._words = how_to_go_on(written.path)
            return
        trouble = f"{LIMIT:.0f} s were not enough" if written is None else written.trouble
        self._words = f"lenstui: no checkpoint could be written: {trouble}"
        if before.path is not None and before.checkpoint_step is not None:
            older = how_to_go_on(checkpoint_path(before.path))
            self._words += f"\nOne of step {before.checkpoint_step} is left. {older}"

    def _leave(self) -> NoReturn:
        words = "\n".join(filter(None, [self._app.failure, self._words or self._app.last_words]))
        self._app.training.let_go()
        if not self._is_for_guard:
            self._guard.dismiss()
        with suppress(OSError, ValueError):  # stdout and stderr may be gone with the line
            if words:
                print(printable(words, kept="\n"), file=sys.__stderr__, flush=True)
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(128 + self._signal if self._signal else self._app.return_code or 0)
