"""`lenstui read --prompts --outliers`: scores and AUROC in every form, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from lenstui.lens import TunedLens, save_lens
from tests.programs.calls import status

CASES: list[dict[str, Any]] = [
    {"prompt": "the dog sat", "group": "plain"},
    {"prompt": "see my cat", "group": "plain"},
    {"prompt": "x", "group": "plain"},
    {"prompt": "~~~~@@@@####", "group": "odd"},
    {"prompt": "ran to the house", "group": "plain"},
    {"prompt": "@#@#~~", "group": "odd"},
    {"prompt": "the mat"},
    {"prompt": "it is on", "group": "plain"},  # in the reference too
    {"prompt": ""},
]
REFERENCE = (
    "the cat sat",
    "a dog ran to me",
    "my house is red",
    "see the big mat",
    "it is on",
    "then I ran",
    "y",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lens, a set and its reference."""
    folder = tmp_path_factory.mktemp("outliers")
    save_lens(TunedLens(torch.randn(2, 16, 16) / 20, torch.randn(2, 16) / 20), folder / "mine.pt")
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in CASES))
    (folder / "reference.txt").write_text("".join(f"{text}\n" for text in REFERENCE))
    return folder


@pytest.fixture
def run(
    folder: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Read the set with further words: the exit status, stdout and stderr."""

    def run(*more: object, reference: str = "reference.txt") -> tuple[int, str, str]:
        words = ("read", "--prompts", folder / "cases.jsonl", "--outliers", folder / reference)
        of_model = ("--model", tiny_folder, "--device", "cpu", "--lens", folder / "mine.pt")
        code = status(*words, *of_model, *more)
        return code, *capsys.readouterr()

    return run


def test_json_has_the_scores_of_the_library(run: Any, folder: Path, tiny_folder: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra `outliers` is not installed")
    import lenstui

    code, out, err = run("--format", "json")
    assert code == 0
    content = json.loads(out)
    model = lenstui.load(str(tiny_folder), device="cpu")
    lens = lenstui.open_lens(folder / "mine.pt")
    texts = [lenstui.Case(number, text) for number, text in enumerate(REFERENCE, 1)]
    fitted = lenstui.fit_outliers(lenstui.read_set(model, texts, lens, trajectories=True))
    prompts = lenstui.open_prompts(lenstui.PromptFile(folder / "cases.jsonl"))
    scored = [fitted.scored(each) for each in lenstui.read_set(model, prompts.cases, lens, trajectories=True)]
    stored = {"mahalanobis": "mahalanobis", "isolation-forest": "isolation_forest", "lof": "lof"}
    for case, readout in zip(content["cases"], scored, strict=True):
        if isinstance(readout, lenstui.FailedCase):
            assert case["error"] == "The prompt is empty."
            continue
        if not readout.scores:
            assert (case["scores"], case["not_scored"]) == (None, "It is one token, behind which none comes.")
            continue
        wanted = {stored[key]: score for key, score in readout.scores.items()}
        assert case["scores"] == pytest.approx(wanted, rel=1e-6)
        of_next = readout.next_logprob["tuned"].tolist()
        assert case["lenses"]["tuned"]["mean_next_logprob"] == pytest.approx(of_next, rel=1e-6)
        assert case["not_scored"] is None
    facts = content["outliers"]
    assert (facts["n_reference"], facts["left_out"], facts["neighbours"]) == (6, 1, 5)
    assert (facts["trajectory"], facts["of"]) == ("next", "mean over columns of log p(next token), by row")
    assert [(each["lens"], each["row"]) for each in facts["features"]] == fitted.names(content["rows"])
    (area,) = content["auroc"]
    assert (area["group"], area["n"], area["normal"], area["n_normal"]) == ("odd", 2, "plain", 4)
    of_groups: dict[str, list[float]] = {"odd": [], "plain": []}
    for case in content["cases"]:
        if case.get("scores") and case["group"]:
            of_groups[case["group"]].append(case["scores"]["lof"])
    pairs = [(high > low) + (high == low) / 2 for high in of_groups["odd"] for low in of_groups["plain"]]
    assert area["lof"]["auroc"] == pytest.approx(sum(pairs) / len(pairs))
    assert area["lof"]["low"] < area["lof"]["auroc"] + 1e-9
    assert "1 of 7 prompts of the reference is left out (7: It is one token" in err
    assert "1 of 9 prompts is in the reference too" in err
    assert "1 of 9 prompts has no scores: line 3: It is one token, behind which none comes." in err


def test_csv_and_parquet_have_columns_and_say_the_areas(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra `outliers` is not installed")
    code, out, err = run("--format", "csv")
    assert code == 0
    lines = list(csv.DictReader(io.StringIO(out)))
    assert "AUROC of odd (2) against plain (4): Mahalanobis distance " in err
    content = json.loads(run("--format", "json")[1])
    cases = {str(case["number"]): case for case in content["cases"]}
    for line in lines:
        case = cases[line["case"]]
        row = content["rows"].index(line["row"])
        assert line["reference"].endswith("reference.txt")
        of_next = case["lenses"][line["lens"]]["mean_next_logprob"][row]
        found = line["mean_next_logprob"]
        assert (float(found) if found else None) == (of_next and pytest.approx(of_next, rel=1e-6))
        for name in ("mahalanobis", "isolation_forest", "lof"):
            found = line[f"score_{name}"]
            assert (float(found) if found else None) == (case["scores"] and case["scores"][name])
    assert run("-o", tmp_path / "out.parquet")[0] == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["score_lof"].to_pylist()[:1] == [cases["1"]["scores"]["lof"]]
    assert json.loads(table.schema.metadata[b"lenstui"])["outliers"]["n_reference"] == 6


def test_tables_have_scores_and_areas(run: Any) -> None:
    pytest.importorskip("sklearn", reason="the extra `outliers` is not installed")
    _, out, _ = run("--normal", "odd")
    assert out.split("\n")[0].split()[-5:] == ["logit", "tuned", "mahal.", "forest", "LOF"]
    assert "AUROC against odd (2), 95 % interval" in out
    assert "plain (4)" in out
    assert "fitted on 6 prompts of" in out
    _, out, _ = run("--format", "md", "--outlier-methods", "mahalanobis,lof")
    assert "| Mahalanobis distance | local outlier factor |\n" in out
    assert "**AUROC against `plain (4)`, 95 % interval**" in out
    assert "isolation forest" not in out
    assert "--outlier-methods=mahalanobis,lof" in out


def test_the_target_may_be_followed(run: Any, folder: Path) -> None:
    for name in ("with_targets", "reference_targets"):
        texts = REFERENCE[:6] if name.startswith("ref") else ("the dog ", "a mat ")
        (folder / f"{name}.txt").write_text("".join(f"{text} \tc\n" for text in texts))
    words = (
        "--trajectory",
        "target",
        "--outlier-methods",
        "mahalanobis",
        "--exact-targets",
        "--format",
        "json",
    )
    code, out, _ = run("--prompts", folder / "with_targets.txt", *words, reference="reference_targets.txt")
    assert code == 0
    content = json.loads(out)
    assert content["outliers"]["of"] == "log p(whole target) in the last column, by row"
    assert all(case["scores"]["mahalanobis"] > 0 for case in content["cases"])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--normal", "fish"), "No prompt is in the group 'fish' of normal prompts (they have plain, odd)."),
        (
            ("--trajectory", "target"),
            "none of its prompts have one (1: It has no target that is read whole.)",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_line(run: Any, more: tuple[str, ...], reason: str) -> None:
    code, out, err = run(*more, "--format", "json")
    assert (code, out) == (1, "")
    assert reason in err
    assert err.count("\n") == 1


def test_a_reference_of_no_use_is_one_line(run: Any, folder: Path) -> None:
    for name, content, reason in (
        ("two.txt", "the cat\na dog\n", "needs 3 prompts with a trajectory; 2 of its prompts have one."),
        ("none.txt", None, "There is no file"),
        ("same.txt", "the cat\n" * 4, "have the same trajectory"),
    ):
        if content is not None:
            (folder / name).write_text(content)
        code, out, err = run("--format", "json", reference=name)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert reason in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("hello", "--outliers", "r.txt"), "--outliers needs --prompts"),
        (("--prompts", "c.txt", "--normal", "a"), "--normal needs --outliers"),
        (("hello", "--trajectory", "next"), "--trajectory needs --outliers"),
        (("--prompts", "c.txt", "--outliers", "-"), "--outliers is a file"),
        (("--prompts", "c.txt", "--outliers", ""), "--outliers names no file"),
        (("--prompts", "c.txt", "--outliers", "r", "--edit", "ablate 0.1"), "--edit is not for --outliers"),
        (("--prompts", "c.txt", "--outliers", "r", "--outlier-methods", "x"), "unknown method 'x'"),
    ],
)
def test_wrong_calls(words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", *words) == 2
    assert reason in capsys.readouterr().err


def test_without_scikit_learn(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.readout.sets.outlier_methods.find_spec", lambda name: None)
    code, out, err = run("--format", "json")
    assert code == 0
    assert set(json.loads(out)["cases"][0]["scores"]) == {"mahalanobis"}
    assert "need scikit-learn: pip install 'lenstui[outliers]'" in err
    code, out, err = run("--outlier-methods", "lof")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "need scikit-learn: pip install 'lenstui[outliers]'" in err


def test_one_group_has_no_area(run: Any, folder: Path) -> None:
    cases = [case for case in CASES if case.get("group") == "plain"]
    (folder / "plain.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    words = ("--prompts", folder / "plain.jsonl", "--outlier-methods", "mahalanobis")
    code, out, err = run(*words, "--format", "json")
    assert code == 0
    assert json.loads(out)["auroc"] == []
    assert "All prompts with scores are in one group, 'plain': AUROC needs another one." in err
