"""A fit is stopped, kept, discarded, or the program is left meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button, ContentSwitcher

from lenstui.jobs.fit_messages import Phase
from lenstui.tui.grid.pane import Pane
from lenstui.tui.shared.question import Question
from lenstui.tui.training.quit import QuitTraining
from lenstui.tui.training.screen import Train
from tests.tui.pilots.fit_pilot import (
    begin,
    endless,
    fail_to_write,
    few_stories,
    folder,
    static,
    status,
    text,
    until_phase,
    until_steps,
)
from tests.tui.pilots.looking import until

__all__ = ["endless", "few_stories", "folder", "text"]


# ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_stop_and_keep(opened: Any, folder: Path, text: Path, endless: None) -> None:
    from lenstui.lens import open_lens

    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, steps=1000)
        await until_steps(app, pilot, 4)
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        lens = open_lens(folder / "tiny-quick-1.pt")
        assert 4 <= lens.fit["steps"] < 1000
        assert lens.fit["steps"] == status(app).progress.step == status(app).progress.measured_step
        assert len(lens.fit["held_out_kl"]) == 3
        await until(pilot, lambda: app.explore.model.lens == "tiny-quick-1")


async def test_discard_asks_and_leaves_nothing(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: list(folder.glob("*.checkpoint")))
        await pilot.press("x")
        assert isinstance(app.screen, Question)
        await pilot.press("n")
        assert status(app).phase is Phase.RUNNING
        await pilot.press("x", "y")
        await until_phase(app, pilot, Phase.DISCARDED)
        assert list(folder.iterdir()) == []
        assert app.screen.query_one(ContentSwitcher).current == "form"
        assert app.explore.model.lens == "lens"
        assert app.program.model_jobs.opened.fitted[0].name == "lens"
        assert app.training._jobs.lens() is None
        await pilot.press("escape")
        assert "in training" not in str(app.explore.query_one("#pane-1", Pane).border_title)


async def test_discard_without_a_lens_brings_the_message_back(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await begin(app, pilot, text)
        await until(pilot, lambda: app.explore.grids[1].display)
        await pilot.press("x", "y")
        await until_phase(app, pilot, Phase.DISCARDED)
        await until(pilot, lambda: not app.explore.grids[1].display)
        assert app.explore.grids[1].cells is None


# ── the end of the program ───────────────────────────────────────────────────────────────────────────────


async def test_quitting_asks_and_a_checkpoint_goes_on(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, steps=50)
        await until_steps(app, pilot, 2)
        await pilot.press("ctrl+q")
        assert isinstance(app.screen, QuitTraining)
        for key in ("escape", "q"):
            await pilot.press(key)
            assert isinstance(app.screen, Train)
            await pilot.press("q", "q")
            assert isinstance(app.screen, QuitTraining)
            await pilot.press(key, "t", "ctrl+q")
            assert isinstance(app.screen, QuitTraining)
        await pilot.press("c")
        await until(pilot, lambda: app.last_words is not None)
    path = folder / "tiny-quick-1.checkpoint"
    assert f"lenstui train --resume {path}" in app.last_words
    step = status(app).progress.step
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        await until(pilot, lambda: app.screen.query_one("#resume").display)
        assert "of 50" in str(app.screen.query_one("#resume", Button).label)
        app.screen.query_one("#resume").focus()
        await pilot.press("enter")
        await until(pilot, lambda: status(app).progress is not None)
        assert status(app).progress.step >= step
        assert status(app).path == path.with_suffix(".pt")
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        assert sorted(folder.iterdir()) == [path.with_suffix(".pt")]


async def test_quitting_can_discard(opened: Any, folder: Path, text: Path, endless: None) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, checkpoint_every=0.01)
        await until(pilot, lambda: list(folder.glob("*.checkpoint")))
        await pilot.press("ctrl+q", "d")
        await until(pilot, lambda: app.last_words is not None)
    assert list(folder.iterdir()) == []


async def test_a_quit_whose_checkpoint_fails_says_so_and_stays(
    opened: Any, folder: Path, text: Path, endless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 1)
        fail_to_write(monkeypatch)
        await pilot.press("ctrl+q", "c")
        await until(pilot, lambda: "disk is full" in static(app, "Label"))
        assert app.last_words is None
        await pilot.press("escape")
        assert status(app).phase is Phase.PAUSED


async def test_quitting_without_a_fit_asks_nothing(opened: Any, folder: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t", "q")
        assert app.screen is app.explore
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
