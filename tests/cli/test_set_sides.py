"""`lenstui read --prompts --against-…`: two models or lenses over a set, in every form; what is refused."""

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
from tests.tiny.folders import neox_in

CASES = [
    {"prompt": "the cat sat on ", "target": "t", "foil": "m", "group": "cats"},
    {"prompt": "2 + 2 = ", "target": 4, "group": "sums"},
    {"prompt": "1 + 2 = ", "target": "3", "foil": "seven", "group": "sums"},
    {"prompt": "", "target": "3", "group": "sums"},
]
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    return neox_in(tmp_path_factory.mktemp("other") / "other", byte_tokenizer, seed=7, blocks=2)


@pytest.fixture(scope="module")
def deeper(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    return neox_in(tmp_path_factory.mktemp("deeper") / "deeper", byte_tokenizer, seed=8, blocks=4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return path


@pytest.fixture
def said(file: Path, neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Status, output and complaints for further words."""

    def said(*more: object) -> tuple[int, str, str]:
        code = status("read", "--prompts", file, "--model", neox_folder, "--device", "cpu", *more)
        return code, *capsys.readouterr()

    return said


def alone(file: Path, model: Path, capsys: Any, *more: object) -> Any:
    assert (
        status("read", "--prompts", file, "--model", model, "--device", "cpu", "--format", "json", *more) == 0
    )
    return json.loads(capsys.readouterr().out)


def test_either_side_has_its_own_numbers(
    said: Said, file: Path, neox_folder: Path, other: Path, capsys: Any
) -> None:
    code, out, err = said("--against-model", other, "--format", "json", "--lenses", "logit")
    assert code == 0 and "By the first side: The prompt is empty." in err
    content = json.loads(out)
    assert (content["model"], content["against"]["model"]) == (str(neox_folder), str(other))
    sides = {
        name: alone(file, folder, capsys) for name, folder in (("first", neox_folder), ("second", other))
    }
    for at in range(3):
        case = content["cases"][at]
        for name, found in (("first", case["first"]), ("second", case)):
            wanted = sides[name]["cases"][at]
            assert found["final_id"] == wanted["final_id"]
            for key in ("target_logprob", "target_rank", "kl", "logit_diff", "target_leads"):
                assert found["lenses"]["logit"][key] == wanted["lenses"]["logit"][key], key
    assert content["cases"][3]["error"] == "By the first side: The prompt is empty."
    for key in ("target_prob", "kl"):
        pairs = [
            (case["first"]["lenses"]["logit"][key], case["lenses"]["logit"][key])
            for case in content["cases"][:3]
        ]
        for row in range(3):
            differences = [second[row] - first[row] for first, second in pairs]
            found = content["difference"]["means"]["lenses"]["logit"][key]
            assert found["mean"][row] == pytest.approx(statistics.fmean(differences), rel=1e-4, abs=1e-7)
            error = statistics.stdev(differences) / math.sqrt(3)
            assert found["sem"][row] == pytest.approx(error, rel=1e-3, abs=1e-7)
            first = content["first"]["means"]["lenses"]["logit"][key]["mean"][row]
            assert first == pytest.approx(
                statistics.fmean(pair[0][row] for pair in pairs), rel=1e-4, abs=1e-7
            )
    assert content["difference"]["groups"]["cats"]["lenses"]["logit"]["kl"]["sem"] == [None] * 3


def test_tidy_forms_have_a_line_for_either_side(said: Said, other: Path, tmp_path: Path, file: Path) -> None:
    content = json.loads(said("--against-model", other, "--format", "json", "--lenses", "logit")[1])
    words = ("--against-model", other, "--lenses", "logit")
    lines = list(csv.DictReader(io.StringIO(said(*words, "--format", "csv")[1])))
    assert said(*words, "-o", tmp_path / "out.parquet")[0] == 0
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(lines) == len(rows) == 3 * 2 * 3
    for at, (line, flat) in enumerate(zip(lines, rows, strict=True)):
        case, side, row = content["cases"][at // 6], ("first", "second")[at // 3 % 2], at % 3
        assert (line["case"], line["side"], line["row"]) == (str(case["number"]), side, content["rows"][row])
        assert (flat["case"], flat["side"], flat["row"]) == (case["number"], side, content["rows"][row])
        first, second = case["first"]["lenses"]["logit"], case["lenses"]["logit"]
        own = first if side == "first" else second
        assert flat["target_rank"] == own["target_rank"][row] == int(line["target_rank"])
        for key in ("target_logprob", "kl"):
            assert flat[key] == pytest.approx(own[key][row])
            difference = second[key][row] - first[key][row]
            assert flat[f"difference_{key}"] == pytest.approx(difference, rel=1e-3, abs=1e-6)
            assert float(line[f"difference_{key}"]) == pytest.approx(difference, rel=1e-3, abs=1e-6)
        assert line["second"] == str(other)
    again = open_prompts(PromptFile(tmp_path / "out.parquet")).cases
    assert again == open_prompts(PromptFile(file)).cases[:3]


def test_table_and_markdown(said: Said, other: Path, capsys: Any) -> None:
    words = ("--against-model", other, "--lenses", "logit")
    code, out, _ = said(*words)
    assert code == 0 and "nan" not in out.lower()
    assert "first → second" in out
    assert (
        "difference: the mean of the difference in each prompt, second − first, with its standard error"
        in out
    )
    assert "(1): of a single prompt there is a number, but no standard error" in out
    assert any(line.split() == ["first", "second", "difference"] for line in out.splitlines())
    assert f"second: {other}" in out.replace("\n", "")
    code, out, _ = said(*words, "--format", "md")
    assert f"--against-model={other}" in out and "second: `" in out


def test_two_lenses_of_one_model(said: Said, neox_folder: Path, file: Path, capsys: Any) -> None:
    lens = neox_folder.parent / "mine.pt"
    code, out, err = said("--lens", lens, "--against-lens", "logit", "--format", "json")
    assert code == 0 and "The tuned lens is compared with the logit lens." in err
    content = json.loads(out)
    whole = alone(file, neox_folder, capsys, "--lens", lens)
    for case, wanted in zip(content["cases"][:3], whole["cases"], strict=False):
        assert case["first"]["lenses"]["tuned"]["kl"] == wanted["lenses"]["tuned"]["kl"]
        assert case["lenses"]["tuned"]["kl"] == wanted["lenses"]["logit"]["kl"]
    lines = list(
        csv.DictReader(io.StringIO(said("--lens", lens, "--against-lens", "logit", "--format", "csv")[1]))
    )
    assert {(line["first"], line["second"]) for line in lines} == {("tuned lens mine.pt", "logit lens")}


def test_models_of_two_depths(said: Said, deeper: Path) -> None:
    code, out, err = said("--against-model", deeper, "--format", "json")
    assert code == 0 and "their final distributions are compared." in err
    content = json.loads(out)
    assert len(content["rows"]) == 1
    assert len(content["difference"]["means"]["lenses"]["logit"]["target_prob"]["mean"]) == 1


def test_other_tokens_are_refused(said: Said, shared: Path) -> None:
    code, out, err = said("--against-model", shared / "models" / "stories260K")
    assert (code, out) == (1, "") and "do not agree" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("x", "--against-lens", "logit"), "without another model needs --prompts"),
        (
            ("--prompts", "x", "--against-lens", "logit", "--edit", "ablate 1.mlp"),
            "--edit is not for two sides",
        ),
        (("--prompts", "x", "--against-lens", "a", "--outliers", "y"), "--outliers is not for two sides"),
        (("--prompts", "x", "--against-lens", "a", "--against-lens", "b"), "is given twice"),
    ],
)
def test_what_makes_no_sense(words: tuple[str, ...], complaint: str, capsys: Any) -> None:
    assert status("read", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1
