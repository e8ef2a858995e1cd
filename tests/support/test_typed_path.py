"""Typed paths: whatever is typed, no question about it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.support.typed_path import expanded, folder_near, is_file, is_folder, is_there, open_file
from lenstui.tui.session.model_key import model_key

WORDS = st.text(max_size=8) | st.sampled_from(
    ["~", "~nobody-here/x", "/", "x" * 300, "a\0b", "\ud800", "x/" * 3000]
)


@given(st.lists(WORDS, min_size=1, max_size=3).map("".join))
def test_nothing_fails(typed: str) -> None:
    path = expanded(typed)
    assert is_there(path) >= is_file(path) + is_folder(path)
    assert folder_near(path).is_dir()
    assert model_key(typed)
    if not is_there(path):
        with pytest.raises(OSError, match=r"No such file|too long|denied|Not a directory"):
            open_file(path)


def test_what_is_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    assert is_folder(expanded("~/folder"))
    assert is_file(expanded("~/folder/file"))
    assert folder_near(expanded("~/folder/file")) == tmp_path / "folder"
    assert folder_near(expanded("~/folder/none")) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert folder_near(Path("none")) == Path("/")
