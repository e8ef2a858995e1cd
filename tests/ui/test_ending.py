"""The end of the program while a lens is in training: signals and dropped lines, under a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lenstui.lens.checkpoint import open_checkpoint

LIMIT = 60.0  # seconds that anything may take on a busy machine
SYNC_QUERY, SYNC_REPLY = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
# The program is told when its line drops only if the terminal is its own.
WITH_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "lenstui", *sys.argv[1:]])
"""


class Terminal:
    """The program in a pseudo-terminal."""

    def __init__(self, arguments: list[str], data: Path) -> None:
        self.received = b""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(theirs)
        environment = {
            **os.environ,
            **{f"XDG_{kind}_HOME": str(data) for kind in ("DATA", "CONFIG", "STATE")},
            "TERM": "xterm-256color",
            "OMP_NUM_THREADS": "1",
        }
        self._theirs = theirs
        self.child = subprocess.Popen(
            [sys.executable, "-c", WITH_ITS_TERMINAL, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )

    def read(self) -> None:
        """Take what has come."""
        if select.select([self.ours], [], [], 0.05)[0]:
            got = os.read(self.ours, 1 << 20)
            if SYNC_QUERY in got:
                os.write(self.ours, SYNC_REPLY)
            self.received += got

    def until(self, text: bytes) -> None:
        """Read until something has been on the screen."""
        end = time.monotonic() + LIMIT
        while text not in self.received:
            assert time.monotonic() < end, f"{text!r} never came"
            assert self.child.poll() is None, self.received[-2000:]
            self.read()

    def press(self, keys: bytes) -> None:
        self.received = b""
        os.write(self.ours, keys)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def hang_up(self) -> None:
        """The line drops."""
        os.close(self._theirs)
        os.close(self.ours)

    def end(self) -> int:
        """Wait for the end, reading what is said; the exit status."""
        end = time.monotonic() + LIMIT
        while self.child.poll() is None:
            assert time.monotonic() < end, "it hangs"
            self.read()
        while select.select([self.ours], [], [], 0.05)[0]:
            self.received += os.read(self.ours, 1 << 20)
        return self.child.returncode


@pytest.fixture
def terminal(tiny_model: Path, tmp_path: Path) -> Iterator[Terminal]:
    """The program, with a long fit under way."""
    text = tmp_path / "stories.txt"
    text.write_text(
        "\n\n".join(f"Once upon a time there were {n} little foxes, far away." for n in range(80))
    )
    terminal = Terminal(["Hello, you", "--model", str(tiny_model)], tmp_path)
    try:
        terminal.until(b"tokens \xc2\xb7 0.")
        terminal.press(b"t")
        terminal.until(b"to fit on")
        terminal.press(b"\x1b[Z\x1b[C")  # standard: long enough
        terminal.until(b"eight times")
        terminal.press(b"\t\r")
        terminal.until(b"tokens/s")
        yield terminal
    finally:
        if terminal.child.poll() is None:
            terminal.child.kill()
            terminal.child.wait()


def checkpoint_in(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "lenstui" / "lenses").iterdir()
    assert path.name == "tiny-standard-1.checkpoint"
    assert open_checkpoint(path).state["tokens"] > 0
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_writes_a_checkpoint_and_leaves_the_terminal_sane(
    terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    assert terminal.settings() != terminal.before  # raw
    terminal.child.send_signal(number)
    assert terminal.end() == 128 + number
    path = checkpoint_in(tmp_path)
    assert f"lenstui train --resume {path}".encode() in terminal.received.replace(b"\r\n", b"\n")
    assert b"\x1b[?1049l" in terminal.received  # the screen that was there before
    assert terminal.settings() == terminal.before


def test_a_dropped_line_loses_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.hang_up()
    assert terminal.child.wait(LIMIT) == 128 + signal.SIGHUP
    checkpoint_in(tmp_path)


def test_without_a_fit_a_signal_ends_it_as_well(tiny_model: Path, tmp_path: Path) -> None:
    terminal = Terminal(["Hello, you", "--model", str(tiny_model)], tmp_path)
    terminal.until(b"tokens \xc2\xb7 0.")
    terminal.child.send_signal(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert terminal.settings() == terminal.before
    assert b"checkpoint" not in terminal.received


def test_quitting_with_a_checkpoint_says_how_to_go_on(terminal: Terminal, tmp_path: Path) -> None:
    terminal.press(b"q")
    terminal.until(b"save a checkpoint")
    terminal.press(b"c")
    assert terminal.end() == 0
    assert f"lenstui train --resume {checkpoint_in(tmp_path)}".encode() in terminal.received
