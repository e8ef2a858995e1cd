"""Tokens that are pinned, and what of them is shown."""

from __future__ import annotations

from typing import Any

from textual.widgets import Input

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.grid.grid import Grid
from lenstui.tui.shared.ask_word import AskWord
from tests.tui.pilots.looking import place, subtitle, until

TEXT = "Hello, you"


def grid(app: LenstuiApp, lens: str = "logit") -> Grid:
    return app.explore.query_one(f"#grid-{place(lens)}", Grid)


def panel(app: LenstuiApp) -> CellPanel:
    return app.explore.query_one(CellPanel)


async def settled(app: LenstuiApp, pilot: Any) -> None:
    """Until the numbers of all pins are read."""
    count = len(panel(app).pins)

    def done() -> bool:
        cells = grid(app).cells
        read = cells is not None and cells.pin_ranks.shape[2] == count and (cells.pin_ranks >= 0).all()
        return bool(read) and subtitle(app).endswith(" s")

    await until(pilot, done)
    await pilot.pause(0.1)


async def pin_word(app: LenstuiApp, pilot: Any, word: str) -> None:
    await pilot.press("P")
    assert isinstance(app.screen, AskWord)
    app.screen.query_one(Input).value = word
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is app.explore and (app._notifications or panel(app).pins))
    await settled(app, pilot)


async def coloured_by(app: LenstuiApp, pilot: Any, key: str) -> None:
    """Go round the values to this one."""
    for _ in range(12):
        if app.explore.panes.value.key == key:
            return
        await pilot.press("v")
    raise AssertionError(f"{key} is not among them")
