"""Names of files that are no UTF-8: what can be read is read, and of the rest the name is what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.programs.calls import status

ODD = os.fsdecode(b"\xff")
UNSPELLED = "has a name that is not UTF-8, which libraries cannot open: rename it."


def test_a_lens(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, lens = tmp_path / f"{ODD}.txt", tmp_path / f"{ODD}.pt"
    text.write_text("\n\n".join(["the red car is fast and the sky is blue"] * 40))
    words = ("--model", tiny_folder, "--data", text, "--steps", "1", "--seq-len", "8", "--save", lens)
    assert status("train", *words) == 0
    assert lens.is_file()
    assert status("read", "so", "--model", tiny_folder, "--lens", lens) == 0
    assert "tuned lens" in capsys.readouterr().out


def test_a_model(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ODD).symlink_to(tiny_folder, target_is_directory=True)
    assert status("read", "so", "--model", tmp_path / ODD) == 1
    assert UNSPELLED in capsys.readouterr().err


def test_a_scan_and_parquet(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, table = tmp_path / "text.txt", tmp_path / f"{ODD}.parquet"
    text.write_text("\n\n".join(["the red car is fast and the sky is blue"] * 40))
    table.write_bytes(b"PAR1")
    assert status("scan", tmp_path / ODD, "--model", tiny_folder, "--data", text) == 1
    assert UNSPELLED in capsys.readouterr().err
    assert not (tmp_path / ODD).exists()
    assert status("eval", "--model", tiny_folder, "--data", table) == 1
    assert UNSPELLED in capsys.readouterr().err
