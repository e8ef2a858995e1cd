"""The screen with a model whose weights are elsewhere: what it shows, and what it says that it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lenstui.opening import opened as opening
from lenstui.opening.opened import Opened
from lenstui.support.request import Start
from lenstui.tui.shared.status_bar import StatusBar
from tests.tiny.played_service import NAME, elsewhere
from tests.tui.pilots.looking import do, said, subtitle, until


@pytest.fixture
def opened_there(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The same as `opened`, with the weights on a service."""
    open_here = opening.open_model

    def open_there(start: Start, *more: Any, **options: Any) -> Opened:
        found = open_here(start, *more, **options)
        return replace(found, model=elsewhere(found.model))

    monkeypatch.setattr("lenstui.jobs.model.open_model", open_there)
    return opened


async def test_it_is_read_there_and_has_the_same_cells(
    opened: Any, opened_there: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_there() as (app, pilot):
        top = str(app.explore.query_one(StatusBar).render())
        assert f"cpu on {NAME}" in top
        there = [grid.cells for grid in app.explore.panes.grids[:2]]
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not app.explore and app.screen.query("#ranking-1"))
        await pilot.press("escape")
        await pilot.press("a")
        await until(pilot, lambda: "1 appended" in subtitle(app))
    monkeypatch.undo()
    async with opened() as (app, _):
        here = [grid.cells for grid in app.explore.panes.grids[:2]]
    for ours, theirs in zip(here, there, strict=True):
        assert ours.entropy == pytest.approx(theirs.entropy, abs=1e-4)
        assert ours.kl == pytest.approx(theirs.kl, abs=1e-4)
        assert (ours.top1 == theirs.top1).mean() > 0.98


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_what_needs_the_weights_here_says_so(opened_there: Any, size: tuple[int, int]) -> None:
    line = f"The weights are on {NAME}: this needs them here."
    async with opened_there(size=size, instant=True) as (app, pilot):
        for key in ("why", "edit", "trace", "generate", "sublayers", "instant", "prompts", "scan"):
            app.clear_notifications()
            await do(app, key)
            await until(pilot, lambda: said(app))
            assert said(app) == line, key
            assert app.screen is app.explore
        for action in ("app.train", "app.evaluate"):
            app.clear_notifications()
            await app.run_action(action)
            await until(pilot, lambda: said(app))
            assert said(app) == line, action
            assert app.screen is app.explore
        assert app.program.instant.status.phase.name == "NONE"
        await pilot.press("space")
        await until(pilot, lambda: app.screen is not app.explore)


async def test_without_a_lens_it_says_how_to_open_one_and_offers_no_fit(opened_there: Any) -> None:
    async with opened_there(lens=False) as (app, _):
        assert app.explore.state.no_lens("tuned") == "No tuned lens: o opens one."
