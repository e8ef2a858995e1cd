"""`lenstui read --prompts`: what it prints, what it refuses, and that its numbers are the model's own."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lenstui import __version__
from lenstui.lens import TunedLens, save_lens
from tests.programs.calls import status
from tests.programs.forked import Forked

HOSTILE = "\x1b[2J|`<b>\u202e and\n"
CASES: list[dict[str, Any]] = [
    {"prompt": "the cat sat on ", "target": "t", "group": "cats"},
    {"prompt": "2 + 2 = ", "target": 4, "group": "sums"},
    {"prompt": "1 + 2 = ", "target": "3", "group": "sums"},
    {"prompt": HOSTILE, "target": "zebra", "group": "\x1b|"},
    {"prompt": "no target"},
    {"prompt": "", "target": "x"},
    {"promt": "typo"},
]


@pytest.fixture(scope="module")
def words(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """`read` with a file of cases, the tiny model and a random tuned lens."""
    folder = tmp_path_factory.mktemp("prompts")
    lens = TunedLens(torch.randn(2, 16, 16) / 20, torch.randn(2, 16) / 20)
    save_lens(lens, folder / "mine.pt")
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in CASES), encoding="utf-8")
    return "read", "--prompts", file, "--model", tiny_folder, "--device", "cpu", "--lens", folder / "mine.pt"


@pytest.fixture
def printed(words: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What goes to stdout for further words."""

    def printed(*more: object) -> str:
        assert status(*words, *more) == 0
        return capsys.readouterr().out

    return printed


def test_json(printed: Callable[..., str], tiny_folder: Path, words: tuple[object, ...]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    content = json.loads(printed("--format", "json"))
    assert (content["version"], content["lenstui"], content["lens"]) == (1, __version__, "mine.pt")
    assert (content["model"], content["prompts"]) == (str(tiny_folder), str(words[2]))
    assert (content["rows"], content["skipped"]) == (["emb", "0", "1"], 1)
    assert [case["error"] for case in content["cases"]] == [None] * 5 + ["The prompt is empty."]
    assert [case["group"] for case in content["cases"]][3:5] == ["\x1b|", None]
    assert (content["means"]["n"], content["means"]["n_target"]) == (5, 4)
    assert {name: group["n"] for name, group in content["groups"].items()} == {
        "cats": 1,
        "sums": 2,
        "\x1b|": 1,
    }

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    module = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    probs = []
    for case in content["cases"][:5]:
        with torch.no_grad():
            logits = module(torch.tensor([tokenizer(case["prompt"])["input_ids"]])).logits[0, -1].double()
        own = logits.softmax(-1)
        assert case["final_id"] == int(own.argmax())
        assert case["final_prob"] == pytest.approx(float(own.max()), rel=1e-4)
        assert case["lenses"].pop("jacobian") is None
        for lens in case["lenses"].values():
            assert lens["kl"][-1] == 0
            if case["target"] is None:
                assert lens["target_prob"] == lens["target_rank"] == [None] * 3
                assert lens["target_word_logprob"] is case["target_ids"] is None
                continue
            target = tokenizer(case["target"])["input_ids"][0]
            assert case["target_id"] == target
            assert case["target_whole"] is (len(case["target"]) == 1)
            assert lens["target_prob"][-1] == pytest.approx(float(own[target]), rel=1e-4)
            assert lens["target_rank"][-1] == int((logits > logits[target]).sum())
            assert case["target_ids"] == tokenizer(case["target"])["input_ids"]
            ids = tokenizer(case["prompt"])["input_ids"] + case["target_ids"]
            with torch.no_grad():
                of_all = module(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            count = len(case["target_ids"])
            own_sum = sum(float(of_all[place - 1, ids[place]]) for place in range(len(ids) - count, len(ids)))
            assert lens["target_word_logprob"][-1] == pytest.approx(own_sum, rel=1e-4)
            assert len(lens["target_word_logprob"]) == 3
            probs.append(float(own[target]))
    sums = content["groups"]["sums"]["lenses"]["tuned"]["target_prob"]
    assert sums["mean"][-1] == pytest.approx(np.mean(probs[2:6]), rel=1e-4)
    assert sums["sem"][-1] == pytest.approx(np.std(probs[2:6:2], ddof=1) / np.sqrt(2), rel=1e-3)
    assert content["groups"]["cats"]["lenses"]["logit"]["kl"]["sem"] == [None] * 3


@pytest.mark.parametrize("more", [("--stride", "2"), ("--rows", "last")])
def test_with_some_rows_nothing_settles(printed: Callable[..., str], tmp_path: Path, more: Any) -> None:
    whole, content = (json.loads(printed("--format", "json", *words)) for words in ((), more))
    for all_rows, some in zip(whole["cases"][:5], content["cases"][:5], strict=True):
        for name in ("logit", "tuned"):
            assert all_rows["lenses"][name]["crystallization"] in whole["rows"]
            assert some["lenses"][name]["crystallization"] is None
            assert some["lenses"][name]["kl"][-1] == all_rows["lenses"][name]["kl"][-1] == 0
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv", *more))))
    assert {line["crystallization"] for line in lines} == {""}
    printed("-o", tmp_path / "out.parquet", *more)
    assert set(pq.read_table(tmp_path / "out.parquet")["crystallization"].to_pylist()) == {None}
    cases, _, means = printed(*more).partition("probability and rank are final")
    assert sum("  –      –" in line for line in cases.splitlines()) == 5
    assert means.split("\n")[0].endswith("–: known only with all rows read")
    assert "  –      –" not in printed().partition("logit lens")[0]
    markdown = printed("--format", "md", *more)
    heads, *cells = [line.split(" | ") for line in markdown.splitlines() if line.startswith("|")]
    columns = [at for at, head in enumerate(heads) if head.startswith("settles")]
    assert len(columns) == 2
    of_cases = [row for row in cells if len(row) == len(heads) and row[0].strip("| ") in set("12345")]
    settles = [[row[at] for at in columns] for row in of_cases]
    assert settles == [["–", "–"]] * 5


def test_csv_and_parquet_say_what_json_says(printed: Callable[..., str], words: Any, tmp_path: Path) -> None:
    content = json.loads(printed("--format", "json"))
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv"), newline="")))
    file = tmp_path / "out.parquet"
    printed("-o", file)
    table = pq.read_table(file)
    rows = table.to_pylist()
    wanted = [
        (case, name, row)
        for case in content["cases"]
        if case["error"] is None
        for name in ("logit", "tuned")
        for row in range(3)
    ]
    assert len(rows) == len(lines) == len(wanted) == 5 * 2 * 3
    for (case, name, row), flat, line in zip(wanted, rows, lines, strict=True):
        lens = case["lenses"][name]
        found = {
            "case": case["number"],
            "lens": name,
            "row": content["rows"][row],
            "row_index": row,
            "prompt": case["prompt"],
            "group": case["group"],
            "target": case["target"],
            "target_id": case["target_id"],
            "target_whole": None if case["target_whole"] is None else int(case["target_whole"]),
            "final_token": case["final_token"],
            "crystallization": lens["crystallization"],
            "top_1_id": lens["top1_ids"][row],
            "target_rank": lens["target_rank"][row],
        }
        for key, value in found.items():
            assert flat[key] == value, key
            assert line[key] == ("" if value is None else str(value)), key
        for key in ("entropy", "kl", "target_logprob", "target_prob"):
            assert flat[key] == pytest.approx(lens[key][row]), key
            assert line[key] == "" if lens[key][row] is None else float(line[key]) == lens[key][row]
        assert (line["prompts"], line["lens_file"]) == (str(words[2]), "mine.pt")
    source = json.loads(table.schema.metadata[b"lenstui"])
    assert source["prompts"] == str(words[2])
    assert source["skipped"] == 1


def test_a_terminal_gets_no_raw_control_character(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = printed("--format", "csv")
    assert HOSTILE in piped
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = printed("--format", "csv")
    assert shown.replace("\n", "").isprintable()
    assert shown == "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in piped)


def test_the_table(words: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert status(*words) == 0
    out, err = capsys.readouterr()
    assert all(line.isprintable() and len(line) <= 120 for line in out.splitlines()[:-2])
    lines = out.splitlines()
    assert [line for line in lines if line in {"cats", "sums", "\\x1b|"}] == ["cats", "sums", "\\x1b|"]
    (zebra,) = [line for line in lines if " z… " in line]
    assert zebra.startswith("4  \\x1b[2J|`<b>\\u202e and\\n ")
    assert any(line.split(maxsplit=1) == ["6", "The prompt is empty."] for line in lines)
    assert "logit lens · probability of the target" in out
    assert "cats (1)" in out and "all (4)" in out
    assert " ".join(lines).endswith(f"tuned lens mine.pt · prompts {words[2]}")
    assert "Skipped 1 line without a prompt: cases.jsonl line 7 (it has promt)." in err
    assert "1 of 6 prompts cannot be read: line 6: The prompt is empty." in err
    assert "The target of 1 of 6 prompts is several tokens: the first of them is followed" in err


def test_values_rows_and_lenses(printed: Callable[..., str]) -> None:
    shown = printed("--value", "kl", "--rows", "emb", "--lenses", "tuned")
    assert "tuned lens · KL from final" in shown
    assert "logit lens" not in shown
    labels = [line.split()[0] for line in shown.partition("nats\n")[2].splitlines()[1:3]]
    assert labels == ["1", "emb"]
    assert "rank of the target, median" in printed("--value", "rank")


def test_without_targets_it_is_kl(tiny_folder: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("one\n\ntwo\n")
    assert status("read", "--prompts", file, "--model", tiny_folder) == 0
    out, _ = capsys.readouterr()
    assert "logit lens · KL from final" in out
    assert "target" not in out.splitlines()[0]
    assert "all (2)" in out


def test_markdown_has_the_command_that_makes_it_again(
    printed: Callable[..., str], words: Any, capsys: Any
) -> None:
    import shlex

    shown = printed("--format", "md", "--rows", "emb,last", "--exact-targets")
    assert "**<code>&#92;x1b&#124;</code>**" in shown
    assert f"prompts `{words[2]}`" in shown
    (command,) = [line for line in shown.splitlines() if line.startswith("lenstui ")]
    assert status(*shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_table_from_standard_input(tiny_folder: Path, name: str) -> None:
    """In a process of its own, since `/dev/stdin` is the file descriptor."""
    import subprocess
    import sys

    words = ["read", "--prompts", name, "--model", str(tiny_folder), "--format", "json", "--exact-targets"]
    run = [sys.executable, "-m", "lenstui", *words]
    for text in ("prompt,target\nthe sky,blue\n", "target\tprompt\nblue\tthe sky\n"):
        done = subprocess.run(run, input=text, capture_output=True, text=True, check=True)
        (case,) = json.loads(done.stdout)["cases"]
        assert (case["prompt"], case["target"]) == ("the sky", "blue")
    ragged = subprocess.run(run, input="prompt,target\na\n", capture_output=True, text=True, check=False)
    assert ragged.returncode == 1 and ragged.stdout == ""
    assert ragged.stderr.count("\n") == 1 and "has 1 column, and the first line has 2" in ragged.stderr


def test_standard_input(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for text in ("the sky\tblue\n", '{"q": "the sky", "target": "blue"}\n'):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        more = ("--prompt-column", "q") if "{" in text else ()
        words = ("--model", tiny_folder, "--format", "json", "--exact-targets")  # a space is a token here
        assert status("read", "--prompts", "-", *words, *more) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["prompts"] == "standard input"
        assert [(case["prompt"], case["target"]) for case in content["cases"]] == [("the sky", "blue")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["x"], "a PROMPT and --prompts are given"),
        (["-p", "x"], "a PROMPT and --prompts are given"),
        (["--pin", "x"], "--pin is not for --prompts"),
        (["--diff"], "--diff is not for --prompts"),
        (["--top-k", "2"], "--top-k is not for --prompts"),
        (["--format", "html"], "html is not for --prompts: add --format table or"),
        (["-o", "x.svg", "--figure", "grid"], "--figure is of one prompt"),
        (["--lenses", "logit", "--lens", "x"], "--lens is of no use"),
        (["--first", "x"], "--first is not for --prompts"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], complaint: str, capsys: Any) -> None:
    assert status("read", "--prompts", "cases.jsonl", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--prompts", ""], 2, "--prompts names no file"),
        (["--prompts", "examples", "--target-column", "x"], 2, "the examples have their columns"),
        (["x", "--target-column", "y"], 2, "--target-column needs --prompts"),
        (["x", "--exact-targets"], 2, "--exact-targets needs --prompts"),
        (["--prompts", "missing.txt"], 1, "There is no file missing.txt."),
        (["--prompts", "examples", "-o", "no/such/out.csv"], 1, "There is no folder no/such"),
    ],
)
def test_what_else_is_refused(words: list[str], code: int, complaint: str, capsys: Any) -> None:
    assert status("read", *words) == code
    out, err = capsys.readouterr()
    assert out == "" and complaint in err


def test_nothing_to_write(tiny_folder: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"prompt": ""}\n')
    assert status("read", "--prompts", file, "--model", tiny_folder) == 1
    assert "cases.jsonl can be read: The prompt is empty." in capsys.readouterr().err
    file.write_text('{"prompt": "a"}\n')
    assert status("read", "--prompts", file, "-o", file, "--format", "json") == 1
    assert f"{file} is read by this command: write to another file." in capsys.readouterr().err
    assert file.read_text() == '{"prompt": "a"}\n'


def test_what_is_said_of_one_and_of_several(tiny_folder: Path, tmp_path: Path, capsys: Any) -> None:
    def said(*prompts: str) -> list[str]:
        file = tmp_path / "cases.jsonl"
        lines = [{"prompt": prompt, "target": "" if prompt == "a " else "tree"} for prompt in prompts]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert status("read", "--prompts", file, "--model", tiny_folder, "--format", "csv") == 0
        return [line for line in capsys.readouterr().err.splitlines() if " of " in line]

    long = "x" * 200 + " "
    full = "'tree' is 4 tokens, and behind column 63 the context of 64 columns has room for 1."
    assert said(long, "a ") == [
        "lenstui: 1 of 2 prompts is too long for the model: its beginning was cut.",
        "lenstui: The target of 1 of 2 prompts is several tokens: the first of them is followed.",
        f"lenstui: 1 of 2 targets is not read whole: {full}",
    ]
    assert said(long, long) == [
        "lenstui: 2 of 2 prompts are too long for the model: their beginnings were cut.",
        "lenstui: The targets of 2 of 2 prompts are several tokens each: the first of them is followed.",
        f"lenstui: 2 of 2 targets are not read whole: {full}",
    ]
    assert said("b ", long, "a ")[1:] == [
        "lenstui: The targets of 2 of 3 prompts are several tokens each: the first of them is followed, and "
        "log p of all of them is summed.",
        f"lenstui: 1 of 3 targets is not read whole: {full}",
    ]
    empty = "The prompt is empty."
    assert said("a ", "", "") == [
        f"lenstui: 2 of 3 prompts cannot be read: line 2: {empty} line 3: {empty}",
    ]
    (line,) = said("a ", "", "x", "", "", "")
    assert line.startswith(
        f"lenstui: 5 of 6 prompts cannot be read: line 2: {empty} line 3: The tokenizer puts"
    )
    assert line.endswith(f"line 4: {empty} And 2 more.")


def test_ctrl_c_leaves_nothing_half_written(programs: Forked, tiny_folder: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "many.txt", tmp_path / "out.csv"
    file.write_text("the cat sat on the mat \tand\n" * 50_000)
    target.write_text("before")
    program = programs.start("read", "--prompts", file, "--model", tiny_folder, "-o", target)
    program.until(lambda: any(tmp_path.glob(".out.csv.*")), "the new file")  # it is written while it is read
    program.send(signal.SIGINT)
    assert program.status() == 130
    assert (program.out, program.err) == ("", "")
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.txt", "out.csv"]
