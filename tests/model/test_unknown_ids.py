"""Tokens that a tokenizer gives and its model does not have: one line says which, and how many there are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.fitting.options import preset
from lenstui.lens import LensError, Prompt, evaluate, fit, generate, load, read_tiles
from tests.programs.calls import status

SAID = "The token <more> has the id 258, and {} reads 258 ids (0 … 257); its tokenizer gives 259."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, byte_tokenizer: Any) -> Path:
    """The tiny model with a tokenizer that was given one more token."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("more") / "more"
    shutil.copytree(tiny_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.add_tokens(["<more>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    return folder


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said; one line, and nothing on stdout."""
    out, err = capsys.readouterr()
    assert out == "" and "Error" not in err
    return err.splitlines()[-1]


@pytest.mark.parametrize("more", [(), ("--append", "2"), ("--sublayers",), ("--format", "json")])
def test_a_prompt(folder: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    assert status("read", "a <more> b", "--model", str(folder), *more) == 1
    assert complaint(capsys).startswith(f"lenstui: {SAID.format(folder)}")


@pytest.mark.parametrize("option", ["--pin", "--first"])
def test_a_word(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert status("read", "a b", "--model", str(folder), option, "<more>") == 1
    said = (
        "The model has no logit for '<more>': its tokenizer gives it the id 258, and the vocabulary has ids"
    )
    assert complaint(capsys) == f"lenstui: {said} 0 … 257."


def test_a_prompt_set_marks_those(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a good one\na <more> b\nthe target\t<more>\n")
    assert status("read", "--prompts", str(file), "--model", str(folder), "--format", "json") == 0
    out, err = capsys.readouterr()
    assert "2 of 3 prompts cannot be read" in err
    beginning, _ = SAID.split("{}")  # the path is long here, and takes what is behind it with it
    assert f"line 2: {beginning}" in err
    assert "line 3: The model has no logit for '<more>'" in err
    assert "good one" in json.dumps(json.loads(out))


def test_a_text_to_fit_on_is_refused_before_the_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join([f"the cat <more> sat on the mat {number}" for number in range(40)]))
    words = ("--model", str(folder), "--data", str(file))
    assert status("train", *words, "--steps", "1", "--save", str(tmp_path / "lens.pt")) == 1
    assert complaint(capsys).startswith(f"lenstui: {SAID.format(folder)}")
    assert list(tmp_path.iterdir()) == [file]
    assert status("eval", *words) == 1
    assert complaint(capsys).startswith(f"lenstui: {SAID.format(folder)}")


def test_the_library(folder: Path) -> None:
    model = load(str(folder))
    said = "has the id 999, and .* reads 258 ids"
    with pytest.raises(LensError, match=said):
        list(read_tiles(model, Prompt("", (5, 999, 7))))
    with pytest.raises(LensError, match=said):
        list(generate(model, [5, 999], count=1))
    with pytest.raises(LensError, match=said):
        evaluate(model, [torch.tensor([5, 999, 7])])
    with pytest.raises(LensError, match="The token <more> has the id 258"):
        fit(model, ["a cat " * 40, "a <more> b" * 40], preset("quick", steps=1, seq_len=16))
    with pytest.raises(LensError, match="has the id -1"):
        list(read_tiles(model, Prompt("", (5, -1))))


def test_an_embedding_that_is_shorter_than_the_vocabulary(folder: Path) -> None:
    model = load(str(folder))
    assert model.known_ids == model.vocabulary == 258
    model.module.set_input_embeddings(torch.nn.Embedding(100, 16))
    with pytest.raises(LensError, match=r"has the id 200, and .* reads 100 ids \(0 … 99\)"):
        list(generate(model, [5, 200], count=1))
