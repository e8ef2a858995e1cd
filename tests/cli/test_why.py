"""`lenstui why`: its forms against the library, and what it says of wrong calls."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lenstui
from lenstui.lens import Model, load
from tests.manual.pages import MANUAL, codes, section_text
from tests.programs.calls import status

TEXT = "The trees are green and the sky is"
DEMO = ("--demo",)


@pytest.fixture(scope="module")
def model() -> Model:
    from lenstui.support.paths import bundled_model

    return load(str(bundled_model()), device="cpu")


def out(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert status("why", *words) == 0
    return capsys.readouterr().out


def test_json_is_what_the_library_says(capsys: pytest.CaptureFixture[str], model: Model) -> None:
    words = (
        TEXT,
        *DEMO,
        "--lenses",
        "tuned",
        "--row",
        3,
        "--column",
        5,
        "--token",
        "blue",
        "--minus",
        "green",
    )
    found = json.loads(out(capsys, *words, "--format", "json", "--all-rows", "--neurons"))
    lens = lenstui.open_lens(Path(__file__).parents[2] / "assets" / "demo" / "bundled.pt")
    wanted = lenstui.contributions(
        model, TEXT, lens, row=4, column=5, token="blue", minus="green", neurons=True, all_rows=True
    )
    assert (found["version"], found["row"], found["column"], found["lens"]) == (1, "3", 5, "tuned")
    assert found["token"] == {"id": wanted.token, "text": "·blue"}
    assert found["minus"] == {"id": wanted.minus, "text": "·green"}
    assert found["token_ids"] == list(wanted.ids)
    assert found["tokens"][:2] == ["The", "·trees"]
    assert (found["prompt"], found["dtype"]) == (TEXT, "float32")
    assert found["lens_files"]["tuned"]["file"] == "bundled.pt"
    assert found["logit"] == pytest.approx(wanted.logit)
    assert [each["name"] for each in found["components"]] == [each.name for each in wanted.components]
    total = sum(each["contribution"] for each in found["components"])
    assert total == pytest.approx(found["logit"], abs=found["error"] + 1e-5)
    names = [f"{block}.{head}" for block in range(4) for head in range(4)]
    assert [each["name"] for each in found["heads"]] == names
    for each in found["heads"]:
        block, head = wanted.head(each["name"])
        np.testing.assert_allclose(each["sources"], wanted.sources[block, head], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(each["attention"], wanted.weights[block, head], rtol=1e-4, atol=1e-6)
        assert sum(each["sources"]) == pytest.approx(each["contribution"], abs=1e-5)
    np.testing.assert_allclose(found["attention_bias"], wanted.attention_bias, rtol=1e-4, atol=1e-6)
    assert len(found["neurons"]) == len(wanted.named_neurons)
    assert (found["no_heads"], found["no_sources"], found["no_neurons"]) == ([None] * 4,) * 3
    assert found["growth"]["rows"] == ["emb", "0", "1", "2", "3"]
    assert found["growth"]["sums"][-1] == pytest.approx(found["logit"], abs=1e-5)


def test_every_key_and_column_is_in_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    page = MANUAL / "files.md"
    found = json.loads(out(capsys, TEXT, *DEMO, "--format", "json", "--all-rows", "--neurons"))
    inner = {*found["token"], *found["heads"][0], *found["growth"]}
    assert {*found, *inner} <= set(codes(section_text(page, "JSON")))
    header = next(csv.reader(out(capsys, TEXT, *DEMO, "--format", "csv").splitlines()))
    assert set(header) <= set(codes(section_text(page, "CSV and Parquet")))


def test_csv_has_a_line_for_each_contribution(capsys: pytest.CaptureFixture[str], model: Model) -> None:
    column = 3
    text = out(capsys, TEXT, *DEMO, "--column", column, "--format", "csv", "--all-rows")
    lines = list(csv.DictReader(io.StringIO(text)))
    wanted = lenstui.contributions(model, TEXT, column=column)
    kinds = [line["what"] for line in lines]
    assert kinds.count("component") == 2 * model.num_blocks + 2
    assert kinds.count("head") == 4 * model.num_blocks
    assert kinds.count("source") == 4 * model.num_blocks * (column + 1)
    assert kinds.count("row") == model.num_blocks + 1
    components = {line["name"]: float(line["contribution"]) for line in lines if line["what"] == "component"}
    for each in wanted.components:
        assert components[each.name] == pytest.approx(each.contribution, abs=1e-5)
    assert sum(components.values()) == pytest.approx(wanted.logit, abs=1e-4)
    source = next(line for line in lines if line["what"] == "source" and line["name"] == "2.1")
    assert (source["source_column"], source["source_token"]) == ("0", "The")
    assert float(source["contribution"]) == pytest.approx(wanted.sources[2, 1, 0], abs=1e-6)
    assert float(source["attention"]) == pytest.approx(wanted.weights[2, 1, 0], abs=1e-6)
    assert {line["prompt"] for line in lines} == {TEXT}


def test_the_table_has_the_strongest_first(capsys: pytest.CaptureFixture[str], model: Model) -> None:
    shown = out(capsys, TEXT, *DEMO, "--top", 3, "--head", "2.1", "--all-rows")
    wanted = lenstui.contributions(model, TEXT)
    first = shown.splitlines()[0]
    assert first == f'row 5 · column 7 "·is" → "{model.texts[wanted.token]}" · logit lens'
    lines = [line.split() for line in shown.splitlines()]
    for what, components in (("component", wanted.components), ("head", wanted.named_heads)):
        start = next(place for place, line in enumerate(lines) if line[:1] == [what])
        ranked = sorted(components, key=lambda each: -abs(each.contribution))[:3]
        assert [line[0] for line in lines[start + 1 : start + 4]] == [each.name for each in ranked]
    assert "attention head 2.1, in column 7" in shown
    assert "direct effects" in shown
    assert "they add up to it but for" in shown


def test_no_line_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", "60")
    shown = out(capsys, TEXT, *DEMO, "--head", "1.1")
    long = [line for line in shown.splitlines() if cell_len(line) > 60]
    assert long == []


def test_markdown_names_the_command_that_makes_it_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import shlex

    words = (TEXT, *DEMO, "--row", 2, "--token", "blue", "--minus", "green", "--neurons", "--top", 4)
    shown = out(capsys, *words, "--format", "md")
    (command,) = (line for line in shown.splitlines() if line.startswith("lenstui why "))
    again = shlex.split(command)[2:]
    assert out(capsys, *again) == shown
    listed = [line for line in shown.splitlines() if line.startswith("| `")]
    assert len(listed) == 12  # components, heads and neurons
    assert all("`" not in line.split("|")[2] for line in listed)
    file = tmp_path / "why.md"
    assert status("why", *words, "-o", file) == 0
    capsys.readouterr()
    assert "**components" in file.read_text("utf-8")


def test_sources_are_left_out_where_they_are_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out(capsys, TEXT, *DEMO, "--no-sources", "--format", "json"))
    assert {each["sources"] for each in found["heads"]} == {None}
    assert set(found["no_sources"]) == {"they were not asked for"}
    assert "no sources in blocks 0-5: they were not asked for" in out(capsys, TEXT, *DEMO, "--no-sources")


def test_the_lens_that_is_named_is_the_one_of_the_cell(
    capsys: pytest.CaptureFixture[str], neox_folder: Path
) -> None:
    model = ("--model", neox_folder)
    named = json.loads(
        out(capsys, "Hello", *model, "--lens", neox_folder.parent / "mine.pt", "--row", 0, "--format", "json")
    )
    logit = json.loads(out(capsys, "Hello", *model, "--row", 0, "--format", "json"))
    assert (named["lens"], logit["lens"]) == ("tuned", "logit")
    assert named["logit"] != logit["logit"]


def test_a_word_that_is_no_token_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("why", TEXT, *DEMO, "--token", "greenishest") == 0
    said = capsys.readouterr().err
    assert "No token is the word 'greenishest': the first of those it is cut into" in said


WRONG: list[tuple[tuple[Any, ...], int, str]] = [
    ((), 2, "give a PROMPT"),
    ((TEXT, "--row", "x"), 2, "'x' is no row"),
    ((TEXT, "--row", "0-3"), 2, "'0-3' is no row"),
    ((TEXT, "--column", "-1"), 2, "--column"),
    ((TEXT, "--column", "x"), 2, "'x' is no column: a number from 0 on, or last"),
    ((TEXT, "--token", ""), 2, "is empty"),
    ((TEXT, "--top", "0"), 2, "must be a whole number from 1 on"),
    ((TEXT, "--lenses", "x"), 2, "invalid choice"),
    ((TEXT, "--lenses", "logit", "--lens", "x.pt"), 2, "--lens is of no use with --lenses logit"),
    ((TEXT, "--lens", "x.pt", "--lens", "y.pt"), 2, "give --lens once"),
    ((TEXT, "--head", "1.1", "--no-sources"), 2, "leave --no-sources out"),
    ((TEXT, "-o", "x.parquet"), 2, "does not tell the format"),
    ((TEXT, "--head", "7"), 1, "'7' is no attention head: give block and head"),
    ((TEXT, "--head", "9.0"), 1, "There is no block 9 below row 5: there are blocks 0 … 5"),
    ((TEXT, "--head", "3.0", "--row", "2"), 1, "There is no block 3 below row 2"),
    ((TEXT, "--head", "1.4"), 1, "There is no attention head 1.4: block 1 has heads 0 … 3"),
    ((TEXT, "--head", "0.0", "--row", "emb"), 1, "Row emb has no block below it"),
    ((TEXT, "--row", "6"), 1, "There is no row 6: this model has rows emb, 0 … 5"),
    ((TEXT, "--column", "8"), 1, "There is no column 8: this prompt has columns 0 … 7"),
    ((TEXT, "--token", "[id 99999]"), 1, "There is no token 99999"),
    ((TEXT, "--token", "blue", "--minus", "blue"), 1, "less itself is nothing"),
    ((TEXT, "--lenses", "jacobian", "--row", "9"), 1, "There is no row 9"),
    ((TEXT, "--chat"), 1, "no chat template"),
]


@pytest.mark.parametrize(("words", "code", "message"), WRONG, ids=[wrong[2] for wrong in WRONG])
def test_a_wrong_call_is_one_clear_line(
    words: tuple[Any, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("why", *words, *DEMO) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_model_without_attention_heads_says_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, byte_tokenizer: Any
) -> None:
    from tests.tiny.families import FAMILIES, random_model

    random_model(FAMILIES["Mamba"].config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    shown = out(capsys, "Hello", "--model", tmp_path)
    assert "no attention heads in blocks 0-2: it has no attention" in shown
    assert status("why", "Hello", "--model", tmp_path, "--head", "0.0") == 1
    assert "Block 0 has no attention heads to show: it has no attention." in capsys.readouterr().err
