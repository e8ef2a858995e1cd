"""The list of lenses, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from lenstui.jobs.lenses import LensFileJobs
from lenstui.jobs.messages import Post
from lenstui.lens.card import Match
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.help.keys import Keys
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from tests.tui.pilots.lenses_pilot import TEXT, chosen, folder, go, hint, names, notes
from tests.tui.pilots.looking import until

__all__ = ["folder"]


async def test_those_that_fit_come_first_and_are_marked(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        assert any(item.key == "o" and item.description == "Lenses" for item in app.explore.BINDINGS)
        await go(app, pilot)
        lenses = {lens.card.name: lens for lens in app.screen.query_one(LensTable)._lenses}
        assert names(app)[:3] == ["ours", "lens", "other"]
        assert set(names(app)[3:]) == {"wrong", "bundled"}
        assert lenses["ours"].match is Match.WEIGHTS
        assert lenses["lens"].match is Match.SHAPE
        assert lenses["lens"].in_use  # from elsewhere, and so not in the folder
        assert lenses["other"].match is Match.OTHER_WEIGHTS
        assert lenses["wrong"].match is lenses["bundled"].match is Match.NO
        assert [lens.in_use for lens in lenses.values()].count(True) == 1
        assert chosen(app) == "lens"
        assert "half.pt" in hint(app)


async def test_without_any_that_fits_it_says_how_to_get_one(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with opened(TEXT, lens=False) as (app, pilot):
        await go(app, pilot)
        assert names(app) == ["bundled"]
        assert "train" in hint(app)
        await pilot.press("enter")
        await until(pilot, lambda: "6 blocks and width 192" in notes(app))


async def test_an_empty_list_says_how_to_get_one(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("lenstui.jobs.lenses.bundled_model", lambda: tmp_path)
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and "No lenses yet" in hint(app))
        await pilot.press("enter")
        assert "No lenses yet: t in Explore trains one" in notes(app)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_it_says_that_it_reads(opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    list_lenses = LensFileJobs.list_lenses

    def slowly(self: LensFileJobs, post: Post, stop: Callable[[], bool]) -> None:
        assert release.wait(60)
        list_lenses(self, post, stop)

    monkeypatch.setattr(LensFileJobs, "list_lenses", slowly)
    async with opened(TEXT) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and "reading" in hint(app))
        release.set()
        await until(pilot, lambda: app.screen.query_one(LensTable).chosen)
        assert "reading" not in hint(app)


async def test_before_a_model_is_open_the_keys_say_so(tmp_path: Path, folder: Path) -> None:
    app = LenstuiApp(Start(prompt="a", model=str(tmp_path)))
    async with app.run_test(size=(120, 40)) as pilot:
        pane = app.explore.query_one("#pane-0 .pane--message", Static)
        await until(pilot, lambda: "config.json" in str(pane.render()))
        await go(app, pilot)
        assert all(lens.match is None for lens in app.screen.query_one(LensTable)._lenses)
        for key in ("enter", "b", "s", "S"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: "No model is open" in notes(app))
            assert isinstance(app.screen, Lenses)


async def test_the_keys_are_in_the_list_and_in_the_palette(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {"Use", "Browse…", "Save as…", "Save folder…", "Back"} <= set(commands)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Keys)
        assert {"b", "s", "S"} <= {key.keys for key in app.screen._keys if key.place == "lenses"}
        await pilot.press("escape")
        await commands["Back"].callback()
        await until(pilot, lambda: app.screen is app.explore)


async def test_esc_and_q_leave_them(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        for key in ("escape", "q"):
            await go(app, pilot)
            await pilot.press(key)
            assert app.screen is app.explore
