"""`lenstui eval --words`: the contract of its JSON, its tables, its complaints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui import TunedLens, __version__, load, open_items, open_lens, pass_at_k, save_lens
from tests.programs.calls import status
from tests.tiny.folders import CONTEXT, neox_in

WORDS = [
    *({"prompt": f"{n} dogs saw ", "target": "a", "intermediates": ["a", "7", "b"]} for n in range(6)),
    {"prompt": "A cat.\nA dog", "intermediates": ["zebra", "c"], "at": "newline"},
    {"prompt": "A cat", "intermediates": ["zebra"]},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """Of a random model of four blocks, with items, and a lens that is the identity and a little more."""
    folder = tmp_path_factory.mktemp("words")
    neox_in(folder / "model", byte_tokenizer, blocks=4, context=CONTEXT)
    save_lens(TunedLens(torch.randn(4, 32, 32) / 5, torch.randn(4, 32) / 5), folder / "mine.pt")
    (folder / "items.json").write_text(json.dumps({"items": WORDS}), encoding="utf-8")
    return folder


def words_of(folder: Path, *more: object) -> list[str]:
    model = ("--model", folder / "model", "--lens", folder / "mine.pt", "--device", "cpu")
    return ["eval", "--words", *map(str, (folder / "items.json", *model, *more))]


def lens_content(passes: Any) -> dict[str, Any]:
    return {
        "pass": {str(k): share for k, share in passes.passed.items()},
        "stderr": {str(k): error for k, error in passes.stderr.items()},
        "by_row": {str(k): list(shares) for k, shares in passes.by_row.items()},
    }


def test_the_contract(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words_of(folder, "--format", "json", "--band", "1-2")) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    content = json.loads(captured.out)
    model = load(str(folder / "model"), device="cpu")
    items = open_items(folder / "items.json")
    result = pass_at_k(model, items, open_lens(folder / "mine.pt"), band=[2, 3])
    assert (content["version"], content["lenstui"], content["k"]) == (1, __version__, [1, 5, 10])
    assert (content["model"], content["dtype"], content["lens"]) == (
        str(folder / "model"),
        "float32",
        "mine.pt",
    )
    assert (content["revision"], content["words"]) == (None, str(folder / "items.json"))
    assert content["lens_files"]["tuned"]["file"] == "mine.pt"
    assert (content["rows"], content["band"]) == (["0", "1", "2"], ["1", "2"])
    assert (content["items"], content["skipped"], content["skipped_items"]) == (7, 2, 1)
    assert (content["incorrect"], content["not_finite"]) == (None, 0)
    for read, ours in ((content, result), (content["stripped"], result.stripped)):
        assert ours is not None
        assert read["lenses"] == {
            **{key: lens_content(ours.lenses[key]) for key in ("logit", "tuned")},
            "jacobian": None,
        }
    assert (content["ending_in_space"], content["stripped"]["items"]) == (6, 7)
    assert content["stripped"]["lenses"] != content["lenses"]


def test_no_prompt_ends_in_a_space_and_one_item_is_left(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"prompt": "A cat", "intermediates": ["a"]}))
    words = words_of(folder, "--format", "json")
    words[2] = str(path)
    assert status(*words) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["stripped"], content["ending_in_space"], content["items"]) == (None, 0, 1)
    assert content["lenses"]["logit"]["stderr"] == {"1": None, "5": None, "10": None}


def test_the_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words_of(folder)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["pass@", "logit", "tuned"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "5", "10"]
    assert all(line.count(" ± 0.") == 2 for line in lines[1:4])
    assert lines[5].split() == ["@10,", "row", "logit", "tuned"]
    assert [line.split()[0] for line in lines[6:9]] == ["2", "1", "0"]
    assert lines[10] == "6 prompts end in a space, read as written above; stripped:"
    assert lines[12].split() == ["pass@", "logit", "tuned"]
    assert lines[-3] == (
        "mean share of an item's words whose rank is below k in the best of 3 rows, 0 to 2, "
        "± its standard error"
    )
    assert lines[-2] == "7 items · skipped: 2 words without a single token, and with them 1 item"
    assert lines[-1].endswith("tuned lens mine.pt")


def test_the_tables_fit_a_narrow_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert status(*words_of(folder)) == 0
    tables = [line for line in capsys.readouterr().out.split("mean share")[0].splitlines() if "±" in line]
    assert len(tables) == 2 * 2 * 3  # a lens each, as written and stripped
    assert max(map(len, tables)) <= 30


def test_into_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*words_of(folder, "-o", tmp_path / "out.json")) == 0
    assert capsys.readouterr() == ("", "")
    assert json.loads((tmp_path / "out.json").read_text())["items"] == 7
    assert status(*words_of(folder, "-o", folder / "items.json")) == 1
    assert "is read by this command: write to another file." in capsys.readouterr().err
    assert json.loads((folder / "items.json").read_text()) == {"items": WORDS}


def test_correct_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The items have as target what the model says after them, in two of three cases."""
    model = load(str(folder / "model"), device="cpu")
    asked = [{"prompt": f"{n} cats", "intermediates": ["a"]} for n in range(12)]
    items = []
    for item in asked:
        ids = torch.tensor([model.tokenizer(item["prompt"])["input_ids"]])
        said = model.tokenizer.decode([int(model.module(ids).logits[0, -1].argmax())])
        if said.strip() and "\ufffd" not in said:
            items += [{**item, "target": said}, {**item, "target": f"{said}!"}, {**item, "target": "\u2191"}]
    assert items
    path = folder / "answered.json"
    path.write_text(json.dumps(items))
    words = words_of(folder, "--correct-only")
    words[2] = str(path)
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["items"], content["incorrect"]) == (len(items) * 2 // 3, len(items) // 3)
    assert status(*words) == 0
    line = f"{content['items']} items · those that the model answers correctly"
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--words"], "argument --words: expected one argument"),
        (["--words", "x", "--data", "y"], "--data does not go with --words"),
        (["--words", "x", "--text-column", "y"], "--text-column does not go with --words"),
        (["--words", "x", "--max-samples", "3"], "--max-samples does not go with --words"),
        (["--words", "x", "--min-chars", "3"], "--min-chars does not go with --words"),
        (["--words", "x", "--max-tokens", "3"], "--max-tokens does not go with --words"),
        (["--words", "x", "--seq-len", "3"], "--seq-len does not go with --words"),
        (["--data", "x", "--band", "1-2"], "--band does not go with --data"),
        (["--data", "x", "--correct-only"], "--correct-only does not go with --data"),
        (["--words", "x", "--band", "high"], "argument --band: 'high' is no row"),
        (["--words", "x", "--band", "6-3"], "argument --band: '6-3' runs downwards"),
        (["--words", "x", "-o", "x.csv"], "the ending .csv does not tell the format"),
        (["--words", "x", "--format", "csv"], "--format csv is for other results: here it is table or json"),
    ],
)
def test_a_wrong_call(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("eval", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "more", "complaint"),
    [
        (None, [], "There is no file FILE."),
        ("nonsense", [], "FILE is neither JSON nor JSON lines (line 1: not JSON)."),
        ("[]", [], "There are no items in FILE."),
        ('[{"intermediates": ["a"]}]', [], "Item 1 of FILE is wrong: it has no 'prompt'."),
        ('[{"prompt": "a"}]', [], "Item 1 of FILE is wrong: it has no 'intermediates'."),
        ('[{"prompt": "a", "intermediates": ["zebra"]}]', [], "No intermediate of these items is a single"),
        ('[{"prompt": "a", "intermediates": ["a"]}]', ["--correct-only"], "No item has a target"),
        ('[{"prompt": "a", "intermediates": ["a"]}]', ["--band", "9"], "There is no row 9: this model has"),
        (
            '[{"prompt": "a", "intermediates": ["a"]}]',
            ["--band", "emb"],
            "No row of the band is one",
        ),
        ('[{"prompt": "a", "intermediates": ["a"], "at": 9}]', [], "Item 1: its prompt has no token 9"),
    ],
)
def test_a_failure_is_one_line(
    content: str | None,
    more: list[str],
    complaint: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    words = words_of(folder, *more)
    words[2] = str(path)
    assert status(*words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint.replace("FILE", str(path)) in captured.err
    assert captured.err.count("\n") == 1


def test_a_wrong_file_is_found_before_a_model_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lenstui.opening.opened.open_model", lambda *_: pytest.fail("opened"))
    assert status("eval", "--demo", "--words", "no.json") == 1
    assert "There is no file no.json." in capsys.readouterr().err


def test_rows_without_a_number_are_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_lens(TunedLens(torch.full((4, 32, 32), float("nan")), torch.zeros(4, 32)), tmp_path / "broken.pt")
    words = [str(tmp_path / "broken.pt") if word.endswith("mine.pt") else word for word in words_of(folder)]
    assert status(*words) == 0
    captured = capsys.readouterr()
    assert captured.err == (
        "lenstui: 7 of 7 items have rows without a number: logits are not finite in float32. "
        "No word is found there.\n"
    )


def test_words_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranks among the tokens with a letter or digit: no share is smaller, and the tables say so."""
    shares = {}
    for option in ((), ("--words-only",)):
        assert status(*words_of(folder, "--format", "json", *option)) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["words_only"] is bool(option)
        shares[bool(option)] = [content["lenses"][key]["pass"]["10"] for key in ("logit", "tuned")]
    assert all(filtered >= plain for filtered, plain in zip(shares[True], shares[False], strict=True))
    assert shares[True] != shares[False]
    assert status(*words_of(folder, "--words-only")) == 0
    said = "words only: tokens without a letter or digit count in no rank, but for forms of the words"
    assert said in capsys.readouterr().out.splitlines()
    assert status("eval", "--data", str(folder / "items.json"), "--words-only") == 2
    assert "--words-only does not go with --data" in capsys.readouterr().err
