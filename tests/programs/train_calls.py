"""`lenstui train` in this process, for a few steps."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lenstui.cli import main


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred short documents, one after the other."""
    words = [
        "the",
        "a",
        "cat",
        "dog",
        "sat",
        "on",
        "mat",
        "and",
        "ran",
        "to",
        "see",
        "sky",
        "blue",
        "green",
        "tree",
    ]
    pick = random.Random(0)
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("\n\n".join(" ".join(pick.choices(words, k=20)) for _ in range(200)))
    return file


def train(model: Path, text: Path, *words: str) -> int:
    few = ["--steps", "4", "--tokens-per-step", "128"]
    return main(["train", "--model", str(model), "--data", str(text), *few, *words])
