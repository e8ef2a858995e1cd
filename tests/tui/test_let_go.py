"""What is shown no more is kept no more: it would grow by the hour (`tests.hostile.soak` shows what does)."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import pytest
from textual._styles_cache import StylesCache
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets._footer import FooterKey

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.help.keys import Keys
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.trace.ask_trace import AskTrace
from tests.tui.pilots.looking import footer, said, until
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


async def test_nothing_is_left_of_notifications(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40), notifications=True) as pilot:
        await show(pilot)
        await pilot.press("escape")
        for _ in range(4):
            still.explore._tell("a line")
            await until(pilot, lambda: "a line" in said(still) and still.explore.query("Toast"))
            await pilot.pause()
        assert len(still.explore.query("ToastHolder")) == 1
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(still.screen, Keys))
        still.clear_notifications()  # those of the screen below are taken away when it comes back
        for _ in range(2):
            await pilot.press("escape")
            await until(pilot, lambda: still.screen is still.explore)
            await pilot.pause()
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(still.screen, Keys))
        await pilot.pause()
        assert not still.explore.query("ToastHolder")


@pytest.mark.parametrize(
    ("key", "screen", "widget"),
    [
        pytest.param("o", Lenses, Lenses, id="a screen to which no signal was published"),
        pytest.param("T", AskTrace, PromptBox, id="a text area, which watches the theme"),
    ],
)
async def test_nothing_is_left_of_closed_screens(
    key: str, screen: type[Screen[Any]], widget: type[Widget], still: LenstuiApp
) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        gone = []
        for _ in range(3):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(still.screen, screen))
            (found,) = (
                each for each in still.screen.walk_children(with_self=True) if isinstance(each, widget)
            )
            gone.append(ref(found))
            del found
            await pilot.press("escape")
            await until(pilot, lambda: still.screen is still.explore)
            await pilot.pause()
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        assert len(gone) == 3
        assert [each() for each in gone[:-1] if each() is not None] == []
