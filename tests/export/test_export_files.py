"""Names of exported files: whatever is typed as a prompt, they are one plain name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.export.names import proposed_path, shown_path, typed_path
from lenstui.support import paths
from lenstui.support.errors import LensError

WILD = st.text(st.characters(), max_size=200)


@given(model=WILD, prompt=WILD)
def test_a_name_is_plain_and_fits_any_disk(model: str, prompt: str) -> None:
    path = proposed_path(model, prompt, ".html")
    assert path.parent == paths.exports()
    assert path.suffix == ".html"
    assert path.name.isprintable()
    assert not path.name.startswith(("-", "."))
    assert not set(path.name) & set(" /\\:*?\"'<>|$`&;()[]{}~#!")
    assert len(path.name.encode()) <= 255


def test_it_is_of_the_model_and_the_first_words() -> None:
    path = proposed_path("EleutherAI/pythia-14m", "The trees, they are green and tall", ".csv", "row")
    assert path.name == "pythia-14m-The-trees-they-are-green-row.csv"
    assert proposed_path("/models/mine/", "\x1b[31m…", ".md").name == "mine-31m.md"
    assert proposed_path("…", "…", ".md").name == "model.md"


def test_the_first_number_that_no_file_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "exports", lambda: tmp_path)
    for name in ("m-x.svg", "m-x-2.svg"):
        assert proposed_path("m", "x", ".svg").name == name
        (tmp_path / name).touch()
    (tmp_path / "m-x-3.svg").symlink_to(tmp_path / "nowhere")  # even that would be lost
    assert proposed_path("m", "x", ".svg").name == "m-x-4.svg"


def test_what_is_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/a b/x.md") == tmp_path / "a b" / "x.md"
    assert typed_path(" x.md ") == tmp_path / "x.md"
    assert shown_path(tmp_path / "a" / "x.md") == "~/a/x.md"
    assert shown_path(Path("/elsewhere/x.md")) == "/elsewhere/x.md"
    for wrong in ("", " ", "~", "a/", ".", "x\0y", "~nobody-of-that-name/x", "x" * 5000):
        with pytest.raises(LensError) as told:
            typed_path(wrong)
        assert "\n" not in str(told.value)
