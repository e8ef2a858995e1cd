"""What nobody expected fails with a line, and is in a log that has nothing of what the user read."""

from __future__ import annotations

import os
import pty
import select
import termios
from pathlib import Path

import pytest

from lenstui.cli import main
from lenstui.jobs.failures import reporting
from lenstui.support import crash_log, paths
from tests.programs.own_app import start_app

COUNTS: dict[str, int] = {}
FAILING = """
class App(LenstuiApp):
    def on_ready(self):
        prompt = "my secret"
        raise ValueError(prompt)
"""


def test_a_screen_that_fails_says_so_in_a_line(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    before, received = termios.tcgetattr(theirs), b""
    with start_app(FAILING, theirs, tmp_path) as program:
        while program.poll() is None or select.select([ours], [], [], 0.05)[0]:
            if select.select([ours], [], [], 0.05)[0]:
                received += os.read(ours, 1 << 20)
    assert program.returncode == 1
    assert termios.tcgetattr(theirs) == before
    said = received[received.rindex(b"\x1b[?1049l") :]
    assert said.count(b"\n") == 1
    log = tmp_path / "lenstui" / "lenstui.log"
    assert f" {log} has more".encode() in said
    assert b"lenstui: This is a defect: ValueError" in said
    assert b"secret" not in received
    assert " on_ready: " in log.read_text()
    assert "my secret" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_command_that_fails_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: object) -> int:
        prompt = "my secret"
        try:
            return COUNTS[prompt]
        except KeyError as error:
            raise TypeError(prompt) from error

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("lenstui.cli._run", fail)
    assert main(["read", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lenstui: This is a defect: TypeError in lenstui/cli/__init__.py:")
    entry = paths.log().read_text()
    assert entry.index("KeyError") < entry.index("TypeError")  # in the order in which they happened
    assert "tests/tui/test_crash.py" in entry
    assert str(Path.home()) not in entry
    monkeypatch.setenv("LENSTUI_DEBUG", "1")
    with pytest.raises(TypeError, match="my secret"):
        main(["read", "x"])


def test_a_job_that_fails_is_in_the_log_and_a_log_that_cannot_be_written_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    said: list[str] = []
    with reporting(said.append, "Reading failed"):
        {}["x"]  # type: ignore[index]
    assert said == ["Reading failed: KeyError: 'x'"]
    assert "KeyError" in paths.log().read_text()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    assert not crash_log.note_crash(ValueError("x"))
    assert "cannot be written" in crash_log.crash_line(ValueError("x"))


def test_the_log_stays_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(crash_log, "MOST_BYTES", 1000)
    for _ in range(50):
        crash_log.note_crash(ValueError("x"))
    logs = sorted(tmp_path.rglob("*"))
    assert [log.name for log in logs if log.is_file()] == ["lenstui.log", "lenstui.log.1"]
    assert all(log.stat().st_size < 1500 for log in logs if log.is_file())


def test_memory_that_runs_out_is_no_defect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert crash_log.crash_line(MemoryError()) == "Memory ran out: free some, or take a smaller model."
    assert not paths.log().exists()
