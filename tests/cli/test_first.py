"""`lenstui read --first WORD`, values with forms that hold them all, and prompts of spaces alone."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenstui.export.first_row import Sought, first_row_text
from lenstui.readout.values import all_values
from tests.programs.calls import status

PROMPT = "hi you there "


def read(neox_folder: Path, capsys: Any, *words: str) -> tuple[str, str]:
    """What `lenstui read` prints of the prompt, and what it says."""
    lens = neox_folder.parent / "mine.pt"
    assert status("read", PROMPT, "--model", str(neox_folder), "--lens", str(lens), *words) == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


def naive(tops: list[list[list[int]]], rows: list[str], ids: list[int]) -> list[str | None]:
    """Row by row, column by column."""
    found: list[str | None] = []
    for column in range(len(tops[0])):
        label = None
        for row in range(len(rows) - 1, -1, -1):
            if "." not in rows[row] and tops[row][column][0] in ids:
                label = rows[row]
        found.append(label)
    return found


def words_on_top(content: dict[str, Any]) -> list[str]:
    """Plain letters that are the top-1 somewhere."""
    tops = content["lenses"]["logit"]["top_tokens"]
    seen = {cell[0] for row in tops for cell in row}
    return sorted(token for token in seen if len(token) == 1 and token.isascii() and token.isalnum())


@pytest.mark.parametrize("more", [(), ("--rows", "0"), ("--sublayers",), ("--lenses", "tuned")])
def test_the_first_row_by_lens_and_column(neox_folder: Path, capsys: Any, more: tuple[str, ...]) -> None:
    plain = json.loads(read(neox_folder, capsys, "--format", "json")[0])
    words = words_on_top(plain)[:3]
    asked = [part for word in words for part in ("--first", word)]
    content = json.loads(read(neox_folder, capsys, "--format", "json", *asked, *more)[0])
    assert (content["version"], "first" in plain) == (1, False)
    assert [entry["word"] for entry in content["first"]] == words
    found = 0
    for entry in content["first"]:
        assert entry["ids"]
        for name, lens in content["lenses"].items():
            if lens is None:
                assert entry[name] is None
                continue
            tops = [[cell if cell[0] is not None else [-1] for cell in row] for row in lens["top_ids"]]
            assert entry[name] == naive(tops, content["rows"], entry["ids"])
            found += sum(label is not None for label in entry[name])
    assert found or more[:1] == ("--rows",) or "tuned" in more


def test_the_table_says_what_the_key_says(neox_folder: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    plain = json.loads(read(neox_folder, capsys, "--format", "json")[0])
    word = words_on_top(plain)[0]
    entry = json.loads(read(neox_folder, capsys, "--format", "json", "--first", word)[0])["first"][0]
    lines = read(neox_folder, capsys, "--first", word)[0].splitlines()
    title = next(i for i, line in enumerate(lines) if line.startswith("first row, in the last column · "))
    for name, line in zip(("logit", "tuned"), lines[title + 2 :], strict=False):
        assert line.split() == [name, *(label or "–" for label in entry[name])]
    for name in ("logit", "tuned"):
        label = entry[name][-1]
        never = f"column {len(PROMPT) - 1} in" in lines[title] or "never in" in lines[title]
        assert f"row {label} in the {name} lens" in lines[title] if label else never


def test_a_word_that_is_no_token_is_its_first_one(neox_folder: Path, capsys: Any) -> None:
    out, _ = read(neox_folder, capsys, "--first", "zebra")
    assert 'No token is "zebra", its first one is "z": ' in out
    out, err = read(neox_folder, capsys, "--first", "zebra", "--format", "json")
    pinned = json.loads(read(neox_folder, capsys, "--pin", "z", "--format", "json")[0])["pins"]
    assert json.loads(out)["first"][0]["ids"] == [pin["id"] for pin in pinned]
    assert "No token is the word 'zebra': the first of those it is cut into, z, is looked for." in err


def test_what_is_said_names_the_tokens_that_are_there() -> None:
    sought = Sought("sky", ((3, "·sky"), (4, "sky")))
    read = {"logit lens": np.array([[1], [3], [4]]), "tuned lens": np.array([[1], [1], [2]])}
    said = first_row_text(sought, read, ["emb", "0", "1"], 0)
    assert said == '"·sky": first top-1 at row 0 in the logit lens, never in the tuned lens'
    said = first_row_text(sought, dict(reversed(read.items())), ["emb", "0", "1"], 0)
    assert said == '"·sky": never top-1 in column 0 in the tuned lens, at row 0 in the logit lens'
    said = first_row_text(Sought("a\x1b", ((9, "a"),), whole=False), read, ["emb", "0", "1"], 0)
    assert said == (
        'No token is "a\\x1b", its first one is "a": '
        "never top-1 in column 0 in the logit lens, nor in the tuned lens"
    )


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_value_is_noted_where_all_are_written(neox_folder: Path, capsys: Any, form: str) -> None:
    plain, quiet = read(neox_folder, capsys, "--format", form)
    out, err = read(neox_folder, capsys, "--format", form, "--value", all_values()[2].key)
    assert out == plain
    assert err == quiet + f"lenstui: {form} holds every value: --value kl changes nothing in it.\n"


def test_it_is_noted_of_prompt_sets_too(neox_folder: Path, capsys: Any, tmp_path: Path) -> None:
    cases = tmp_path / "cases.txt"
    cases.write_text("hi \tz\n")
    call = ("read", "--prompts", str(cases), "--model", str(neox_folder), "--format", "json")
    assert status(*call) == 0
    plain = capsys.readouterr()
    assert status(*call, "--value", "kl") == 0
    noted = capsys.readouterr()
    assert noted.out == plain.out
    assert "json holds every value" in noted.err
    assert "json holds every value" not in plain.err


@pytest.mark.parametrize("prompt", [" ", "   "])
@pytest.mark.parametrize("way", ["word", "option", "stdin"])
def test_a_prompt_of_spaces_is_read(
    neox_folder: Path, capsys: Any, monkeypatch: Any, prompt: str, way: str
) -> None:
    words = {"word": [prompt], "option": ["-p", prompt], "stdin": ["-"]}[way]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{prompt}\n".encode())))
    assert status("read", *words, "--model", str(neox_folder), "--format", "json", "--rows", "last") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["prompt"], content["tokens"]) == (prompt, ["·"] * len(prompt))
