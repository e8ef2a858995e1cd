"""`lenstui read --demo` reads the bundled Jacobian lens where that kind is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lenstui.cli import main

TEXT = "The trees are green and the sky is"


@pytest.fixture(autouse=True)
def no_lenses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.mark.parametrize("lenses", [None, "logit,tuned,jacobian", "jacobian"])
def test_the_command_line_reads_it_if_it_is_named(
    lenses: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["read", TEXT, "--demo", *([] if lenses is None else ["--lenses", lenses])]
    assert main([*words, "--format", "json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)["lenses"]
    wanted = ["logit", "tuned"] if lenses is None else lenses.split(",")
    assert {name for name, lens in found.items() if lens is not None} == set(wanted)
    assert "jacobian" in found
    assert said.err == ""


def test_a_file_names_the_command_that_reads_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", TEXT, "--demo", "--lenses", "logit,tuned,jacobian", "--format", "md"]) == 0
    assert "--lenses logit,tuned,jacobian" in (written := capsys.readouterr().out)
    assert "--lens " not in written
