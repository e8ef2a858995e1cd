"""What the command line prints on a real terminal: names of files as they can be seen, never as they act."""

from __future__ import annotations

import os
import pty
import select
from pathlib import Path

import pytest

from tests.programs.forked import Forked
from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import Terminal


def test_the_path_of_a_lens_is_not_raw_on_a_terminal(
    programs: Forked, tiny_folder: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(100)))
    lens = tmp_path / "a\x1b]0;owned\x07b.pt"
    ours, theirs = pty.openpty()
    program = programs.start(
        *("train", "--model", tiny_folder, "--data", text, "--save", lens, "--steps", "2"),
        terminal=os.ttyname(theirs),
    )
    received, status = b"", None
    while status is None or select.select([ours], [], [], 0.1)[0]:
        if select.select([ours], [], [], 0.05)[0]:
            received += os.read(ours, 1 << 16)
        status = program.ended() if status is None else status
    assert status == 0
    assert lens.is_file()
    assert rb"a\x1b]0;owned\x07b.pt" in received[received.rindex(b"saved ") :]
    assert b"\x1b]0;" not in received
    assert b"\x07" not in received


@pytest.mark.parametrize("encoding", ["ascii", "koi8-r"])
def test_a_screen_in_another_encoding_is_refused_with_what_to_set(encoding: str, tmp_path: Path) -> None:
    """Frames and tokens would be \\u256d and its like."""
    terminal = Terminal(Fresh(), ["Hello"], tmp_path, environment={"PYTHONIOENCODING": encoding})
    assert terminal.end() == 2
    shown = terminal.text.replace("\n", "")
    assert f"the screen needs UTF-8, and the locale here has {encoding}: set LC_ALL=C.UTF-8" in shown
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8:replace"])
def test_utf_8_by_any_name_is_that(encoding: str, tmp_path: Path) -> None:
    words = ["Hello", "--model", str(tmp_path / "nowhere")]
    terminal = Terminal(Fresh(), words, tmp_path, environment={"PYTHONIOENCODING": encoding})
    try:
        terminal.until("No such folder")
    finally:
        terminal.kill()
