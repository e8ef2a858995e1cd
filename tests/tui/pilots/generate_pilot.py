"""Tokens that the model goes on with."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.tui.explore.ask_generation import AskGeneration


async def generate(pilot: Pilot[None], count: str, temperature: str = "0") -> None:
    await pilot.press("G")
    assert isinstance(pilot.app.screen, AskGeneration)
    pilot.app.screen.query_one("#generation-count", Input).value = count
    pilot.app.screen.query_one("#generation-temperature", Input).value = temperature
    await pilot.press("enter")
    await pilot.pause()
