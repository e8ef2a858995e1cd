"""`lenstui train --watch`: a fit that is followed from another process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from lenstui.cli import main
from tests.programs.forked import Forked
from tests.programs.several import ended_by_themselves, start_several
from tests.programs.train_calls import text

__all__ = ["text"]


def test_a_fit_of_several_processes_is_followed_to_its_end(
    programs: Forked, tiny_folder: Path, text: Path, tmp_path: Path
) -> None:
    words = ("train", "--model", tiny_folder, "--data", text, "--seq-len", 32, "--steps", 100_000)
    fit = start_several(programs, 2, *words, "--save", tmp_path / "lens.pt")
    progress = tmp_path / "lens.progress"
    fit[0].until(progress.exists, "the progress file")
    watchers = [programs.start("train", "--watch", tmp_path / name) for name in ("lens.pt", "lens.progress")]
    for watcher in watchers:
        watcher.said("closed form")
    content = json.loads(progress.read_text())
    assert (content["version"], content["processes"], content["kind"]) == (1, 2, "tuned")
    for process in fit:
        process.send(signal.SIGINT)
    assert ended_by_themselves(fit) == [0, 0]
    for watcher in watchers:
        assert watcher.status() == 0
        lines = watcher.err.splitlines()
        assert "2 processes" in lines[0]
        assert "logit lens" in lines[1]
        assert "held-out KL" in lines[1]
        assert "--resume" in lines[-1]
        assert "Traceback" not in watcher.err
    assert {file.name for file in tmp_path.iterdir()} == {"lens.pt", "lens.checkpoint"}


def test_what_is_no_progress_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--watch", str(tmp_path / "lens.pt")]) == 1
    assert "no fit of that name is under way" in capsys.readouterr().err
    for content in ("", "[]", "{}", "\x1b[31m", "[" * 5000):
        (tmp_path / "lens.progress").write_text(content)
        assert main(["train", "--watch", str(tmp_path / "lens.pt")]) == 1
        assert capsys.readouterr().err.splitlines() == [
            f"lenstui: {tmp_path / 'lens.progress'} is no progress file of a fit."
        ]


@pytest.mark.parametrize("more", [["--steps", "3"], ["--resume", "x"], ["--model", "x"]])
def test_it_takes_no_other_fit(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", "--watch", "lens.pt", *more])
    assert left.value.code == 2
    assert f"leave {more[0]} out" in capsys.readouterr().err
