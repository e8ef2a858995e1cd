"""What the command line prints on a real terminal: names of files as they can be seen, never as they act."""

from __future__ import annotations

import os
import pty
import select
from pathlib import Path

from tests.programs.forked import Forked


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
