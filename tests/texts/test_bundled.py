"""Which of lenstui's texts a model's lens is fitted on, and what that is called on its card."""

from __future__ import annotations

from pathlib import Path

from lenstui.model.name import BUNDLED_MODEL, DEFAULT_MODEL
from lenstui.support.paths import bundled_text, general_sample
from lenstui.texts.bundled import text_for, text_name


def test_stories_are_for_the_bundled_model_alone() -> None:
    assert text_for(BUNDLED_MODEL).path == bundled_text()
    for model in (DEFAULT_MODEL, "/models/tiny", ""):
        assert text_for(model).path == general_sample()


def test_a_text_of_lenstui_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert text_name(bundled_text()) == "lenstui's stories"
    assert (
        text_name(general_sample().parent / ".." / "sample" / "general.parquet") == "lenstui's general sample"
    )
    assert text_name(tmp_path / "general.parquet") == "general.parquet"
