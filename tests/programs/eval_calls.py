"""Calls of `lenstui eval` on a text of forty documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs.calls import status

WORDS = [f"The {i}th dog ran after {i * i} cats and a bird." for i in range(40)]


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A text file of forty documents."""
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(WORDS), encoding="utf-8")
    return str(path)


@pytest.fixture
def judged(neox_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What `lenstui eval --model tiny --format json` prints for further words."""

    def judged(*words: str) -> Any:
        assert status("eval", "--model", str(neox_folder), "--device", "cpu", "--format", "json", *words) == 0
        return json.loads(capsys.readouterr().out)

    return judged
