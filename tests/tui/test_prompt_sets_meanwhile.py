"""While a prompt set is read: other work, stops, other models, other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from lenstui.jobs.set_messages import SetEnd
from lenstui.jobs.sets import OTHER_MODEL
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.shared.file_dialogs import OpenPrompts
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.prompt_sets_pilot import (
    file,
    go,
    long_file,
    name,
    notes,
    numbers,
    said,
    screen_of,
    table,
)

__all__ = ["file", "long_file"]


async def test_prompts_are_answered_meanwhile_and_a_key_stops(opened: Any, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 3)
        assert "s stops" in said(app)
        await pilot.press("x")
        assert "still being read" in notes(app)
        await pilot.press("e")
        assert app.screen is app.explore
        await pilot.press("i", "end", *"!?", "enter")
        await until(pilot, lambda: app.explore.state.columns[-1:] == ("?",) and subtitle(app).endswith(" s"))
        assert screen_of(app).state.is_reading
        await pilot.press("e", "s")
        await until(pilot, lambda: not screen_of(app).state.is_reading)
        done = len(screen_of(app).state.run.cases)  # type: ignore[union-attr]
        assert 3 < done < 5000
        assert f"stopped at {done} of 5000" in said(app)
        assert table(app).shown[-1].line.number == done
        await pilot.press("s")
        assert "Nothing is being read." in notes(app)


async def test_escape_stops_first_and_leaves_then(opened: Any, file: Path, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 0)
        await pilot.press("escape")
        await until(pilot, lambda: not screen_of(app).state.is_reading)
        assert isinstance(app.screen, PromptSets)
        await pilot.press("escape")
        assert app.screen is app.explore
        await pilot.press("e")
        assert len(table(app).shown) > 0
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: screen_of(app).state.is_reading)
        await name(app, pilot, str(file))  # takes its place
        await until(pilot, lambda: not screen_of(app).state.is_reading)
        assert numbers(app) == [1, 2, 3, 4, 5]


async def test_another_model_stops_it(opened: Any, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 0)
        app.program.models.load(app.program.start)
        await until(pilot, lambda: not screen_of(app).state.is_reading)
        assert OTHER_MODEL in said(app)
        run = screen_of(app).state.run
        assert run is not None
        assert run.end is SetEnd.STOPPED
        await until(pilot, lambda: run.is_stale)


async def test_browsed_while_a_lens_trains(opened: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (app, pilot):
        monkeypatch.setattr(type(app.training), "is_busy", property(lambda training: True))
        await go(app, pilot)
        await pilot.press("tab", "b")
        await until(pilot, lambda: isinstance(app.screen, OpenPrompts))
        box = app.screen.query_one(Input)
        box.focus()
        box.value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "5 prompts" in said(app))
        assert "through the one in use" in notes(app)


async def test_a_bad_file_is_told_and_nothing_is_lost(opened: Any, file: Path, tmp_path: Path) -> None:
    bad = {
        tmp_path / "none.txt": "There is no file",
        tmp_path: "is a folder",
        written(tmp_path / "empty.txt", b"\n \n"): "There is no prompt in",
        written(tmp_path / "bad.parquet", b"PAR1 no more"): "bad.parquet",
        written(tmp_path / "bad.jsonl", b'{"promt": 1}\n'): "No line of",
        tmp_path / ("n" * 300): "No file can have this name",
    }
    async with opened(size=(240, 40)) as (app, pilot):
        await go(app, pilot, file)
        for path, complaint in bad.items():
            await name(app, pilot, str(path))
            await until(pilot, lambda complaint=complaint: complaint in said(app))
            assert screen_of(app).query_one("#set-said").has_class("-wrong")
            assert numbers(app) == [1, 2, 3, 4, 5]
            assert app.focused is app.screen.query_one("#set-file")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_no_model_and_nothing_read_are_said() -> None:
    app = LenstuiApp(Start(prompt="x", model="/no/such/folder"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, PromptSets))
        await pilot.press("enter")
        assert "No model is open" in said(app)
        await pilot.press("tab")
        for key in ("c", "C", "r", "g", "G", "x", "Y", "enter", "s"):
            app.clear_notifications()
            await pilot.press(key)
            await pilot.pause()
            assert notes(app).startswith(("No prompts yet: f", "Nothing is")), key
        await pilot.press("escape")
        assert app.screen is app.explore
