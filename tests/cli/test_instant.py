"""`lenstui read --instant`: a lens for a model that has none, made and kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lenstui.fitting import instant
from lenstui.support import paths
from tests.programs.calls import run, status


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little text, for calls in this process."""
    monkeypatch.setattr(instant, "TOKENS", (512,))


def test_it_is_made_once_and_read_through(tiny_folder: Path, tmp_path: Path) -> None:
    words = ("read", "hi", "--model", str(tiny_folder), "--format", "json", "--instant")
    done = run(*words)
    assert done.returncode == 0
    said = done.stderr.decode().splitlines()
    assert len(said) == 1
    assert said[0].startswith("lenstui: instant lens · closed form, ")
    lens = json.loads(done.stdout)["lens_files"]["tuned"]
    assert (lens["name"], lens["file"]) == ("instant", None)
    assert lens["card"]["method"] == "closed form"
    (file,) = paths.instant_lenses().iterdir()
    before = file.stat().st_mtime_ns
    again = run(*words)
    assert json.loads(again.stdout)["lenses"] == json.loads(done.stdout)["lenses"]
    assert again.stderr == done.stderr
    assert file.stat().st_mtime_ns == before


def test_none_is_read_through_unless_it_is_asked_for(
    tiny_folder: Path, few: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("read", "hi", "--model", tiny_folder, "--format", "json")
    assert status(*words, "--instant") == 0
    capsys.readouterr()
    assert status(*words) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["lens_files"], captured.err) == ({}, "")


def test_a_page_has_the_command_that_makes_it_again(
    tiny_folder: Path, few: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "hi", "--model", tiny_folder, "--format", "md", "--instant") == 0
    page = capsys.readouterr().out
    assert " --instant " in page
    assert "--lens " not in page
    assert "instant lens (closed form, 512 tokens)" in page


def test_prompt_sets_have_one_too(
    tiny_folder: Path, few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.txt").write_text("hi\nhello\n")
    words = ("read", "--prompts", tmp_path / "prompts.txt", "--model", tiny_folder, "--format", "json")
    assert status(*words, "--instant") == 0
    captured = capsys.readouterr()
    assert "instant lens" in captured.err
    assert json.loads(captured.out)["lens_files"]["tuned"]["name"] == "instant"


def test_a_lens_that_was_fitted_is_read_through_instead(
    tiny_folder: Path, few: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "hi", "--model", tiny_folder, "--instant") == 0
    (file,) = paths.instant_lenses().iterdir()
    shutil.copy(file, paths.made(paths.lenses()) / "mine.pt")
    capsys.readouterr()
    assert status("read", "hi", "--model", tiny_folder, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["lens_files"]["tuned"]["file"] == "mine.pt"


def test_where_it_cannot_be_kept_it_is_read_through_all_the_same(
    tiny_folder: Path, few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").touch()
    assert status("read", "hi", "--model", tiny_folder, "--format", "json", "--instant") == 0
    captured = capsys.readouterr()
    assert "The instant lens is not kept. The folder " in captured.err
    assert json.loads(captured.out)["lens_files"]["tuned"]["name"] == "instant"


def test_too_little_memory_is_one_clear_line(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(instant, "free_memory", lambda device: 10)
    assert status("read", "hi", "--model", tiny_folder, "--instant") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lenstui: An instant lens takes about 0.0 GB of memory, and 0.0 GB are")
