"""The window in other sizes: two at once, and without room for a line or a character."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import OptionList
from textual_fspicker.parts import DirectoryNavigation

from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.file_dialogs import OpenLens
from lenstui.tui.shared.line_list import LineList
from tests.tui.pilots.still import show, still

__all__ = ["still"]


async def test_a_size_that_is_the_windows_no_more_is_not_taken(still: LenstuiApp) -> None:
    """Of two sizes that waited at once, as in a window that is drawn larger, each brought the other back."""
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await still.explore.on_event(Resize(Size(80, 24), Size(80, 24)))
        assert still.explore.size == Size(120, 40)
        await pilot.resize_terminal(80, 24)
        assert still.explore.size == Size(80, 24)


class Lines(App[None]):
    CSS = LenstuiApp.CSS + "OptionList { height: auto; width: 1fr; }"

    def compose(self) -> ComposeResult:
        yield LineList("one", "two")
        yield OptionList("three")  # as Textual's own palette has them


async def test_a_page_of_a_list_that_has_no_room_is_nothing() -> None:
    """It ended the program."""
    app = Lines()
    async with app.run_test(size=(20, 10)) as pilot:
        lines = app.query_one(LineList)
        lines.styles.max_height = 0
        await pilot.pause()
        assert not lines.scrollable_content_region
        await pilot.press("down", "pageup", "pagedown")
        assert lines.highlighted == 1
        lines.styles.max_height = None
        await pilot.pause()
        await pilot.press("pageup")
        assert lines.highlighted == 0


async def test_a_page_of_a_folder_that_has_no_room_is_nothing(still: LenstuiApp, tmp_path: Path) -> None:
    async with still.run_test(size=(3, 2)) as pilot:
        await pilot.pause()
        await still.push_screen(OpenLens(tmp_path))
        await pilot.pause()
        names = still.screen.query_one(DirectoryNavigation)
        assert not names.scrollable_content_region
        await pilot.press("down", "pageup", "pagedown")
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert names.scrollable_content_region


@pytest.mark.parametrize("width", range(1, 8))
async def test_lines_in_a_narrow_window_are_cut(width: int) -> None:
    """Textual folds words that have no room, also where there is none for a character."""
    app = Lines()
    async with app.run_test(size=(width, 10)) as pilot:
        await pilot.pause()
        await pilot.press("down")
        assert app.query_one(LineList).highlighted == 1


@pytest.mark.parametrize("width", [1, 3, 4, 5, 6])
async def test_an_empty_prompt_in_a_narrow_window_is_blank(still: LenstuiApp, width: int) -> None:
    """What stands there of a text to type ended the program in a box without room for a character."""
    async with still.run_test(size=(width, 12)) as pilot:
        await pilot.pause()
        await pilot.press("escape", "i", "end", "ctrl+u", "a", "backspace")
        await pilot.pause()
        assert still.explore.widgets.prompt.text == ""
