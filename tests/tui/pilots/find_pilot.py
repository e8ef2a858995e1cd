"""Words and places that are asked for by a key."""

from __future__ import annotations

from textual.pilot import Pilot

from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.shared.ask_word import AskWord


def cursor(app: LenstuiApp) -> Cursor:
    return app.explore.panes.cursor


async def ask(pilot: Pilot[None], key: str, word: str) -> None:
    await pilot.press(key)
    assert isinstance(pilot.app.screen, AskWord)
    names = {" ": "space", ",": "comma", "'": "apostrophe"}
    await pilot.press(*[names.get(letter, letter) for letter in word], "enter")
    await pilot.pause()
