"""`lenstui scan`: what it writes and finds, its end at any moment, and its complaints."""

from __future__ import annotations

import csv
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from lenstui.scan.folder import parts_of
from lenstui.scan.queries import queries_for
from tests.programs.calls import status
from tests.programs.eval_calls import WORDS, text
from tests.programs.forked import Forked

__all__ = ["text"]

LENGTH = 32
KILLS = 10
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Status, output and complaints of `lenstui scan` with some words."""

    def said(*words: object) -> tuple[int, str, str]:
        code = status("scan", *words)
        return code, *capsys.readouterr()

    return said


@pytest.fixture
def model(neox_folder: Path) -> tuple[object, ...]:
    """The options of a model with a tuned lens, for short blocks."""
    lens = neox_folder.parent / "mine.pt"
    return ("--model", neox_folder, "--device", "cpu", "--lens", lens, "--seq-len", LENGTH)


@pytest.fixture
def folder(said: Said, text: str, model: tuple[object, ...], tmp_path: Path) -> Path:
    """A folder with the records of the text."""
    code, out, err = said(tmp_path / "records", "--data", text, *model)
    assert (code, out) == (0, ""), err
    return tmp_path / "records"


def records(folder: Path) -> list[dict[str, Any]]:
    return list(pa.concat_tables([pq.read_table(part.path) for part in parts_of(folder)]).to_pylist())


def has_parts(folder: Path, count: int) -> Callable[[], bool]:
    """Return whether a folder has so many parts at least, as a question to be asked."""
    return lambda: sum(1 for _ in folder.glob("part-*.parquet")) >= count


# What it writes and finds.


def test_a_text_becomes_records_with_a_manifest(folder: Path) -> None:
    size = sum(len(word.encode()) + 1 for word in WORDS)  # a token is a byte, and there is an EOS
    found = records(folder)
    assert len(found) == size // LENGTH * LENGTH
    assert pq.read_table(folder).to_pylist() == found  # as pandas does it, past the manifest
    manifest = json.loads((folder / "_scan.json").read_text())
    assert manifest["finished"] is True
    assert (manifest["rows"], manifest["lenses"]) == (["emb", "0", "1"], ["logit", "tuned"])
    assert manifest["settings"]["seq_len"] == LENGTH
    assert {path.name for path in folder.iterdir()} == {"_scan.json", "part-00000000.parquet"}


@pytest.mark.parametrize("query", [query.name for query in queries_for(None, "logit")])
def test_every_query_in_every_form(said: Said, folder: Path, tmp_path: Path, query: str) -> None:
    code, out, _ = said(folder, "--query", query, "--format", "json", "--by", "logit", "--top", 3)
    found = json.loads(out)
    assert code == 0
    assert found["query"] == query
    assert found["records"] == len(records(folder))
    assert len(found["top"]) == min(3, found["matches"])
    assert sum(found["by_row"]["crystallization"]) <= found["matches"]
    table = said(folder, "--query", query, "--top", 3, "--by", "logit")[1]
    assert table.startswith(f"{found['matches']} of {found['records']} positions")
    assert f"condition: {found['condition']}" in table
    file = tmp_path / "found.csv"
    assert said(folder, "--query", query, "--by", "logit", "--top", 3, "-o", file)[0] == 0
    with file.open(newline="") as lines:
        places = [int(row["position"]) for row in csv.DictReader(lines)]
    assert places == [row["position"] for row in found["top"]]


def test_the_condition_that_is_shown_finds_the_same(said: Said, folder: Path) -> None:
    named = json.loads(said(folder, "--query", "never-settled", "--format", "json")[1])
    words = ("--where", named["condition"], "--sort", named["sort"], "--format", "json")
    own = json.loads(said(folder, *words)[1])
    assert own["matches"] == named["matches"] > 0
    assert own["top"] == named["top"]
    assert own["means"] == named["means"]


def test_a_query_and_a_condition_hold_together(said: Said, folder: Path) -> None:
    words = ("--query", "never-settled", "--where", "column < 4 or column > 30", "--format", "json")
    found = json.loads(said(folder, *words, "--top", 1000)[1])
    wanted = [
        each["position"]
        for each in records(folder)
        if each["tuned_crystallization"] == 1 and not 4 <= each["column"] <= 30
    ]
    assert sorted(row["position"] for row in found["top"]) == wanted
    assert wanted


def test_markdown_has_the_command_that_repeats_it(said: Said, folder: Path) -> None:
    words = (folder, "--query", "never-settled", "--where", 'next != "\n"', "--top", "2", "--format", "md")
    out = said(*words)[1]
    assert "| text | next | prob | rank | final |" in out
    assert f"lenstui scan {folder} --query never-settled" in out
    assert "--by tuned --top 2 --format md" in out


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_table_fits_its_line(said: Said, folder: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = said(folder, "--query", "never-settled")[1]
    lines = out.splitlines()
    (head,) = (line for line in lines if line.lstrip().startswith("at "))
    assert head.endswith(" swing" if width >= 100 else "…")
    assert all(cell_len(line) <= width for line in lines if " " in line.strip())  # a path is never broken


def test_numbers_are_those_of_the_records(said: Said, folder: Path) -> None:
    """In the fewest digits that give the float32 back."""
    found = json.loads(said(folder, "--sort", "tuned_swing desc", "--top", 5, "--format", "json")[1])["top"]
    of_position = {each["position"]: each for each in records(folder)}
    for row in found:
        for name, value in row.items():
            wanted = of_position[row["position"]][name]
            assert value == (wanted if not isinstance(wanted, float) else pytest.approx(wanted, rel=1e-7))
    assert all(len(str(row["final_prob"])) < 15 for row in found)


def test_a_text_can_be_scanned_and_searched_at_once(
    said: Said, text: str, model: tuple[object, ...], tmp_path: Path, folder: Path
) -> None:
    code, out, _ = said(tmp_path / "both", "--data", text, *model, "--query", "never-settled")
    assert code == 0
    assert out == said(folder, "--query", "never-settled")[1]


def test_the_demo_finds_what_it_knew_and_lost(said: Said, tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text("Once upon a time there was a little girl. She had a red ball and a big dog.\n\n" * 20)
    words = ("--demo", "--data", story, "--seq-len", "64", "--max-tokens", "256")
    code, out, err = said(tmp_path / "demo", *words, "--query", "known-and-lost", "--format", "json")
    assert code == 0
    assert "The text goes on: a greater --max-tokens than 256" in err
    found = json.loads(out)
    assert 0 < found["matches"] < found["records"] == 256
    for row in found["top"]:
        assert row["tuned_best_rank"] == 0 < row["next_rank"]
        assert row["tuned_best_row"] < 5


# Going on.


def test_a_scan_goes_on_with_nothing_else(
    said: Said, text: str, model: tuple[object, ...], folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    begin = (folder, "--data", text, *model)
    code, _, err = said(*begin)
    assert (code, err.count("\n")) == (1, 1)
    assert f"{folder} holds a scan already: add --resume, or name another folder." in err
    before = records(folder)
    assert "holds the whole scan already" in said(*begin, "--resume")[2]
    assert records(folder) == before
    other = tmp_path / "other.txt"
    other.write_text(Path(text).read_text() + "and more")
    for words, what in (
        ((folder, "--data", other, *model), "another text"),
        ((*begin, "--max-tokens", 999), "another number of tokens (--max-tokens) (16384, not 999)"),
        ((*begin[:-1], 16), "another length of blocks (--seq-len) (32, not 16)"),
        ((*begin, "--min-chars", 2), "another least length"),
        ((folder, "--data", text, "--model", tiny_folder, "--device", "cpu"), "another model"),
        ((folder, "--data", text, *model[:4], *model[6:]), "another lens"),
    ):
        code, out, err = said(*words, "--resume")
        assert (code, out) == (1, "")
        assert f"{folder} was scanned with {what}" in err
        assert err.count("\n") == 1
    moved = tmp_path / "moved.txt"
    Path(text).rename(moved)
    assert said(folder, "--data", moved, *model, "--resume")[0] == 0


def test_killed_at_any_moment_it_ends_with_the_same_records(
    programs: Forked, text: str, model: tuple[object, ...], tmp_path: Path
) -> None:
    Path(text).write_text("\n\n".join(WORDS * 4))
    words = ("--data", text, *model, "--resume", "--part-every", "0")
    program = programs.start("scan", tmp_path / "whole", *words)
    assert program.status() == 0, program.err
    wanted = records(tmp_path / "whole")
    assert len(parts_of(tmp_path / "whole")) > 10 * KILLS

    folder, pick, begun = tmp_path / "killed", random.Random(0), 0
    for kill in range(KILLS):
        program = programs.start("scan", folder, *words)
        if kill:  # the first comes before anything is written
            program.until(has_parts(folder, begun + pick.randrange(1, 4)), "a part more")
        time.sleep(pick.uniform(0, 0.02))
        program.send(signal.SIGKILL)
        assert program.status() == -signal.SIGKILL, program.err
        parts = parts_of(folder) if folder.exists() else []
        begun = len(parts)
        if parts:
            assert records(folder) == wanted[: parts[-1].first * LENGTH + parts[-1].records]
    program = programs.start("scan", folder, *words)
    assert program.status() == 0, program.err
    assert records(folder) == wanted
    assert {path.suffix for path in folder.iterdir()} == {".json", ".parquet"}
    assert not list(folder.glob(".*"))


def test_ctrl_c_keeps_the_blocks_that_were_read(
    programs: Forked, text: str, model: tuple[object, ...], tmp_path: Path
) -> None:
    Path(text).write_text("\n\n".join(WORDS * 40))
    folder = tmp_path / "stopped"
    words = ("scan", folder, "--data", text, *model, "--max-tokens", 100_000, "--part-every", "0")
    program = programs.start(*words)
    program.until((folder / "part-00000001.parquet").exists, "the second part")
    program.send(signal.SIGINT)
    assert program.status() == 130
    assert f"Stopped: {folder} has " in program.err
    assert "--resume goes on" in program.err
    count = len(records(folder))
    assert count >= 2 * LENGTH
    program = programs.start("scan", folder, "--format", "json")
    assert program.status() == 0, program.err
    found = json.loads(program.out)
    assert (found["records"], found["finished"]) == (count, False)


def test_two_scans_do_not_write_into_one_folder(said: Said, folder: Path) -> None:
    from lenstui.scan.folder import held
    from lenstui.support.errors import LensError

    with held(folder), pytest.raises(LensError, match="Another scan writes into"), held(folder):
        pass
    with held(folder):
        assert said(folder, "--query", "late")[0] == 0


# Complaints.


@pytest.mark.parametrize(
    ("content", "words", "what"),
    [
        ("", (), "There is no text in"),
        ("\n\n \n", (), "There is no text in"),
        ("short", (), "There is too little text for a single block"),
        ("long " * 40, ("--seq-len", "999"), "The model reads at most"),
        ("long " * 40, ("--where", "next_rnk > 0"), "there is no column next_rnk: the nearest "),
        ("long " * 40, ("--where", "next_rank >"), "The condition is wrong at the end"),
        ("long " * 40, ("--sort", "prob"), "There is no column prob to sort by: the nearest are"),
        (
            "long " * 40,
            ("--by", "jacobian"),
            "There are no records of the lens jacobian: --by logit or tuned",
        ),
    ],
)
def test_bad_input_gives_one_line_and_no_folder(
    said: Said, model: tuple[object, ...], tmp_path: Path, content: str, words: tuple[str, ...], what: str
) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(content)
    code, out, err = said(tmp_path / "new", "--data", file, *model, *words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert what in err
    assert not (tmp_path / "new").exists()


def test_a_parquet_file_with_nested_text(said: Said, model: tuple[object, ...], tmp_path: Path) -> None:
    file = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"text": [["a", "b"]], "meta": [{"text": "c"}]}), file)
    for words, holds in (((), "list"), (("--text-column", "meta"), "struct")):
        code, _, err = said(tmp_path / "new", "--data", file, *model, *words)
        assert (code, err.count("\n")) == (1, 1)
        assert f"holds {holds}<" in err
        assert "not text: name another" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "the following arguments are required: FOLDER"),
        (("x", "--query", "lost"), "invalid choice: 'lost'"),
        (("x", "--resume"), "--resume is for reading a text: name one with --data FILE"),
        (("x", "--model", "m"), "--model is for reading a text"),
        (("x", "--seq-len", "4"), "--seq-len is for reading a text"),
        (
            ("x", "--data", "t", "--max-tokens", "4", "--seq-len", "8"),
            "--seq-len 8 is more than --max-tokens 4",
        ),
        (("x", "--data", "t", "--part-every", "-1"), "must be a number of seconds from 0 on"),
        (("x", "-o", "found.png"), "the ending .png does not tell the format"),
    ],
)
def test_a_wrong_call(said: Said, words: tuple[str, ...], what: str) -> None:
    code, out, err = said(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert what in err


def test_what_is_no_folder_of_records(
    said: Said, text: str, model: tuple[object, ...], tmp_path: Path
) -> None:
    assert "There is no folder" in said(tmp_path / "none", "--query", "late")[2]
    assert "holds no scan: make one with --data FILE" in said(tmp_path, "--query", "late")[2]
    code, _, err = said(text, "--data", text, *model)
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be made a folder" in err
