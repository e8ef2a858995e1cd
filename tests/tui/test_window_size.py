"""A window is drawn as large as a window can be, whatever the terminal says."""

from __future__ import annotations

from textual.events import Resize

from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.window_size import LARGEST, sensible
from tests.tui.pilots.looking import until
from tests.tui.pilots.still import still

__all__ = ["still"]  # a fixture


def test_sizes_of_windows_stay_as_they_are() -> None:
    assert sensible(200, 50) == (200, 50)
    assert sensible(0, 0) == (0, 0)
    assert sensible(65535, 65535) == LARGEST
    assert sensible(99_999_999, 2) == (LARGEST.width, 2)


async def test_a_window_of_a_million_columns_is_not_drawn(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        still.post_message(Resize.from_dimensions((999_999, 40), None))
        await until(pilot, lambda: still.size == (LARGEST.width, 40))
        still.post_message(Resize.from_dimensions((100, 30), None))
        await until(pilot, lambda: still.size == (100, 30))
