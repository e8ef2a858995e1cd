"""The text that the form for a fit proposes: lenstui's own for the model, or the last one that was used."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from lenstui.jobs.fit_messages import Phase
from lenstui.model.name import BUNDLED_MODEL
from lenstui.support.paths import bundled_text, general_sample
from lenstui.support.request import Start
from lenstui.tui.session.fit_texts import LastText
from lenstui.tui.session.session import Session
from lenstui.tui.shared.choice import Choice
from lenstui.tui.training.form import TrainForm
from tests.tui.pilots.fit_pilot import begin, few_stories, folder, static, text, until_phase
from tests.tui.pilots.looking import until
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.pilots.still import MODEL, Still, show

__all__ = ["few_stories", "folder", "text"]


def asked_for(app: Any) -> tuple[str, ...]:
    """The files that the form would fit on."""
    request = app.screen.query_one(TrainForm)._request()
    paths: tuple[str, ...] = request.documents.paths
    return paths


def data(app: Any) -> Input:
    found: Input = app.screen.query_one("#data", Input)
    return found


async def test_stories_for_the_bundled_model_and_the_general_sample_for_others() -> None:
    app = Still(Start(prompt="x"))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, replace(MODEL, name=BUNDLED_MODEL))
        await pilot.press("escape", "t")
        assert "simple stories" in str(data(app).placeholder)
        assert asked_for(app) == (str(bundled_text()),)
        await show(pilot, MODEL)
        await pilot.pause()
        assert "general sample" in str(data(app).placeholder)
        assert asked_for(app) == (str(general_sample()),)


async def test_the_form_says_what_text_a_lens_needs() -> None:
    app = Still(Start(prompt="x"))
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await pilot.press("escape", "t")
        assert "like what the model was trained on" in static(app, "#need")
        assert f"quick {16_384 + 32 * 256:,} tokens" in static(app, "#need")
        app.screen.query_one("#preset", Choice).value = "adam"
        await until(pilot, lambda: f"adam {500 * 512:,} tokens" in static(app, "#need"))


async def test_the_general_sample_is_counted_whole(opened: Any) -> None:
    import pyarrow.parquet as pq

    documents = pq.read_metadata(general_sample()).num_rows
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        await until(pilot, lambda: f"{documents} documents" in static(app, "#size"))


async def test_the_last_file_is_proposed_in_the_next_session(
    folder: Path, text: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, start = tmp_path / "state" / "session.json", Start(model=str(tiny_model), prompt="Hello, you")
    monkeypatch.chdir(text.parent)
    app = begun(start, session)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await begin(app, pilot, text.name)  # named from this folder
        await until_phase(app, pilot, Phase.KEPT)
        await pilot.press("escape", "q")
        await until(pilot, session.exists)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    app = begun(replace(start, prompt=None), session)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape", "t")
        assert data(app).value == str(text)
        await until(pilot, lambda: "20 documents" in static(app, "#size"))

    text.unlink()
    app = begun(replace(start, prompt=None), session)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape", "t")
        assert data(app).value == ""
        assert "general sample" in str(data(app).placeholder)


async def test_each_model_has_its_own_last_file(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "with space.jsonl"
    other.write_text('{"body": "x"}\n')
    app = Still(Start(prompt="x"))
    app.program.fit_texts.keep("a/b", LastText.of([str(text), str(other)], "body"))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, replace(MODEL, name="a/b"))
        await pilot.press("escape", "t")
        assert asked_for(app) == (str(text), str(other))
        assert app.screen.query_one(TrainForm)._line("column").text == "body"
        await show(pilot, replace(MODEL, name="c/d"))
        await pilot.pause()
        assert asked_for(app) == (str(general_sample()),)
        assert app.screen.query_one(TrainForm)._line("column").text == ""
        data(app).value = "mine.txt"
        await show(pilot, replace(MODEL, name="a/b"))
        await pilot.pause()
        assert data(app).value == "mine.txt"  # what was typed stays


def test_the_session_keeps_the_texts_of_others(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    first, second = Session(path), Session(path)
    first.fit_texts.keep("a/b", LastText("/x.txt"))
    second.fit_texts.keep("c/d", LastText("/y.txt", "body"))
    second.fit_texts.keep(os.curdir, LastText("/z.txt"))
    assert first.save() is None
    assert second.save() is None
    found = Session(path).fit_texts
    assert (found.of("a/b"), found.of("c/d")) == (LastText("/x.txt"), LastText("/y.txt", "body"))
    assert found.of(str(Path.cwd())) == LastText("/z.txt")
    assert Session(path, restores=False).fit_texts.of("a/b") == LastText()
    assert Session(path, restores=False).save() is None
    assert json.loads(path.read_text())["fit_texts"]["a/b"] == {"data": "/x.txt", "column": ""}


@pytest.mark.parametrize("found", [None, [], {"a/b": 3}, {"a/b": {"data": 1, "column": ""}}, {"a/b": {}}])
def test_what_is_no_text_is_passed_over(found: object, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text(json.dumps({"version": 1, "fit_texts": found}))
    assert Session(path).fit_texts.of("a/b") == LastText()
