"""The window in other sizes: two at once, and one without room for a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import OptionList

from lenstui.tui.app import LenstuiApp
from lenstui.tui.models.picker import ModelPicker
from lenstui.tui.shared.file_dialogs import OpenLens
from tests.tui.pilots.still import show, still

__all__ = ["still"]


async def test_of_two_sizes_that_wait_at_once_the_last_one_stays(still: LenstuiApp) -> None:
    """Each brought the other back, as in a window that was drawn larger while the screen was busy."""
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        screen, laid_out = still.explore, 0

        def count(_: object) -> None:
            nonlocal laid_out
            laid_out += 1

        screen.screen_layout_refresh_signal.subscribe(screen, count, immediate=True)
        for size in (Size(80, 24), still.size):
            screen.post_message(Resize(size, size))
            screen.call_later(lambda: None)  # two in a row would be one
        for _ in range(20):
            await pilot.pause(0.01)
        assert screen.size == still.size
        assert laid_out < 5


@pytest.mark.parametrize("ask", [ModelPicker.__name__, OpenLens.__name__])
async def test_a_page_of_a_list_that_has_no_room_is_nothing(
    still: LenstuiApp, tmp_path: Path, ask: str
) -> None:
    """It ended the program."""
    async with still.run_test(size=(3, 2)) as pilot:
        await pilot.pause()
        if ask == OpenLens.__name__:
            await still.push_screen(OpenLens(tmp_path))
        else:
            await pilot.press("escape", "m")
        await pilot.pause()
        lines = still.screen.query(OptionList).first()
        assert still.screen is not still.explore
        assert not lines.scrollable_content_region
        await pilot.press("down", "pageup", "pagedown")
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert lines.scrollable_content_region
