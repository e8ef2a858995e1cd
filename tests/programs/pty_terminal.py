"""The program in a pseudo-terminal of its own, for what only shows there: bursts of keys, signals, its end.

A burst is bytes in one write: the program has them all before it has acted on the first. `Pilot.press` waits
after each key, so that its keys never race.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pyte

from tests.programs.forked import Forked
from tests.programs.fresh import Fresh
from tests.programs.own_settings import without_instant_lens

LIMIT = 60.0  # seconds that anything may take on a busy machine
CALM = 0.3  # seconds without a byte, and without work, after which nothing more is expected
BUSY = 0.02  # seconds of work that do not count: timers tick
SYNC_QUERY, SYNC_REPLY = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
_ESCAPES = re.compile(r"\x1b\[[0-9;?<>]*[a-zA-Z]")
ESC, ENTER, TAB, QUIT = "\x1b", "\r", "\t", "\x11"


class Terminal:
    """The program, what it is sent, and what it shows. It is told when the line drops."""

    def __init__(
        self,
        programs: Forked | Fresh,
        arguments: list[str],
        data: Path,
        *,
        width: int = 80,
        height: int = 24,
        has_size: bool = True,
        environment: Mapping[str, str] | None = None,
        answers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Start the program.

        Args:
            programs: where it is started.
            arguments: of its command line.
            data: the folder of what it keeps.
            width: columns of the screen.
            height: lines of it.
            has_size: whether the terminal says its size; otherwise it says 0 × 0, as over some lines.
            environment: more variables.
            answers: what the terminal answers to what.
        """
        self._answers = {SYNC_QUERY: SYNC_REPLY, **(answers or {})}
        self.received = b""
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.ours, theirs = pty.openpty()
        self.resize(*((width, height) if has_size else (0, 0)))
        self.before = termios.tcgetattr(theirs)
        folders = {f"XDG_{kind}_HOME": str(data) for kind in ("DATA", "CONFIG", "STATE", "CACHE")}
        without_instant_lens(data)
        self._theirs = theirs
        self._status: int | None = None
        self.program = programs.start(
            *arguments,
            terminal=os.ttyname(theirs),
            keyboard=True,
            environment={
                **folders,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "COLUMNS": str(width) if has_size else "",
                "LINES": str(height) if has_size else "",
                **(environment or {}),
            },
        )

    # ── what it shows ────────────────────────────────────────────────────────────────────────────────────

    def read(self, patience: float = 0.05) -> bytes:
        """Take what has come."""
        if not select.select([self.ours], [], [], patience)[0]:
            return b""
        got = os.read(self.ours, 1 << 20)
        for query, answer in self._answers.items():
            if query in got:
                os.write(self.ours, answer)
        self.received += got
        self._stream.feed(got)
        return got

    def show(self, received: str) -> None:
        """Show what comes from another program."""
        self._stream.feed(received.encode())

    @property
    def text(self) -> str:
        """What is on the screen now."""
        # Not pyte's `display`, which fails while half of a wide character is painted over.
        buffer, columns = self._screen.buffer, range(self._screen.columns)
        lines = ("".join(buffer[y][x].data for x in columns) for y in range(self._screen.lines))
        return "\n".join(line.rstrip() for line in lines)

    def until(self, happened: bytes | str | Callable[..., bool]) -> None:
        """Read until bytes have come since the last key, a text is on the screen, or something is true."""

        def is_there() -> bool:
            if callable(happened):
                return happened()
            return happened in self.received if isinstance(happened, bytes) else happened in self.text

        end = time.monotonic() + LIMIT
        while not is_there():
            assert time.monotonic() < end, f"{happened!r} never came:\n{self.text}"
            self.assert_alive()
            self.read()

    def calm(self) -> str:
        """Read until nothing more comes, and nothing is being done; what is on the screen then."""
        end = time.monotonic() + LIMIT
        before = self._worked()
        while self.read(CALM) or self._worked() > before + BUSY:
            before = self._worked()
            assert time.monotonic() < end, f"it never rests:\n{self.text}"
        return self.text

    def rest(self, seconds: float) -> None:
        """Press nothing for some seconds, and show what comes meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def _worked(self) -> float:
        """Seconds that the program has worked."""
        self.assert_alive()
        times = psutil.Process(self.program.pid).cpu_times()
        return times.user + times.system

    def assert_alive(self) -> None:
        """Fail, with where and why, if it has ended."""
        if self.status() is not None:
            while self.read():  # what it said last
                pass
            said = _ESCAPES.sub("", self.received.decode(errors="replace")).splitlines()
            places = [line.strip("│ ") for line in said if re.search(r"\.py:\d|❱|Error", line)]
            raise AssertionError("\n".join([f"it has ended: {self.status()}", *places[-60:]]))

    # ── what it is sent ──────────────────────────────────────────────────────────────────────────────────

    def press(self, keys: bytes | str) -> None:
        """Send keys in one write."""
        self.received = b""
        os.write(self.ours, keys.encode() if isinstance(keys, str) else keys)

    def click(self, column: int, line: int, times: int = 1) -> None:
        """Press and release the left button, `times` in one write."""
        place = f"0;{column + 1};{line + 1}"
        self.press(f"\x1b[<{place}M\x1b[<{place}m" * times)

    def resize(self, width: int, height: int) -> None:
        """Have the terminal say another size; the program hears of it by a signal of its own."""
        if width and height:
            self._screen.resize(height, width)
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def settings(self) -> list[object]:
        """How the terminal is set."""
        return termios.tcgetattr(self._theirs)

    def is_taken(self) -> bool:
        """Whether the program has taken the terminal: before, this acts on some keys by itself."""
        return self.settings() != self.before

    # ── its end ──────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> int | None:
        """The exit status, once it has ended."""
        if self._status is None:
            self._status = self.program.ended()
        return self._status

    def hang_up(self) -> int:
        """The line drops; the exit status."""
        self.drop()
        self._status = self.program.status()
        return self._status

    def drop(self) -> None:
        """The line drops."""
        os.close(self._theirs)
        os.close(self.ours)

    def end(self) -> int:
        """Wait for the end, reading what is said; the exit status."""
        end = time.monotonic() + LIMIT
        while (status := self.status()) is None:
            assert time.monotonic() < end, f"it does not end:\n{self.text}"
            self.read()
        while self.read():
            pass
        return status

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.status() is None:
            self.program.send(signal.SIGKILL)
            self._status = self.program.status()
