"""Folders that cannot be written, or are gone: a line says what was not written and why; nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lenstui.support import crash_log
from tests.hostile.writers import WRITERS, contents, leaves_what_was_there
from tests.programs.calls import status
from tests.programs.fake_hub import own_cache
from tests.programs.lens_hub import LensHub, fill, lens_hub
from tests.programs.permissions import read_only

__all__ = ["lens_hub", "own_cache"]

REFUSED = "Permission denied."


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_kept_stays_as_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    leaves_what_was_there(name, tmp_path, read_only(tmp_path), f"cannot be written: {REFUSED}")


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_was_deleted_is_made_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write, folder = WRITERS[name], tmp_path / "state" / "kept"
    folder.mkdir(parents=True)
    write(folder, 1)
    shutil.rmtree(tmp_path / "state")
    write(folder, 2)
    assert contents(tmp_path) != {}


@pytest.fixture
def here(neox_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text, that all kinds of folders of the user's are in, and a model beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    for kind in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(folder))
    monkeypatch.chdir(folder)
    text = "\n\n".join(f"the cat number {number} sat on the mat" for number in range(60))
    (folder / "text.txt").write_text(text)
    shutil.copy(neox_folder.parent / "mine.pt", folder / "lens.pt")
    return folder


# Each writes a file, or begins a folder; what comes of it where nothing may be written.
COMMANDS = {
    "read": (["read", "the cat", "-o", "a.csv"], 1, "a.csv may not be written: "),
    "read figure": (["read", "the cat", "-o", "a.html"], 1, "a.html may not be written: "),
    "why": (["why", "the cat", "-o", "a.md"], 1, "a.md may not be written: "),
    "trace": (["trace", "the cat", "a dog", "-o", "a.json"], 1, "a.json may not be written: "),
    "eval": (
        ["eval", "--data", "text.txt", "--seq-len", "16", "-o", "a.csv"],
        1,
        "a.csv may not be written: ",
    ),
    "evaluation": (
        ["eval", "--data", "text.txt", "--seq-len", "16"],
        0,
        "evaluations.json cannot be written: ",
    ),
    "train": (
        ["train", "--data", "text.txt", "--steps", "2", "--save", "new.pt"],
        1,
        "new.pt may not be written: ",
    ),
    "train unnamed": (
        ["train", "--data", "text.txt", "--steps", "2"],
        1,
        "cannot be made (Permission denied)",
    ),
    "scan": (
        ["scan", "records", "--data", "text.txt", "--seq-len", "16"],
        1,
        "records cannot be made a folder: ",
    ),
    "convert": (["convert", "lens.pt", "other.pt"], 1, "other.pt cannot be written: "),
    "convert folder": (["convert", "lens.pt", "folder/"], 1, "cannot be written: "),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_could_not_write(
    name: str, here: Path, neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected, says = COMMANDS[name]
    model = [] if words[0] == "convert" else ["--model", neox_folder]
    before = contents(here)
    with read_only(here):
        given = status(*words, *model, *(["--lens", "lens.pt"] if words[0] == "eval" else []))
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if says in line]) == 1, said
    assert given == expected
    assert contents(here) == before
    assert "defect" not in "".join(said)


def test_a_scan_goes_on_once_its_folder_can_be_written_again(
    here: Path, neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("scan", "records", "--data", "text.txt", "--seq-len", 16, "--model", neox_folder)
    assert status(*words, "--max-tokens", 160) == 0
    before = contents(here)
    with read_only(here):
        assert status(*words, "--max-tokens", 160, "--resume") in {0, 1}
    assert "defect" not in capsys.readouterr().err
    assert contents(here) == before


def test_a_log_that_cannot_be_written_is_no_second_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with read_only(tmp_path):
        assert crash_log.crash_line(ValueError("x")).endswith("lenstui.log cannot be written.")
    assert contents(tmp_path) == {}


def test_a_lens_of_the_hub_that_cannot_be_written(
    neox_folder: Path,
    own_cache: None,
    lens_hub: LensHub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = tmp_path / "Tiny-1.5-Instruct"
    named.symlink_to(neox_folder)
    fill(lens_hub, f"acme/{named.name}", 2, 32)
    cache = tmp_path / "hf"
    (cache / "hub").mkdir(parents=True)
    words = ("lenses", "--hub", "--model", named, "--get", "lens_n1000")
    with read_only(cache):
        assert status(*words) == 1
    said = capsys.readouterr().err.splitlines()  # of the list, which keeps small files, and of the lens
    assert {*said} == {f"lenstui: {cache / 'hub'} cannot be written: set HF_HOME to a folder of your own."}
    assert contents(cache) == {}
    assert status(*words) == 0
