"""What is shown no more is kept no more: it would grow by the hour (`tests.hostile.soak` shows what does)."""

from __future__ import annotations

import gc
from weakref import ref

from textual._styles_cache import StylesCache
from textual.widget import Widget
from textual.widgets._footer import FooterKey

from lenstui.tui.app import LenstuiApp
from lenstui.tui.help.keys import Keys
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


async def test_the_lines_of_a_dialog_are_gone_with_it(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "question_mark")
        await pilot.pause()
        assert isinstance(still.screen, Keys)
        lines = [ref(widget._styles_cache) for widget in still.screen.query(Widget)]
        assert lines
        await pilot.press("escape", "up", "down")
        await pilot.pause()
        gc.collect()
        assert [kept() for kept in lines if isinstance(kept(), StylesCache)] == []
