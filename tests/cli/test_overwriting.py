"""No command writes over a file that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.programs.calls import status

TURNS = [{"role": "user", "content": "so it"}]


@pytest.fixture
def files(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Mapping[str, Path]:
    """A file of each kind, and a model of its own."""
    (tmp_path / "model").mkdir()
    for file in tiny_folder.iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(["the red car is fast and the sky is blue"] * 40))
    turns = tmp_path / "turns.json"
    turns.write_text(json.dumps(TURNS))
    lens = tmp_path / "lens.pt"
    words = ("--data", text, "--steps", "1", "--seq-len", "8", "--save", lens)
    assert status("train", "--model", tiny_folder, *words) == 0
    assert status("scan", tmp_path / "scanned", "--model", tiny_folder, "--data", text) == 0
    capsys.readouterr()
    return {
        "MODEL": tmp_path / "model",
        "WEIGHTS": tmp_path / "model" / "model.safetensors",
        "LENS": lens,
        "TURNS": turns,
        "TEXT": text,
        "SCAN": tmp_path / "scanned",
        "PART": next((tmp_path / "scanned").glob("*.json")),
    }


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("read so --model MODEL --format json -o WEIGHTS", "WEIGHTS"),
        ("read so --model MODEL --lens LENS --format json -o LENS", "LENS"),
        ("read so --model MODEL --against-lens LENS --diff --format json -o LENS", "LENS"),
        ("read --turns TURNS --model MODEL --format json -o TURNS", "TURNS"),
        ("eval --data TEXT --model MODEL --format json -o WEIGHTS", "WEIGHTS"),
        ("train --data TEXT --model MODEL --steps 1 --seq-len 8 --save TEXT", "TEXT"),
        ("train --data TEXT --model MODEL --steps 1 --seq-len 8 --save WEIGHTS", "WEIGHTS"),
        ("lenses --curve LENS --format csv -o LENS", "LENS"),
        ("scan SCAN --query late --format json -o PART", "PART"),
    ],
)
def test_what_a_command_reads_is_not_written_over(
    words: str, written: str, files: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = files[written]
    before = file.read_bytes()
    assert status(*(files.get(word, word) for word in words.split())) == 1
    assert capsys.readouterr().err == f"lenstui: {file} is read by this command: write to another file.\n"
    assert file.read_bytes() == before


def test_results_are_written_anew_and_beside_what_is_read(files: Mapping[str, Path]) -> None:
    words = ("read", "out.json", "--model", files["MODEL"], "--lens", files["LENS"])
    for _ in range(2):
        assert status(*words, "-o", files["LENS"].with_name("out.json")) == 0
    assert status(*words, "-o", files["MODEL"] / "new.json") == 0
