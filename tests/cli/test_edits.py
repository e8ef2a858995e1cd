"""`lenstui read --edit`: what it says, what it holds, and the command that makes it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs.calls import status

DEMO = ("read", "The cat sat on the mat", "--demo")
ABLATION = "ablate 2.attn @1-3"


def content(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert status(*DEMO, *words, "--format", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_the_edits_and_the_numbers_under_them(capsys: pytest.CaptureFixture[str]) -> None:
    clean, changed = (
        content(capsys),
        content(capsys, "--edit", f" {ABLATION}", "--edit", "ablate row 0 @0 mean"),
    )
    assert (clean["edits"], changed["edits"]) == ([], [ABLATION, "ablate row 0 @0 mean"])
    before, after = (np.array(each["lenses"]["logit"]["entropy"]) for each in (clean, changed))
    np.testing.assert_array_equal(before[0], after[0])  # emb is below every edit
    assert (before[3:] != after[3:]).all()


def test_the_effect_is_edited_minus_clean(capsys: pytest.CaptureFixture[str]) -> None:
    clean, changed = content(capsys), content(capsys, "--edit", ABLATION)
    options = ("--edit", ABLATION, "--diff", "--value", "entropy", "--lenses", "logit")
    assert status(*DEMO, *options) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "logit lens edited − logit lens clean · entropy · ≠ another token leads"
    assert f"edited: {ABLATION}" in shown[-1]
    before, after = (np.array(each["lenses"]["logit"]["entropy"]) for each in (clean, changed))
    for line, wanted in zip(shown[2:], (after - before)[::-1], strict=False):
        signed = (word.replace("−", "-") for word in line.split()[1:])
        found = [float(word) for word in signed if word.lstrip("+-").replace(".", "").isdigit()]
        np.testing.assert_allclose(found, wanted, atol=0.006)


def test_the_command_makes_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other prompt.txt"
    other.write_text('The "dog" sat on the mat\n')
    edits = ("--edit", f'patch row 1 @"{other}"', "--edit", 'patch 3.mlp @last "It is" @0', "--append", "2")
    assert status(*DEMO, *edits, "--format", "md") == 0
    shown = capsys.readouterr().out
    command = shown.split("```sh\n")[1].split("\n```")[0]
    assert status(*shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (("--edit", "ablat 2.attn"), 2, "at 'ablat': 'ablat' is no edit: perhaps 'ablate' is meant"),
        (("--edit", "ablate 9.attn"), 1, "Edit 'ablate 9.attn': there is no block 9"),
        (("--edit", ABLATION, "--diff", "--lenses", "logit,tuned"), 1, "by one lens, and these are 2"),
        (("--edit", "ablate row 1", "--sublayers"), 1, "an edit changes the stream itself"),
    ],
)
def test_what_cannot_be_edited_is_one_line(
    words: tuple[str, ...], exit_status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*DEMO, *words) == exit_status
    line = capsys.readouterr().err.strip().splitlines()
    assert len(line) == 1
    assert said in line[0]
