"""How wide tables are: as the terminal or `COLUMNS` says, and in a pipe or a file as wide as they take."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import termios
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.programs.calls import run, status
from tests.programs.forked import Forked

LONG = "the quick brown fox jumps over the lazy dog and sleeps"
NUMBER = r"[<±+−-]?\d[\d.]*[k%]?"
ROW = re.compile(r" *(emb|settles|\d+)  +\S")
COMMANDS = ("read", "pins", "difference", "prompts", "eval", "train")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory, neox_folder: Path) -> dict[str, Sequence[object]]:
    """The commands that print tables, each with something to show that is wider than 80 columns."""
    folder = tmp_path_factory.mktemp("texts")
    text, prompts = folder / "text.txt", folder / "prompts.jsonl"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(60)))
    sets = [
        {"prompt": LONG, "target": "x", "group": "long ones"},
        {"prompt": "", "group": "long ones"},
        {"prompt": "hi", "target": "z", "group": "short"},
    ]
    prompts.write_text("".join(f"{json.dumps(case)}\n" for case in sets))
    model = ("--model", neox_folder, "--device", "cpu")
    both = (*model, "--lens", neox_folder.parent / "mine.pt")
    read = ("read", LONG, *both)
    return {
        "read": read,
        "pins": (*read, "--pin", *"abcdefgh", "--first", "x", "--value", "rank"),
        "difference": (*read, "--diff", "--value", "kl"),
        "prompts": ("read", "--prompts", prompts, "--exact-targets", *both),
        "eval": ("eval", "--data", text, "--max-tokens", "64", *both),
        "train": ("train", "--data", text, "--steps", "2", "--save", folder / "new.pt", *model),
    }


def rows(shown: str) -> dict[str, list[str]]:
    """All numbers behind the label of a row, in the order of the page."""
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if ROW.match(line):
            label, rest = line.split(maxsplit=1)
            found.setdefault(label, []).extend(re.findall(rf"(?<!\S){NUMBER}(?!\S)", rest))
    return {label: numbers for label, numbers in found.items() if numbers}


def printed(programs: Forked, words: Sequence[object], columns: object = "") -> str:
    """What a command prints into a file that is its stdout."""
    program = programs.start(*words, environment={"COLUMNS": str(columns)})
    assert program.status() == 0, program.err
    return program.out


def too_wide(shown: str, width: int) -> list[str]:
    """The lines that are wider, but for a single word, such as a path, which is never broken."""
    return [line for line in shown.splitlines() if cell_len(line) > width and " " in line.strip()]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_row_is_wider_than_columns_and_no_number_is_lost(
    programs: Forked, calls: dict[str, Sequence[object]], command: str, columns: int
) -> None:
    narrow, whole = printed(programs, calls[command], columns), printed(programs, calls[command])
    saved = [line for line in narrow.splitlines() if line.startswith("saved ")]
    assert [line for line in too_wide(narrow, columns) if line not in saved] == []
    assert rows(narrow) == rows(whole)
    assert sum(map(len, rows(whole).values())) >= 4


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [1, 7, 20])
def test_however_narrow_it_is_numbers_are_whole(
    programs: Forked, calls: dict[str, Sequence[object]], command: str, columns: int
) -> None:
    narrow = rows(printed(programs, calls[command], columns))
    narrow.pop("settles", None)  # words, such as "logit 2", which are cut as tokens are
    whole = rows(printed(programs, calls[command]))
    whole.pop("settles", None)
    assert narrow == whole


def test_a_pipe_is_as_wide_as_it_takes(programs: Forked, calls: dict[str, Sequence[object]]) -> None:
    done = run(*map(str, calls["read"]), env={"COLUMNS": ""})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == printed(programs, calls["read"])


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_a_file_has_all_columns_side_by_side_and_nothing_is_cut(
    programs: Forked, calls: dict[str, Sequence[object]], command: str, tmp_path: Path
) -> None:
    shown = printed(programs, calls[command])
    assert printed(programs, (*calls[command], "-o", tmp_path / "out.txt")) == ""
    assert (tmp_path / "out.txt").read_text("utf-8") == shown
    assert "columns " not in shown
    assert "…" not in shown
    for bare, lines in groupby(shown.splitlines(), lambda line: not line):
        labels = [row[1] for line in lines if (row := ROW.match(line))]
        assert bare or len(labels) == len(set(labels))  # each row is on one line of a table
    if command == "prompts":
        assert f"1  {LONG}  " in shown
    elif command != "eval":
        assert max(map(cell_len, shown.splitlines())) > 200


def test_columns_that_are_no_number_are_none(neox_folder: Path, programs: Forked) -> None:
    words = ("read", LONG, "--model", neox_folder)
    assert {printed(programs, words, odd) for odd in ("0", "-5", "wide", "")} == {printed(programs, words)}


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("width", [40, 130])
@pytest.mark.parametrize("command", ["read", "prompts", "eval"])
def test_on_a_terminal_it_fits_the_terminal(
    programs: Forked,
    calls: dict[str, Sequence[object]],
    terminal: tuple[int, int],
    command: str,
    width: int,
) -> None:
    ours, theirs = terminal
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {"COLUMNS": "", "TERM": "dumb", "NO_COLOR": "1"}  # no progress, and no escapes
    program = programs.start(*calls[command], terminal=os.ttyname(theirs), environment=environment)
    received, ended = b"", None
    while ended is None or select.select([ours], [], [], 0.1)[0]:
        if select.select([ours], [], [], 0.05)[0]:
            received += os.read(ours, 1 << 16)
        ended = program.ended() if ended is None else ended
    assert ended == 0
    shown = "\n".join(
        line for line in received.decode().splitlines() if not line.startswith("lenstui: ")
    )  # what is said beside the table
    assert too_wide(shown, width) == []
    assert rows(shown) == rows(printed(programs, calls[command]))
    assert max(map(cell_len, shown.splitlines())) > width * 0.6


@pytest.mark.parametrize("columns", ["1", "40"])
def test_help_at_any_width(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in ((), ("read",), ("eval",), ("train",), ("convert",), ("paths",)):
        assert status(*command, "--help") == 0
        assert "--help" in capsys.readouterr().out
