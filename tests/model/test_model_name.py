"""What a name that is typed means: OWNER/NAME@REVISION, or a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenstui.model.name import split_revision


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("a/b@v7", "a/b", "v7"),
        ("gpt2@refs/pr/1", "gpt2", "refs/pr/1"),
        ("a/b@", "a/b", None),
        ("a/b", "a/b", None),
        ("./odd@name", "./odd@name", None),
        ("/odd@name", "/odd@name", None),
        ("far/off/odd@name", "far/off/odd@name", None),
        ("odd@name.gguf", "odd@name.gguf", None),
        ("@v7", "@v7", None),
        ("here@v7", "here@v7", None),
        (f"a/b@{'x' * 5000}", "a/b", "x" * 5000),
    ],
)
def test_name_and_revision(
    text: str, name: str, revision: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here@v7").mkdir()
    assert split_revision(text) == (name, revision)
