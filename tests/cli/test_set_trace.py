"""`lenstui trace --prompts FILE`: forms against traces of one pair, what is left out or refused."""

from __future__ import annotations

import csv
import io
import json
import shlex
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs.calls import status

PAIRS = (
    {"prompt": "the cat ", "corrupted": "the fox ", "target": "a", "minus": "b", "group": "pets"},
    {"prompt": "the dog ", "corrupted": "the hen ", "target": "d", "minus": "e", "group": "pets"},
    {"prompt": "red sky ", "corrupted": "few sky ", "target": "f", "minus": "g", "group": "skies"},
    {"prompt": "far sea ", "corrupted": "far sea ", "target": "f", "minus": "g", "group": "skies"},
    {"prompt": "far bay ", "target": "f", "minus": "g"},
    {"prompt": "new bay ", "corrupted": "old bay ", "target": "two", "minus": "g"},
    {"promt": "typo"},
)
TRACED = PAIRS[:3]


@pytest.fixture(scope="module")
def words(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    file = tmp_path_factory.mktemp("traces") / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return "trace", "--prompts", file, "--model", tiny_folder, "--device", "cpu"


@pytest.fixture
def printed(words: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def printed(*more: object) -> str:
        assert status(*words, *more) == 0
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize("what", ["resid", "head"])
def test_json_has_the_means_of_single_traces(
    printed: Callable[..., str], tiny_folder: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    content = json.loads(printed("--what", what, "--format", "json"))
    assert (content["version"], content["what"], content["metric"]) == (1, what, "logit-diff")
    assert content["skipped"] == 1
    errors = [case["error"] for case in content["cases"]]
    assert errors[:3] == [None] * 3
    assert [
        part in error
        for part, error in zip(("nothing to restore", "no corrupted", "'two'"), errors[3:], strict=True)
    ] == [True] * 3
    alone = []
    for pair, case in zip(TRACED, content["cases"], strict=False):
        tokens = ("--pin", f"[id {case['token']['id']}]", "--minus", f"[id {case['minus']['id']}]")
        assert [case["token"]["text"], case["minus"]["text"]] == [pair["target"], pair["minus"]]
        of_one = ("--what", what, "--model", tiny_folder, "--format", "json", *tokens)
        assert status("trace", *of_one, "--", pair["prompt"], pair["corrupted"]) == 0
        alone.append(json.loads(capsys.readouterr().out))
        np.testing.assert_allclose(case["recovered"], alone[-1]["recovered"], atol=1e-6)
    for found, some in ((content["means"], alone), (content["groups"]["pets"], alone[:2])):
        assert found["n"] == len(some)
        for name in ("recovered", "raw"):
            numbers = np.array([each[name] for each in some])  # [cases, rows, cols]
            for place in np.ndindex(numbers.shape[1:]):
                column = numbers[(slice(None), *place)].tolist()
                error = statistics.stdev(column) / len(column) ** 0.5
                assert found[name]["mean"][place[0]][place[1]] == pytest.approx(
                    statistics.mean(column), abs=1e-5
                )
                assert found[name]["sem"][place[0]][place[1]] == pytest.approx(error, abs=1e-5)
        for name in ("clean", "corrupted"):
            column = [each[name] for each in some]
            assert found[name]["mean"] == pytest.approx(statistics.mean(column))
            assert found[name]["sem"] == pytest.approx(statistics.stdev(column) / len(column) ** 0.5)
    assert content["groups"]["skies"]["n"] == 1
    assert content["groups"]["skies"]["clean"]["sem"] is None
    assert content["rows"] == alone[0]["rows"]
    if what == "head":
        assert content["tokens"] is None
    else:
        assert content["tokens"] == [None] * 3 + ["·"] + [None] * 3 + ["·"]


def test_table_and_csv_have_the_same_numbers(printed: Callable[..., str]) -> None:
    content = json.loads(printed("--format", "json"))
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv"))))
    means = {"": content["means"], **content["groups"]}
    assert len(lines) == 3 * 3 * 8
    for line in lines:
        found, row, column = means[line["group"]], content["rows"].index(line["row"]), int(line["column"])
        for name, of in (("recovered", "recovered"), ("raw", "raw")):
            assert float(line[name]) == pytest.approx(found[of]["mean"][row][column], abs=1e-9)
        error = found["recovered"]["sem"][row][column]
        assert line["stderr"] == ("" if error is None else line["stderr"])
        assert error is None or float(line["stderr"]) == pytest.approx(error)
        assert int(line["n"]) == found["n"]
        assert line["input_token"] == (content["tokens"][column] or "")
    table = printed()
    title, *groups = table.split("\n\n")[:4]
    assert title == (
        "mean share recovered by patching the residual stream, by row and column · logit of each prompt's "
        "target minus the other token's"
    )
    for group, (name, found) in zip(
        groups, [*content["groups"].items(), ("all", content["means"])], strict=True
    ):
        heading, heads, *rows = group.splitlines()
        assert heading.startswith(f"{name} ({found['n']}) · clean ")
        assert heads.split() == [token or f"@{place}" for place, token in enumerate(content["tokens"])]
        for shown, row in zip(rows, range(2, -1, -1), strict=True):
            label, *texts = shown.replace("−", "-").split()
            shares = [float(text) for text in texts if not text.startswith("±")]
            errors = [float(text[1:]) for text in texts if text.startswith("±")]
            assert label == content["rows"][row]
            np.testing.assert_allclose(shares, found["recovered"]["mean"][row], atol=0.0051)
            if found["n"] > 1:
                np.testing.assert_allclose(errors, found["recovered"]["sem"][row], atol=0.0051)
            else:
                assert errors == []


def test_what_is_left_out_is_counted(words: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words) == 0
    skipped, left_out = capsys.readouterr().err.splitlines()
    assert "Skipped 1 line without a prompt: pairs.jsonl line 7" in skipped
    assert left_out.startswith(
        "lenstui: 3 of 6 prompts are left out: line 4: Clean and corrupted run differ by 0"
    )
    assert "line 5: It has no corrupted prompt" in left_out and "line 6: No single token is 'two'" in left_out


def test_markdown_has_the_command_that_makes_it_again(
    printed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--what mlp --window 2 --metric kl --noise 1-2 --samples 2 --format md"
    shown = printed(*options.split())
    assert "noise on columns 1-2, σ " in shown and "−KL from the clean run" in shown
    (command,) = [line for line in shown.splitlines() if line.startswith("lenstui ")]
    assert status(*shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


def test_columns_are_named_and_parquet_is_read(tiny_folder: Path, tmp_path: Path, capsys: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"a": "prompt", "b": "corrupted", "c": "target", "d": "minus", "e": "group"}
    table = {new: [pair[old] for pair in TRACED] for new, old in columns.items()}
    pq.write_table(pa.table(table), tmp_path / "pairs.parquet")
    named = [word for new, old in columns.items() for word in (f"--{old}-column", new)]
    assert (
        status(
            "trace",
            "--prompts",
            tmp_path / "pairs.parquet",
            *named,
            "--model",
            tiny_folder,
            "--format",
            "json",
        )
        == 0
    )
    content = json.loads(capsys.readouterr().out)
    assert [case["corrupted_prompt"] for case in content["cases"]] == [pair["corrupted"] for pair in TRACED]
    assert [case["minus"]["text"] for case in content["cases"]] == [pair["minus"] for pair in TRACED]
    assert list(content["groups"]) == ["pets", "skies"]


def test_other_lengths_are_refused_by_column_and_traced_by_head(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pairs.jsonl"
    longer = {"prompt": "a long cat ", "corrupted": "a long fox ", "target": "a", "minus": "b"}
    file.write_text("".join(json.dumps(pair) + "\n" for pair in (*TRACED, longer)))
    of_file = ("trace", "--prompts", file, "--model", tiny_folder)
    assert status(*of_file) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "3 of 4 prompts have 8 tokens, others do not (number 4 has 11)" in err and "--what head" in err
    assert status(*of_file, "--what", "head") == 0
    assert "all (4) · clean" in capsys.readouterr().out


def test_ctrl_c_says_how_far_it_was(
    words: tuple[object, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lenstui.edits.trace import trace_steps

    begun: list[int] = []

    def interrupted(*arguments: Any) -> Iterator[Any]:
        begun.append(1)
        if len(begun) == 2:
            raise KeyboardInterrupt
        yield from trace_steps(*arguments)

    monkeypatch.setattr("lenstui.edits.set_trace.trace_steps", interrupted)
    assert status(*words, "-o", tmp_path / "out.json") == 130
    out, err = capsys.readouterr()
    assert (out, err) == ("", "lenstui: Stopped: 1 of 6 prompts were traced, and nothing is written.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("a prompt",), 2, "a prompt and --prompts are given: leave one out"),
        (("--pin", "x"), 2, "--pin and --minus are not for --prompts"),
        (("--noise", "1", "--corrupted-column", "x"), 2, "leave one out"),
        (("--samples", "2"), 2, "are of --noise"),
        (("--window", "2"), 1, "can be traced: A window is of attention or MLPs"),
        (("--corrupted-column", "other"), 1, "has 'other'"),
        (("--format", "parquet"), 2, "invalid choice"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[object, ...], more: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words, *more) == code
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("a", "--minus-column", "x"), 2, "--minus-column needs --prompts"),
        (("--demo",), 2, "give a prompt, and a second one into which it is patched; or --prompts FILE"),
        (("--prompts", ""), 2, "--prompts names no file"),
        (("--prompts", "examples", "--group-column", "x"), 2, "the examples have their columns"),
        (("--prompts", "pairs.xlsx"), 1, "No prompts are read from .xlsx"),
        (("--prompts", "missing.jsonl"), 1, "There is no file missing.jsonl."),
    ],
)
def test_what_else_is_refused(asked: tuple[str, ...], code: int, said: str, capsys: Any) -> None:
    assert status("trace", *asked) == code
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1
