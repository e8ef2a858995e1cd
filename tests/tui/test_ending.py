"""The end of the program while a lens is in training: signals and dropped lines, under a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lenstui.fitting.checkpoint import open_checkpoint
from tests.programs.forked import Forked
from tests.programs.own_app import start_app
from tests.programs.pty_terminal import Terminal

LIMIT = 60.0  # seconds that anything may take on a busy machine


@pytest.fixture(scope="module", autouse=True)
def _screen_is_imported(programs: Forked) -> None:
    programs.imports("lenstui.tui.app")


@pytest.fixture
def terminal(programs: Forked, tiny_model: Path, tmp_path: Path) -> Iterator[Terminal]:
    """The program, with a long fit under way."""
    text = tmp_path / "stories.txt"
    text.write_text(
        "\n\n".join(f"Once upon a time there were {n} little foxes, far away." for n in range(24))
    )
    terminal = Terminal(programs, ["Hello, you", "--model", str(tiny_model)], tmp_path)
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
        terminal.kill()


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
    terminal.program.send(number)
    assert terminal.end() == 128 + number
    path = checkpoint_in(tmp_path)
    assert f"lenstui train --resume {path}".encode() in terminal.received.replace(b"\r\n", b"\n")
    assert b"\x1b[?1049l" in terminal.received  # the screen that was there before
    assert terminal.settings() == terminal.before


def test_a_dropped_line_loses_nothing(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.hang_up() == 128 + signal.SIGHUP
    checkpoint_in(tmp_path)


def test_without_a_fit_a_signal_ends_it_as_well(programs: Forked, tiny_model: Path, tmp_path: Path) -> None:
    terminal = Terminal(programs, ["Hello, you", "--model", str(tiny_model)], tmp_path)
    terminal.until(b"tokens \xc2\xb7 0.")
    terminal.program.send(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert terminal.settings() == terminal.before
    assert b"checkpoint" not in terminal.received


def test_ctrl_z_gives_the_terminal_to_the_shell_and_all_is_painted_again(
    programs: Forked, tiny_model: Path, tmp_path: Path
) -> None:
    terminal = Terminal(programs, ["Hello, you", "--model", str(tiny_model)], tmp_path)
    try:
        terminal.until(b"tokens \xc2\xb7 0.")
        terminal.press("\x1b")  # the greeting goes with the first key
        shown, raw = terminal.calm(), terminal.settings()
        process = psutil.Process(terminal.program.pid)
        for number in (signal.SIGTSTP, signal.SIGSTOP):
            if number == signal.SIGTSTP:
                terminal.press("\x1a")
            else:  # it cannot hear this one
                terminal.program.send(number)
            terminal.until(lambda: process.status() == psutil.STATUS_STOPPED)
            while terminal.read():
                pass
            if number == signal.SIGTSTP:
                assert terminal.settings() == terminal.before
                assert b"\x1b[?1049l" in terminal.received
                assert b"\x1b[?25h" in terminal.received
            terminal.show("\x1b[0m\x1b[H\x1b[2Jshell$ fg")
            terminal.program.send(signal.SIGCONT)
            terminal.until(lambda: terminal.text == shown)
            assert terminal.calm() == shown
            assert terminal.settings() == raw
    finally:
        terminal.kill()


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_where_the_size_is_not_known_it_rests_and_ends(
    programs: Forked, tiny_model: Path, tmp_path: Path, term: str
) -> None:
    words = ["Hello, you", "--model", str(tiny_model)]
    terminal = Terminal(programs, words, tmp_path, has_size=False, environment={"TERM": term})
    try:
        terminal.until(b"tokens \xc2\xb7 0.")
        terminal.calm()  # it repainted without end
        terminal.resize(60, 20)
        terminal.program.send(signal.SIGWINCH)
        terminal.until(b"\x1b[20;1H")
        terminal.calm()
        terminal.program.send(signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
        assert terminal.settings() == terminal.before
    finally:
        terminal.kill()


STUCK = """
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it

class App(LenstuiApp):
    def on_ready(self):
        print("stuck", file=open({mark!r}, "w"), flush=True)
        while True:
            time.sleep(1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_screen_that_is_stuck_leaves_the_terminal_sane_too(tmp_path: Path, number: signal.Signals) -> None:
    """As one is that shows at length how it failed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before, mark, received = termios.tcgetattr(theirs), tmp_path / "stuck", b""
    with start_app(STUCK.format(mark=str(mark)), theirs, tmp_path) as program:
        try:
            end = time.monotonic() + LIMIT
            while program.poll() is None:
                assert time.monotonic() < end, "it hangs"
                if select.select([ours], [], [], 0.05)[0]:
                    received += os.read(ours, 1 << 20)
                if mark.exists() and mark.read_text() and termios.tcgetattr(theirs) != before:
                    program.send_signal(number)
                    mark.write_text("")
        finally:
            program.kill()
    while select.select([ours], [], [], 0.05)[0]:
        received += os.read(ours, 1 << 20)
    assert program.returncode == 128 + number
    assert termios.tcgetattr(theirs) == before
    for on, off in (
        (b"\x1b[?1049h", b"\x1b[?1049l"),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?1003h", b"\x1b[?1003l"),
    ):
        assert 0 <= received.rindex(on) < received.rindex(off)


UNHEARD = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does

class App(LenstuiApp):
    def on_ready(self):
        print("begun", file=open({mark!r}, "w"), flush=True)
"""


def test_a_line_that_drops_unheard_ends_it(tmp_path: Path) -> None:
    """It stayed for ever, and took half of a processor to read nothing."""
    ours, theirs = pty.openpty()
    mark = tmp_path / "begun"
    with start_app(UNHEARD.format(mark=str(mark)), theirs, tmp_path) as program:
        try:
            end = time.monotonic() + LIMIT
            while not mark.exists():
                assert time.monotonic() < end, "it does not begin"
                if select.select([ours], [], [], 0.05)[0]:
                    os.read(ours, 1 << 20)
            os.close(theirs)
            os.close(ours)
            assert program.wait(LIMIT) == 128 + signal.SIGHUP
        finally:
            program.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS])
def test_a_program_that_is_killed_leaves_the_terminal_sane_too(
    programs: Forked, tiny_model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    terminal = Terminal(programs, ["Hello, you", "--model", str(tiny_model)], tmp_path)
    terminal.until(b"tokens \xc2\xb7 0.")
    program = psutil.Process(terminal.program.pid)
    terminal.until(lambda: len(program.children()) == 1)
    (guard,) = program.children()
    terminal.program.send(number)
    assert terminal.end() == -number
    guard.wait(LIMIT)
    while terminal.read():
        pass
    assert terminal.settings() == terminal.before
    for on, off in ((b"?1049h", b"?1049l"), (b"?25l", b"?25h"), (b"?1003h", b"?1003l")):
        assert 0 <= terminal.received.rindex(on) < terminal.received.rindex(off)


def test_quitting_with_a_checkpoint_says_how_to_go_on(terminal: Terminal, tmp_path: Path) -> None:
    terminal.press("qq")  # out of the screen of the training, then out of Explore
    terminal.until(b"save a checkpoint")
    terminal.press(b"c")
    assert terminal.end() == 0
    assert f"lenstui train --resume {checkpoint_in(tmp_path)}".encode() in terminal.received
