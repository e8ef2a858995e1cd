"""`lenstui read --prompts` with foils: one set of numbers in every form, and what is said of them."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lenstui.lens import PromptFile, open_prompts
from tests.programs.calls import status

CASES = [
    {"prompt": "the cat sat on ", "target": "t", "foil": "m", "group": "cats"},
    {"prompt": "2 + 2 = ", "target": 4, "foil": 5, "group": "sums"},
    {"prompt": "1 + 2 = ", "target": "3", "foil": "seven", "group": "sums"},
    {"prompt": "3 + 2 = ", "target": "5", "foil": "5", "group": "sums"},
    {"prompt": "no foil ", "target": "t", "group": "sums"},
]
KEYS = ("foil_logprob", "foil_rank", "foil_word_logprob", "logit_diff", "word_logprob_diff")

Printed = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return path


@pytest.fixture
def printed(file: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What goes to stdout for further words."""

    def printed(*more: object) -> str:
        assert status("read", "--prompts", file, "--model", tiny_folder, "--device", "cpu", *more) == 0
        return capsys.readouterr().out

    return printed


def test_every_form_has_the_same_numbers(printed: Printed, tmp_path: Path) -> None:
    content = json.loads(printed("--format", "json"))
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv"))))
    printed("-o", tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(lines) == len(rows) == 5 * 3
    for at, (line, flat) in enumerate(zip(lines, rows, strict=True)):
        case, row = content["cases"][at // 3], at % 3
        lens = case["lenses"]["logit"]
        assert flat["foil"] == case["foil"] and line["foil"] == (case["foil"] or "")
        assert flat["foil_id"] == case["foil_id"] and flat["foil_token"] == case["foil_token"]
        assert line["foil_ids"] == " ".join(map(str, case["foil_ids"] or []))
        for key in KEYS:
            number = None if lens[key] is None else lens[key][row]
            assert flat[key] == (None if number is None else pytest.approx(number)), key
            assert line[key] == "" if number is None else float(line[key]) == pytest.approx(number), key


def test_the_means_are_those_of_the_cases(printed: Printed) -> None:
    content = json.loads(printed("--format", "json"))
    means = content["means"]
    assert (means["n"], means["n_target"], means["n_foil"]) == (5, 5, 3)
    of_cases = [case["lenses"]["logit"] for case in content["cases"][:3]]
    for key in ("logit_diff", "word_logprob_diff"):
        found = means["lenses"]["logit"][key]
        for row in range(3):
            numbers = [lens[key][row] for lens in of_cases]
            assert found["mean"][row] == pytest.approx(statistics.fmean(numbers), rel=1e-5)
            assert found["sem"][row] == pytest.approx(statistics.stdev(numbers) / math.sqrt(3), rel=1e-4)
    alone = content["groups"]["cats"]["lenses"]["logit"]["logit_diff"]
    assert alone["mean"] == pytest.approx(of_cases[0]["logit_diff"]) and alone["sem"] == [None] * 3


def test_table_and_markdown(printed: Printed) -> None:
    shown = printed("--value", "foil-diff")
    assert "logit of the target minus that of the foil, mean ± standard error" in shown
    assert "cats (1)" in shown and "sums (2)" in shown and "all (3)" in shown
    assert "(1): of a single prompt there is a number, but no standard error" in shown
    assert "nan" not in shown.lower()
    content = json.loads(printed("--format", "json"))
    (heads,) = [line for line in shown.splitlines() if line.split()[:2] == ["prompt", "final"]]
    assert heads.split()[:8] == ["prompt", "final", "target", "rank", "foil", "logit", "diff", "logit"]
    (seven,) = [line for line in shown.splitlines() if line.startswith("3 ")]
    difference = content["cases"][2]["lenses"]["logit"]["logit_diff"][-1]
    assert seven.split()[-5:-3] == ["s…", f"{difference:+.2f}".replace("-", "−")]
    markdown = printed("--format", "md")
    assert "| logit of target − foil |" in markdown
    assert "`logit of 3 − s…: " in markdown and " · log p of both whole: " in markdown
    assert "`Target and foil are the same, '5'.`" in markdown


def test_captions_say_which_numbers_are_of_first_tokens(printed: Printed) -> None:
    shown = printed("--value", "foil-diff")
    assert "mean ± standard error · 1 of 3 by first token (…)" in shown
    assert "by first" not in printed("--value", "foil-whole")
    assert "by first" not in printed("--value", "prob")  # the targets are single tokens


def test_first_rows_in_every_form(printed: Printed, tmp_path: Path) -> None:
    content = json.loads(printed("--format", "json", "--above", "0.001"))
    assert content["above"] == 0.001
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv", "--above", "0.001"))))
    printed("-o", tmp_path / "out.parquet", "--above", "0.001")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    found: dict[str, list[int]] = {"target_leads": [], "target_above": []}
    for at, case in enumerate(content["cases"]):
        lens = case["lenses"]["logit"]
        has = {
            "target_leads": [rank == 0 for rank in lens["target_rank"]],
            "target_above": [prob > 0.001 for prob in lens["target_prob"]],
        }
        for key, of_rows in has.items():
            wanted = content["rows"][of_rows.index(True)] if any(of_rows) else None
            assert lens[key] == wanted
            assert {line[key] for line in lines[3 * at : 3 * at + 3]} == {wanted or ""}
            assert {row[key] for row in rows[3 * at : 3 * at + 3]} == {wanted}
            found[key] += [of_rows.index(True)] if any(of_rows) else []
    assert {line["above"] for line in lines} == {"0.001"}
    assert len(found["target_above"]) > 1
    for key, numbers in found.items():
        mean = content["means"]["lenses"]["logit"][key]
        assert mean["n"] == len(numbers)
        assert mean["mean"] == (pytest.approx(statistics.fmean(numbers)) if numbers else None)


def test_first_rows_in_the_table(printed: Printed) -> None:
    shown = printed("--above", "0.001")
    assert "  leads  p > 0.001\n" in shown
    assert "p > 0.001: where its probability is above 0.001 · –: in no row" in shown
    assert "first rows of the target: mean index (emb is 0) ± standard error" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("logit p > 0.001  ")]
    content = json.loads(printed("--format", "json", "--above", "0.001"))
    mean = content["means"]["lenses"]["logit"]["target_above"]
    assert line.endswith(f"{mean['mean']:.1f} ±{mean['sem']:.1f} ({mean['n']} of 5)")
    markdown = printed("--format", "md", "--above", "0.001")
    assert "--above=0.001" in markdown and "| logit leads | logit p > 0.001 |" in markdown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--prompts", "x.jsonl", "--above", "1"), "'1' is no probability from 0 to below 1"),
        (("--prompts", "x.jsonl", "--above", "half"), "'half' is no probability from 0 to below 1"),
        (("x", "--above", "0"), "--above needs --prompts"),
    ],
)
def test_limits_that_are_refused(words: tuple[str, ...], complaint: str, capsys: Any) -> None:
    assert status("read", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_readouts_is_the_same_set_again(
    file: Path, tiny_folder: Path, tmp_path: Path, capsys: Any, ending: str
) -> None:
    odd = {"prompt": 'a, "b"\r\n\x1b[2J\n ', "target": "tree", "foil": "t", "group": "odd, one"}
    lines = [*CASES, ["no case"], odd, {"prompt": "same ", "target": "a"}, {"prompt": "same ", "target": "a"}]
    file.write_text("".join(json.dumps(case) + "\n" for case in lines))
    again = tmp_path / f"again.{ending}"
    words = ("--model", tiny_folder, "--device", "cpu")
    assert status("read", "--prompts", file, *words, "-o", again) == 0
    before = open_prompts(PromptFile(file))
    found = open_prompts(PromptFile(again))
    assert found.cases == before.cases and found.unread == ()
    capsys.readouterr()
    assert status("read", "--prompts", again, *words, "--format", "json") == 0
    second = json.loads(capsys.readouterr().out)
    assert status("read", "--prompts", file, *words, "--format", "json") == 0
    first = json.loads(capsys.readouterr().out)
    assert second["cases"] == first["cases"] and second["groups"] == first["groups"]


def test_fields_that_are_not_read_are_said(file: Path, tiny_folder: Path, capsys: Any) -> None:
    file.write_text('{"prompt": "a ", "label": 1}\n{"prompt": "b ", "label": 2}\n')
    assert status("read", "--prompts", file, "--model", tiny_folder) == 0
    assert capsys.readouterr().err.count("Fields of cases.jsonl that are not read: label.") == 1


def test_what_is_said(file: Path, tiny_folder: Path, capsys: Any) -> None:
    assert status("read", "--prompts", file, "--model", tiny_folder, "--format", "csv") == 0
    err = capsys.readouterr().err
    assert (
        "The foil of 1 of 5 prompts is several tokens: the logit difference is that of first tokens." in err
    )
    assert "1 of 5 prompts has no logit difference: line 4: Target and foil are the same, '5'." in err


def test_without_foils_there_are_no_columns_of_them(tiny_folder: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("one \tt\n")
    words = ("read", "--prompts", file, "--model", tiny_folder)
    assert status(*words, "--format", "csv") == 0
    assert "foil" not in capsys.readouterr().out.splitlines()[0]
    assert status(*words) == 0
    assert "foil " not in capsys.readouterr().out


def test_the_column_is_named(printed: Printed, file: Path, tiny_folder: Path, capsys: Any) -> None:
    file.write_text('{"prompt": "a ", "target": "b", "other": "c"}\n')
    content = json.loads(printed("--format", "json", "--foil-column", "other"))
    assert content["cases"][0]["foil"] == "c"
    markdown = printed("--format", "md", "--foil-column", "other")
    assert "--foil-column=other" in markdown
    assert status("read", "x", "--foil-column", "y") == 2
    assert "--foil-column needs --prompts" in capsys.readouterr().err
