"""A disk that takes no more: one line, the old file as it was, and nothing half there."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lenstui.lens import LensError, TunedLens, save_lens
from lenstui.support import crash_log
from tests.hostile.writers import WRITERS, contents, leaves_what_was_there
from tests.programs.calls import status

FULL = "cannot be written: File too large."  # as much as a disk that is full, for the bytes of one file
BYTES = 64


@contextmanager
def full_disk(most: int = BYTES) -> Iterator[None]:
    """Refuse bytes of a file beyond so many. Python has it that this raises, and ends nothing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_kept_stays_as_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    leaves_what_was_there(name, tmp_path, full_disk(), FULL)


def test_a_lens_that_stops_in_the_middle_of_its_numbers_says_what_the_system_says(tmp_path: Path) -> None:
    """PyTorch says `unexpected pos 17920 vs 17872`."""
    file = tmp_path / "lens.pt"
    with full_disk(30_000), pytest.raises(LensError) as caught:
        save_lens(TunedLens(torch.ones(3, 64, 64), torch.ones(3, 64)), file)
    assert str(caught.value) == f"{file} {FULL}"
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("form", ["csv", "html", "json", "md", "parquet", "svg", "txt"])
def test_an_export_says_so_and_leaves_the_old_file(
    form: str, neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if form == "svg":
        pytest.importorskip("matplotlib")
    file = tmp_path / f"readout.{form}"
    file.write_text("old")
    words = ("read", "the cat", "--model", neox_folder, "-o", file)
    with full_disk():
        assert status(*words) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"lenstui: {file} {FULL}"
    assert contents(tmp_path) == {file.name: b"old"}


def test_a_log_that_is_full_is_no_second_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with full_disk():
        for _ in range(3):
            assert "This is a defect: ValueError" in crash_log.crash_line(ValueError("x"))
