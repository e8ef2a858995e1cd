"""The end of the program while a lens is in training: signals and dropped lines, under a real terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lenstui.lens.checkpoint import open_checkpoint

from ..forked import Forked
from .terminal import Terminal


@pytest.fixture(scope="module", autouse=True)
def _screen_is_imported(programs: Forked) -> None:
    programs.imports("lenstui.ui.app")


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


def test_quitting_with_a_checkpoint_says_how_to_go_on(terminal: Terminal, tmp_path: Path) -> None:
    terminal.press("qq")  # out of the screen of the training, then out of Explore
    terminal.until(b"save a checkpoint")
    terminal.press(b"c")
    assert terminal.end() == 0
    assert f"lenstui train --resume {checkpoint_in(tmp_path)}".encode() in terminal.received
