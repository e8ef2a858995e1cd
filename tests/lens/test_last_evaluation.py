"""The last evaluation of a lens: kept beside its file, as long as that is the same."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lenstui.lens.last_evaluation import (
    LastEvaluation,
    keep_evaluations,
    last_evaluations,
    logit_evaluations,
)
from lenstui.support import paths


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def lens(tmp_path: Path) -> Path:
    path = tmp_path / "lens.pt"
    path.write_bytes(b"a lens")
    return path


def reached(kl: float | None, model: str = "gpt2") -> LastEvaluation:
    return LastEvaluation(model, ("texts/a.parquet", "b.txt"), 16384, "2026-11-30T12:00:00+00:00", kl)


def test_the_last_one_is_kept(lens: Path, tmp_path: Path) -> None:
    assert last_evaluations() == {}
    other = tmp_path / "other.pt"
    other.touch()
    assert keep_evaluations({lens: reached(0.5), other: reached(None)}) is None
    assert keep_evaluations({lens: reached(0.25, "other/model")}) is None
    assert last_evaluations() == {lens: reached(0.25, "other/model"), other: reached(None)}


def test_it_says_what_was_reached_on_what() -> None:
    assert reached(0.8749).in_words == "KL 0.87 · gpt2 on a.parquet, b.txt · 16,384 tokens · 2026-11-30"
    assert reached(None).in_words == "gpt2 on a.parquet, b.txt · 16,384 tokens · 2026-11-30"


def test_a_file_that_was_written_anew_has_none(lens: Path) -> None:
    keep_evaluations({lens: reached(0.5)})
    os.utime(lens, (1.7e9, 1.7e9))
    assert last_evaluations() == {}


def test_a_file_that_is_gone_is_forgotten(lens: Path, tmp_path: Path) -> None:
    keep_evaluations({lens: reached(0.5)})
    lens.unlink()
    other = tmp_path / "other.pt"
    other.touch()
    keep_evaluations({other: reached(1.0)})
    assert last_evaluations() == {other: reached(1.0)}
    assert str(lens) not in paths.evaluations().read_text()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 9, "lenses": {}}',
        '{"version": 1, "lenses": [1]}',
        '{"version": 1, "lenses": {"LENS": 3}}',
        '{"version": 1, "lenses": {"LENS": {"modified": MODIFIED}}}',
        '{"version": 1, "lenses": {"LENS": {"modified": MODIFIED, "model": "m", "data": [], "tokens": "many",'
        ' "time": "2026-11-30", "kl": 1}}}',
        '{"version": 1, "lenses": {"LENS": {"modified": MODIFIED, "model": "m", "data": [], "tokens": 3,'
        ' "time": "yesterday", "kl": 1}}}',
    ],
)
def test_what_cannot_be_read_is_none(lens: Path, content: str) -> None:
    file = paths.evaluations()
    file.parent.mkdir(parents=True)
    file.write_text(content.replace("LENS", str(lens)).replace("MODIFIED", str(lens.stat().st_mtime)))
    assert last_evaluations() == {}
    assert keep_evaluations({lens: reached(2.0)}) is None
    assert last_evaluations() == {lens: reached(2.0)}


def test_where_nothing_can_be_written_that_is_said(lens: Path) -> None:
    paths.state().parent.mkdir(parents=True, exist_ok=True)
    paths.state().touch()  # a file where the folder should be
    trouble = keep_evaluations({lens: reached(1.0)})
    assert trouble is not None
    assert "\n" not in trouble


def test_the_logit_lens_has_one_for_each_model(lens: Path) -> None:
    by_row = replace(reached(0.5), kl_by_row=(0.75, 0.25))
    assert keep_evaluations({lens: by_row}, {"one": reached(1.0), "two": reached(2.0)}) is None
    assert keep_evaluations({}, {"one": by_row}) is None
    assert logit_evaluations() == {"two": reached(2.0), "one": by_row}
    assert list(logit_evaluations()) == ["two", "one"]
    assert last_evaluations() == {lens: by_row}
    content = json.loads(paths.evaluations().read_text())
    content["models"]["one"]["kl_by_row"] = ["much"]
    content["models"]["two"]["kl_by_row"] = [float("nan"), 1.0]
    paths.evaluations().write_text(json.dumps(content))
    assert logit_evaluations() == {"two": reached(2.0)}
