"""Standard streams that are closed or go elsewhere, signals at the start, terminals that do not read."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import LIMIT, QUIT, Terminal

SOON = 120.0  # seconds in which a program ends that nobody can see: it may have begun to print a readout


@pytest.fixture
def begin(tiny_model: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the program by a line of a shell."""
    started: list[Terminal] = []

    def start(shell: str, **environment: str) -> Terminal:
        words = ["Hello", "--model", str(tiny_model)]
        terminal = Terminal(Fresh(tmp_path, shell), words, tmp_path, width=120, environment=environment)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.kill()


@pytest.mark.parametrize("shell", ['exec "$@" 2>errors.txt', 'exec "$@" 2>&-'])
def test_without_standard_error_the_screen_is_on_the_terminal_all_the_same(
    begin: Callable[..., Terminal], tmp_path: Path, shell: str
) -> None:
    terminal = begin(shell)
    terminal.until("tokens · ")
    terminal.press(QUIT)
    assert terminal.end() == 0
    assert terminal.settings() == terminal.before
    assert b"\x1b[?1049l" in terminal.received
    if "errors" in shell:
        assert (tmp_path / "errors.txt").read_bytes() == b""


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TEXTUAL_COLOR_SYSTEM", "much"), ("TEXTUAL_DRIVER", "garbage"), ("TEXTUAL_DRIVER", "a:B")],
)
def test_what_textual_cannot_do_is_refused(begin: Callable[..., Terminal], variable: str, value: str) -> None:
    terminal = begin('exec "$@"', **{variable: value})
    assert terminal.end() == 2
    assert f"lenstui: {variable} is '{value}'" in terminal.text


def test_a_terminal_that_reads_nothing_is_left_by_the_guard_once_it_reads(
    begin: Callable[..., Terminal],
) -> None:
    terminal = begin('exec "$@"')
    terminal.until("tokens · ")
    terminal.calm()
    for width in [*range(90, 150)]:  # more than a terminal keeps for who does not read
        terminal.resize(width, 40)
        terminal.program.send(signal.SIGWINCH)
        time.sleep(0.03)
    terminal.program.send(signal.SIGTERM)
    end = time.monotonic() + LIMIT
    while terminal.program.ended() is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    terminal.received = b""
    while b"\x1b[?1004l" not in terminal.received:  # the last of what puts the screen away
        assert time.monotonic() < end
        terminal.read()
    assert b"\x1b[?1049l" in terminal.received
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("delay", [0.2, 0.4, 0.6, 0.8, 1.2])
def test_a_line_that_drops_unheard_at_the_start_ends_it(begin: Callable[..., Terminal], delay: float) -> None:
    terminal = begin("trap '' HUP; exec \"$@\"")
    time.sleep(delay)
    program = terminal.program
    end = time.monotonic() + SOON
    terminal.drop()
    while program.ended() is None:
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("delay", [0.15, 0.4, 0.7, 1.0, 1.5, 3.0])
def test_an_interrupt_at_the_start_is_one(begin: Callable[..., Terminal], delay: float) -> None:
    terminal = begin('exec "$@"')
    terminal.rest(delay)
    terminal.program.send(signal.SIGINT)
    assert terminal.end() in (130, -signal.SIGINT)  # the latter before a line of lenstui has run
    assert terminal.settings() == terminal.before
    assert "defect" not in terminal.text


def called(shell: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What a command says and ends with, by a line of a shell."""
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "lenstui", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", [("paths",), ("--help",), ("read", "Hi", "--demo"), ("Hi",)])
def test_a_closed_standard_output_is_said(words: tuple[str, ...]) -> None:
    done = called('exec "$@" >&-', *words)
    assert (done.returncode, done.stderr) == (1, "lenstui: Standard output is closed.\n")


def test_all_may_be_closed() -> None:
    assert called('exec "$@" <&- >&- 2>&-', "paths").returncode == 1


def test_a_closed_standard_error_hears_nothing() -> None:
    done = called('exec "$@" 2>&-', "paths")
    assert done.returncode == 0
    assert "lenses" in done.stdout


def test_a_closed_standard_input_has_no_prompt() -> None:
    done = called('exec "$@" <&-', "read", "-", "--demo")
    assert done.returncode in (0, 1, 2)
    assert "defect" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_docstrings_are_needed() -> None:
    done = called('PYTHONOPTIMIZE=2 exec "$@"', "paths")
    assert done.returncode == 1
    assert done.stderr == (
        "lenstui: transformers needs its docstrings: run lenstui without PYTHONOPTIMIZE=2 or -OO.\n"
    )


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("paths",)])
def test_a_full_disk_for_standard_output_is_said(words: tuple[str, ...]) -> None:
    done = called('unset PYTHONUNBUFFERED; exec "$@" >/dev/full', *words)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
