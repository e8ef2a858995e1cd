from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from lenstui.export.command import command_text

WORDS = [
    *("lenstui", "read", "-p", "", "--rows=emb,0-3"),
    "a'b \\ \x1b[2J\nzwölf\x01f\u202e日本$HOME`x`",
    "\U000e0041",
]


def test_plain_words_stay_plain() -> None:
    assert command_text(["lenstui", "read", "The sky", "--top-k", "3"]) == "lenstui read 'The sky' --top-k 3"


def test_it_is_one_line_that_moves_no_cursor() -> None:
    assert command_text(WORDS).isprintable()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_reads_the_words_back() -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command_text(WORDS)}"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.decode().split("\0")[:-1] == WORDS
