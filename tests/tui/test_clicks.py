"""What the mouse does beside the grid: the footer, which follows the focus, and the titles of tabs."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets._footer import FooterKey

from lenstui.support.turns import text_of
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.grid import Grid
from lenstui.tui.help.keys import Keys
from lenstui.tui.help.menu import Menu
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.training.screen import Train
from tests.tui.pilots.looking import footer, until
from tests.tui.pilots.still import show, still

__all__ = ["still"]


async def click(pilot: Pilot[None], label: str) -> None:
    """Click what the footer calls so."""
    await pilot.pause()
    keys = pilot.app.screen.query(FooterKey)
    await pilot.click(next(key for key in keys if key.description == label))
    await pilot.pause()


async def test_a_click_on_the_footer_is_the_key(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await click(pilot, "Value")
        assert still.explore.panes.value_index == 1
        await click(pilot, "Prompt")
        assert isinstance(still.focused, PromptBox)
        await click(pilot, "To the grid")
        assert isinstance(still.focused, Grid)
        await click(pilot, "Menu")
        assert isinstance(still.screen, Menu)
        await pilot.press("escape")
        await click(pilot, "Help")
        assert isinstance(still.screen, Keys)
        await pilot.press("escape")
        await click(pilot, "Lenses")
        assert isinstance(still.screen, Lenses)
        await click(pilot, "Back")
        await click(pilot, "Train")
        assert isinstance(still.screen, Train)


async def test_a_click_reads_the_prompt_that_is_typed(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("i", "end", "x")
        await click(pilot, "Read the prompt")
        assert text_of(still.explore.state.prompt).endswith("isx")


async def test_the_footer_has_the_keys_of_what_has_the_focus(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "v Value" in footer(still)
        await pilot.press("i")
        await pilot.pause()
        assert " ".join(footer(still).split()) == "^u Clear ⏎ Read the prompt esc To the grid"
        await pilot.press("escape", "p", "u")
        await pilot.pause()
        assert isinstance(still.focused, PinList)
        assert " ".join(footer(still).split()).startswith("p Unpin ⏎ First esc To the grid ? Help space Menu")
        await click(pilot, "Unpin")
        await until(pilot, lambda: not still.explore.panel.pins)
        await pilot.pause()
        assert "Unpin" not in footer(still)


async def click_tab(pilot: Pilot[None], name: str) -> None:
    """Click a name in the title of the pane that is shown."""
    panes = pilot.app.explore.panes  # type: ignore[attr-defined]
    pane = panes.pane(panes.active)
    title = pane._border_title.plain
    await pilot.click(offset=(pane.region.x + 2 + title.index(name) + 1, pane.region.y))
    await pilot.pause()


async def test_a_click_on_a_tabs_name_shows_that_side(still: LenstuiApp) -> None:
    async with still.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        for active, name in ((1, "tuned lens"), (1, "tuned lens"), (0, "logit lens"), (0, "probability")):
            await click_tab(pilot, name)
            assert still.explore.panes.active == active
            assert still.focused is still.explore.grids[active]


@pytest.mark.parametrize("size", [(120, 40)])
async def test_titles_side_by_side_choose_nothing(still: LenstuiApp, size: tuple[int, int]) -> None:
    async with still.run_test(size=size) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await click_tab(pilot, "logit lens")
        assert still.explore.panes.active == 0


async def test_the_footer_shows_whole_keys_alone(still: LenstuiApp) -> None:
    async with still.run_test(size=(60, 20)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: still.screen.query(FooterKey))
        for width, last in ((60, "Lenses"), (120, "Quit"), (70, "Model")):
            await pilot.resize_terminal(width, 20)
            await until(pilot, lambda last=last: still.screen.query(FooterKey).last().description == last)
            assert all(key.region.right <= width for key in still.screen.query(FooterKey))
            assert all(key.region.width == len(str(key.render())) for key in still.screen.query(FooterKey))


async def test_a_key_has_its_room_before_it_knows_how_its_footer_is(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 20)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: len(still.screen.query(FooterKey)) > 5)
        keys = [*still.screen.query(FooterKey)]
        before = [(key.region, str(key.render())) for key in keys]
        for key in keys:
            key.add_class("-compact")  # as Textual makes it
            key.refresh(layout=True)
        await pilot.pause()
        assert [(key.region, str(key.render())) for key in keys] == before


async def test_the_footer_stays_as_it_is_while_its_keys_do(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 30)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: still.screen.query(FooterKey))
        before = [*still.screen.query(FooterKey)]
        await pilot.press("tab")  # to the other grid, which has the same keys
        await pilot.press("shift+tab", "l", "v")
        await pilot.pause()
        assert [*still.screen.query(FooterKey)] == before
        await pilot.press("i")  # the prompt has others
        await until(pilot, lambda: [*still.screen.query(FooterKey)] != before)


async def test_a_footer_that_is_gone_is_not_made_again(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 30)) as pilot:
        await show(pilot)
        footer = still.screen.query_one(KeyFooter)
        await footer.remove()
        await footer.recompose()  # as it was to be, after the next refresh
        assert not footer.is_attached
