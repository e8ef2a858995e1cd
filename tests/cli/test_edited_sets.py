"""`lenstui read --prompts FILE --edit`: every form, against readings of one prompt and formulas by hand."""

from __future__ import annotations

import csv
import io
import json
import shlex
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.programs.calls import status

CASES = (
    {"prompt": "the cat sat on ", "target": "t", "group": "cats"},
    {"prompt": "2 + 2 = ", "target": 4, "group": "sums"},
    {"prompt": "1 + 2 = ", "target": "3", "group": "sums"},
    {"prompt": "a ", "target": "b", "group": "sums"},
    {"prompt": "no target"},
)
EDITS = ("--edit", "ablate 1.attn @2-5", "--edit", "ablate 0.mlp mean")
LEFT_OUT = "Edit 'ablate 1.attn @2-5': there is no column 5: the prompt has columns 0 … 1."


@pytest.fixture(scope="module")
def words(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    file = tmp_path_factory.mktemp("edited") / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return "read", "--prompts", file, "--model", tiny_folder, "--device", "cpu", *EDITS


@pytest.fixture
def printed(words: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def printed(*more: object) -> str:
        assert status(*words, *more) == 0
        return capsys.readouterr().out

    return printed


def test_json_has_both_runs_and_the_mean_effect(
    printed: Callable[..., str], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(printed("--format", "json"))
    assert content["edits"] == [EDITS[1], EDITS[3]]
    assert [case["error"] for case in content["cases"]] == [None, None, None, LEFT_OUT, None]
    runs: dict[str, list[list[float]]] = {"clean": [], "edited": []}
    for case in content["cases"]:
        if case["error"] is None:
            for name, found, edits in (("clean", case["clean"], ()), ("edited", case, EDITS)):
                model = ("--model", tiny_folder, "--format", "json")
                assert (
                    status("read", "-p", case["prompt"], *model, "--pin", case["target"] or "x", *edits) == 0
                )
                alone = json.loads(capsys.readouterr().out)
                last = [row[-1] for row in alone["lenses"]["logit"]["kl"]]
                np.testing.assert_allclose(found["lenses"]["logit"]["kl"], last, rtol=1e-4, atol=1e-5)
                assert found["final_id"] == alone["lenses"]["logit"]["top_ids"][-1][-1][0]
                if case["target"] is not None:
                    (pin,) = [pin for pin in alone["pins"] if pin["id"] == case["target_id"]]
                    numbers = [row[-1] for row in pin["logit"]["logprob"]]
                    np.testing.assert_allclose(found["lenses"]["logit"]["target_logprob"], numbers, rtol=1e-4)
                    runs[name].append(numbers)

    def means(whole: Any, run: str) -> Any:
        where = {"clean": "clean", "edited": None, "effect": "effect"}[run]
        return whole if where is None else whole[where]

    effect = [np.subtract(b, a).tolist() for a, b in zip(runs["clean"], runs["edited"], strict=True)]
    for run, numbers in (*runs.items(), ("effect", effect)):
        found = means(content, run)
        assert (found["means"]["n"], found["means"]["n_target"]) == (4, 3)
        of_all = found["means"]["lenses"]["logit"]["target_logprob"]
        sums = found["groups"]["sums"]["lenses"]["logit"]["target_logprob"]
        for row in range(len(content["rows"])):
            column = [case[row] for case in numbers]
            error = statistics.stdev(column) / 3**0.5
            assert of_all["mean"][row] == pytest.approx(statistics.mean(column), rel=1e-3, abs=1e-4)
            assert of_all["sem"][row] == pytest.approx(error, rel=1e-3, abs=1e-4)
            assert sums["mean"][row] == pytest.approx(statistics.mean(column[1:]), rel=1e-3, abs=1e-4)
        assert found["groups"]["cats"]["lenses"]["logit"]["target_logprob"]["sem"] == [None] * 3
    assert any(number for row in effect for number in row)


def test_csv_and_parquet_have_the_clean_number_and_the_effect(
    printed: Callable[..., str], tmp_path: Path
) -> None:
    content = json.loads(printed("--format", "json"))
    lines = list(csv.DictReader(io.StringIO(printed("--format", "csv"))))
    printed("-o", tmp_path / "out.parquet")
    flat = pq.read_table(tmp_path / "out.parquet").to_pylist()
    cases = {case["number"]: case for case in content["cases"]}
    assert len(lines) == len(flat) == 4 * 3
    for line, row in zip(lines, flat, strict=True):
        case, at = cases[int(line["case"])], row["row_index"]
        before, after = case["clean"]["lenses"]["logit"], case["lenses"]["logit"]
        assert line["edits"] == f"{EDITS[1]}; {EDITS[3]}"
        assert row["clean_top_1_id"] == before["top1_ids"][at]
        assert row["clean_crystallization"] == before["crystallization"]
        for name in ("kl", "entropy", "target_logprob", "target_prob", "target_rank"):
            if before[name][at] is None:
                assert row[f"effect_{name}"] is row[f"clean_{name}"] is None
                assert line[f"effect_{name}"] == ""
                continue
            assert row[f"clean_{name}"] == pytest.approx(before[name][at])
            effect = after[name][at] - before[name][at]
            assert row[f"effect_{name}"] == pytest.approx(effect, rel=1e-4, abs=1e-6)
            assert float(line[f"effect_{name}"]) == pytest.approx(effect, rel=1e-4, abs=1e-6)
    assert any(row["effect_target_rank"] and row["effect_target_rank"] < 0 for row in flat), (
        "ranks go down too"
    )


def test_the_table_says_both_runs_and_what_is_left_out(
    words: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    monkeypatch.setenv("COLUMNS", "100")
    assert status(*words, "--value", "kl") == 0
    out, err = capsys.readouterr()
    assert all(len(line) <= 100 for line in out.splitlines())
    title = "logit lens · KL from final, mean ± standard error in nats\n"
    groups = out.partition(title)[2].split("\n\n")
    assert [group.splitlines()[0] for group in groups[:3]] == ["cats (1)", "sums (2)", "all (4)"]
    _, heads, *rows = groups[2].splitlines()
    assert heads.split() == ["clean", "edited", "effect"]
    for line, row in zip(rows, range(2, -1, -1), strict=True):
        label, clean, _, edited, _, effect, error = line.split()
        assert label == content["rows"][row]
        found = content["effect"]["means"]["lenses"]["logit"]["kl"]
        for text, number in ((effect, found["mean"][row]), (error.lstrip("±"), found["sem"][row])):
            assert float(text.replace("−", "-").replace("<", "")) == pytest.approx(number, abs=0.0101)
        before, after = (float(text.replace("<", "")) for text in (clean, edited))
        assert after - before == pytest.approx(found["mean"][row], abs=0.02)
    assert "clean → edited" in out and "effect: the mean of what the edits change" in " ".join(out.split())
    assert "edited: ablate 1.attn @2-5; ablate 0.mlp mean" in " ".join(out.split())
    assert f"1 of 5 prompts is left out: line 4: {LEFT_OUT}" in err


def test_ranks_have_the_median_of_their_changes(printed: Callable[..., str]) -> None:
    content = json.loads(printed("--format", "json"))
    read = [case for case in content["cases"] if case["target"] is not None and case["error"] is None]
    last = [
        case["lenses"]["logit"]["target_rank"][-1] - case["clean"]["lenses"]["logit"]["target_rank"][-1]
        for case in read
    ]
    median = content["effect"]["means"]["lenses"]["logit"]["target_median_rank"][-1]
    assert median == statistics.median(last)
    shown = printed("--value", "rank").partition("all (3)")[2].splitlines()[2].split()
    assert shown[0] == "1"
    assert float(shown[-1].replace("−", "-")) == median


def test_markdown_has_the_command_that_makes_it_again(
    printed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed("--format", "md")
    (command,) = [line for line in shown.splitlines() if line.startswith("lenstui ")]
    assert "--edit 'ablate 1.attn @2-5'" in command
    assert "| `all (3) effect` |" in shown or "`all (3) effect`" in shown
    assert status(*shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("edit", "code", "said"),
    [
        ("ablat 1.attn", 2, "'ablat' is no edit: perhaps 'ablate' is meant"),
        ("ablate 9.attn", 1, "Edit 'ablate 9.attn': there is no block 9"),
        ("ablate 1.attn @99", 1, "cases.jsonl can be read: Edit 'ablate 1.attn @99': there is no column 99"),
    ],
)
def test_what_cannot_be_edited_is_one_line(
    words: tuple[object, ...], edit: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words[: -len(EDITS)], "--edit", edit) == code
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1
