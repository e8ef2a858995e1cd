"""What is shown no more is kept no more: it would grow by the hour (`tests.hostile.soak` shows what does)."""

from __future__ import annotations

import gc
from weakref import ref

from textual.widgets._footer import FooterKey

from lenstui.tui.app import LenstuiApp
from tests.tui.pilots.looking import footer
from tests.tui.pilots.still import show, still

__all__ = ["still"]


async def test_the_footer_lets_go_of_the_keys_that_it_showed_before(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "i")
        await pilot.pause()
        before = footer(still)
        former = [ref(key) for key in still.screen.query(FooterKey)]
        await pilot.press("escape")
        await pilot.pause()
        assert footer(still) != before
        assert former
        gc.collect()
        assert [key() for key in former if key() is not None] == []
