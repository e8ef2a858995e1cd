"""`--words-only`: the tokens of every form are words, and each form and its command say so."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.programs.calls import status

TEXT = "Oh, 7 dogs?"
SENTENCE = "words only: tokens without a letter or digit are left out of the tokens of a cell"


def words_of(folder: Path, *more: str) -> list[str]:
    return ["read", TEXT, "--model", str(folder), "--device", "cpu", *more]


def test_json(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for option in ((), ("--words-only",)):
        assert status(*words_of(neox_folder, "--format", "json", "--first", "a", *option)) == 0
        shown[bool(option)] = json.loads(capsys.readouterr().out)
    filtered, plain = shown[True], shown[False]
    assert (filtered["words_only"], plain["words_only"]) == (True, False)
    ours, before = filtered["lenses"]["logit"], plain["lenses"]["logit"]
    assert all(any(map(str.isalnum, token)) for row in ours["top_tokens"] for cell in row for token in cell)
    assert ours["top_ids"] != before["top_ids"]
    assert {key: numbers for key, numbers in ours.items() if not key.startswith("top_")} == {
        key: numbers for key, numbers in before.items() if not key.startswith("top_")
    }
    assert filtered["first"] == plain["first"]


def test_a_table_and_markdown(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words_of(neox_folder, "--words-only")) == 0
    table = capsys.readouterr().out
    assert table.startswith("logit lens · probability · words only\n")
    assert SENTENCE in table
    assert status(*words_of(neox_folder, "--words-only", "--format", "md")) == 0
    text = capsys.readouterr().out
    assert "**logit lens** · probability · words only\n" in text
    assert SENTENCE in text
    command = text.split("```")[1]
    assert command.count(" --words-only") == 1


@pytest.mark.parametrize("form", ["html", "svg"])
def test_figures(neox_folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert status(*words_of(neox_folder, "--words-only", "--format", form)) == 0
    filtered = capsys.readouterr().out
    assert SENTENCE in filtered
    assert "--words-only" in filtered  # in the command that makes it again
    assert status(*words_of(neox_folder, "--format", form)) == 0
    assert "words only" not in capsys.readouterr().out


def test_csv_and_parquet(neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words_of(neox_folder, "--words-only", "--format", "csv")) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {line["words_only"] for line in lines} == {"true"}
    assert all(any(map(str.isalnum, line[f"top_{k}_token"])) for line in lines for k in (1, 2, 3))
    import pyarrow.parquet as pq

    path = tmp_path / "out.parquet"
    assert status(*words_of(neox_folder, "--words-only", "-o", str(path))) == 0
    (metadata,) = (json.loads(text) for key, text in pq.read_schema(path).metadata.items() if b"lens" in key)
    assert metadata["words_only"] is True


def test_prompt_sets(neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("Oh,\nWhat?\nA dog\n")
    words = ["read", "--prompts", str(path), "--model", str(neox_folder), "--device", "cpu", "--words-only"]
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["words_only"] is True
    for case in content["cases"]:
        top = case["lenses"]["logit"]["top1_tokens"]
        assert all(any(map(str.isalnum, token)) for token in (*top, case["final_token"]))
    assert status(*words) == 0
    assert SENTENCE in capsys.readouterr().out
    assert status(*words, "--format", "md") == 0
    text = capsys.readouterr().out
    assert SENTENCE in text and " --words-only" in text.split("```")[1]
