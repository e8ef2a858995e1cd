"""A prompt of spaces alone has tokens, and is read as `lenstui read` reads it."""

from __future__ import annotations

from typing import Any

from tests.tui.pilots.looking import subtitle, until


async def test_spaces_are_read(opened: Any) -> None:
    async with opened("   ") as (app, pilot):
        assert app.explore.state.columns == ("·",) * 3
        await pilot.press("i", "space", "enter")
        await until(pilot, lambda: len(app.explore.state.columns) == 4 and subtitle(app).endswith(" s"))
        assert app.explore.state.columns == ("·",) * 4
