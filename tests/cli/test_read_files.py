"""`lenstui read` into files: CSV, Parquet and pages say what the JSON says."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.programs.calls import run, status
from tests.programs.forked import Forked
from tests.tiny.folders import CONTEXT


def test_csv_and_parquet_say_what_json_says(
    neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "read",
        "hi you",
        "--model",
        str(neox_folder),
        "--lens",
        str(neox_folder.parent / "mine.pt"),
        "--pin",
        "z",
    )
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert status(*words, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(lines) == 2 * len(content["rows"]) * len(content["tokens"])
    rows = pq.read_table(written(tmp_path / "out.parquet", *words)).to_pylist()
    for line, row in zip(lines, rows, strict=True):
        column, index = int(line["column"]), int(line["row_index"])
        lens = content["lenses"][line["lens"]]
        assert (line["row"], line["token"]) == (content["rows"][index], content["tokens"][column])
        assert line["prompt"] == row["prompt"] == "hi you"
        assert row["top_3_token"] == line["top_3_token"] == lens["top_tokens"][index][column][2]
        assert float(line["kl"]) == lens["kl"][index][column]
        assert row["kl"] == pytest.approx(lens["kl"][index][column], rel=1e-6)
        pin = content["pins"][0]
        assert (line["pin_1_word"], int(line["pin_1_id"])) == ("z", pin["id"])
        assert row["pin_1_rank"] == int(line["pin_1_rank"]) == pin[line["lens"]]["rank"][index][column]


def test_csv_holds_the_prompt_and_shows_it_escaped(
    neox_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for prompt in ("a\n\x1b[2Jb", "a\\n\x1b[2Jb"):
        words = ("read", prompt, "--model", str(neox_folder), "--format", "csv", "--rows", "last")
        assert status(*words) == 0
        piped = capsys.readouterr().out
        assert next(csv.DictReader(io.StringIO(piped, newline="")))["prompt"] == prompt
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            assert status(*words) == 0
        shown = capsys.readouterr().out
        assert shown.replace("\n", "").isprintable()
        found.append(next(csv.DictReader(io.StringIO(shown, newline="")))["prompt"])
    assert found == ["a\n\\x1b[2Jb", "a\\n\\x1b[2Jb"], "which are told apart there too"


def written(file: Path, *words: str) -> Path:
    """The file, its form told by its ending."""
    assert status(*words, "-o", str(file)) == 0
    names = {file.name, *([f"{file.name}.txt"] if file.suffix == ".svg" else [])}  # a figure has a caption
    assert {path.name for path in file.parent.iterdir()} == names, "nothing else is left behind"
    return file


def test_parquet_through_a_pipe_but_not_to_a_terminal(
    neox_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("read", "hi", "--model", str(neox_folder), "--format", "parquet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 3 * 2
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert status("read", "hi", "--model", str(neox_folder), "--format", "parquet") == 2
    assert "parquet is nothing for a terminal: name a file with -o" in capsys.readouterr().err


def test_what_the_model_says_is_read_too(neox_folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import GPTNeoXForCausalLM

    for name in "abc":
        (tmp_path / name).mkdir()
    page = written(tmp_path / "a" / "a.json", "read", "hi", "--model", str(neox_folder), "--append", "4")
    content = json.loads(page.read_text("utf-8"))
    model, ids = GPTNeoXForCausalLM.from_pretrained(neox_folder).eval(), content["token_ids"]
    assert len(ids) == 2 + 4
    assert content["appended"] == 4
    for end in range(2, len(ids)):
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:end]])).logits[0, -1]
        assert int(logits.argmax()) == ids[end]
    assert content["prompt"].startswith("hi")
    assert [row[-1] for row in content["lenses"]["logit"]["next_rank"]] == [None] * 3

    figure = written(
        tmp_path / "b" / "a.svg", "read", "hi", "--model", str(neox_folder), "--append", "4"
    ).read_text("utf-8")
    assert "lenstui read -p hi --append 4 --model" in html.unescape(figure)
    full = written(
        tmp_path / "c" / "b.json", "read", "h" * (CONTEXT - 1), "--model", str(neox_folder), "--append", "4"
    )
    whole = json.loads(full.read_text("utf-8"))
    assert (len(whole["token_ids"]), whole["appended"]) == (CONTEXT, 1)


@pytest.mark.parametrize(
    ("prompt", "appended", "said"),
    [
        (
            "h" * (CONTEXT - 1),
            1,
            "lenstui: --append 4 appended 1 token: the context of 96 columns is full.\n",
        ),
        ("h" * CONTEXT, 0, "lenstui: --append 4 appended no tokens: the context of 96 columns is full.\n"),
        ("hi", 4, ""),
    ],
)
def test_fewer_tokens_than_were_asked_for_are_told(
    neox_folder: Path, capsys: pytest.CaptureFixture[str], prompt: str, appended: int, said: str
) -> None:
    words = (prompt, "--model", str(neox_folder), "--append", "4")
    assert status("read", *words, "--lenses", "logit", "--format", "json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["appended"] == appended
    assert err == said


def test_a_text_that_ends_early_is_told(
    neox_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import lenstui.readout.generation

    monkeypatch.setattr(lenstui.readout.generation, "generate", lambda *_, **how: iter([40, 1]))
    words = ("hi", "--model", str(neox_folder), "--append", "4")
    assert status("read", *words, "--lenses", "logit", "--format", "json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["appended"] == 2
    assert err == "lenstui: --append 4 appended 2 tokens: the text ends with <eos>.\n"


def test_the_difference_in_files(
    neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "read",
        "hi",
        "--model",
        str(neox_folder),
        "--lens",
        str(neox_folder.parent / "mine.pt"),
        "--diff",
    )
    for form in ("html", "svg", "md"):
        file = tmp_path / f"out.{form}"
        assert status(*words, "--value", "entropy", "-o", str(file)) == 0
        text = file.read_text()
        assert "tuned lens − logit lens" in text.lower()
        assert "--diff --value entropy" in text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("ending", ["md", "svg", "html"])
def test_the_command_in_a_page_makes_it_again(
    ending: str, neox_folder: Path, programs: Forked, tmp_path: Path
) -> None:
    """Found in the page, its words taken from it by a shell, it writes the same page."""
    lens, prompt = neox_folder.parent / "mine.pt", "it's |\n`$x`"
    (tmp_path / "first").mkdir()
    first = written(
        *(
            tmp_path / "first" / f"page.{ending}",
            "read",
            prompt,
            "--model",
            str(neox_folder),
            "--lens",
            str(lens),
        ),
        *("--rows", "emb-0,last", "--bos", "--no-final-norm", "--sublayers"),
        *(["--value", "kl", "--pin", "z"] if ending != "svg" else ["--value", "pin-diff", "--pin", "z", "q"]),
    ).read_text("utf-8")
    (command,) = re.findall(r"lenstui read -p .*?page\.\w+", html.unescape(first))
    shell = subprocess.run(
        ["bash", "-c", 'lenstui() { printf "%s\\0" "$@"; }\n' + command],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    again = programs.start(*shell.stdout.decode().split("\0")[:-1], cwd=tmp_path)
    assert again.status() == 0, again.err
    assert (tmp_path / f"page.{ending}").read_text("utf-8") == first


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(
    neox_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Iterator[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    from lenstui.export import csv_text

    file, link = tmp_path / "out.csv", tmp_path / "link.csv"
    file.write_text("old")
    link.symlink_to(file)
    with monkeypatch.context() as patch:
        patch.setattr(csv_text, "csv_text", broken)
        assert status("read", "x", "--model", str(neox_folder), "-o", str(link)) == 1
    assert f"{link} cannot be written: No space left on device." in capsys.readouterr().err
    assert file.read_text() == "old"
    assert status("read", "x", "--model", str(neox_folder), "-o", str(link)) == 0
    assert link.is_symlink() and file.read_text().startswith("lens,row,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "out.csv"]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is no /dev/null here")
def test_a_device_is_written_as_it_is(neox_folder: Path) -> None:
    assert status("read", "x", "--model", str(neox_folder), "--format", "csv", "-o", "/dev/null") == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(neox_folder: Path, tmp_path: Path, capsys: Any) -> None:
    tmp_path.chmod(0o555)
    assert status("read", "x", "--model", str(neox_folder), "-o", str(tmp_path / "x.csv")) == 1
    assert "x.csv may not be written: choose another folder." in capsys.readouterr().err
