"""The command palette: it finds actions by what they do, and does them."""

from __future__ import annotations

from typing import Any

import pytest
from textual.command import CommandList
from textual.pilot import Pilot

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.export.dialog import ExportDialog
from tests.tui.pilots.looking import until
from tests.tui.pilots.still import show, still

__all__ = ["still"]


async def found(pilot: Pilot[None], typed: str) -> list[str]:
    """The actions that the palette finds, as it shows them."""
    await pilot.press("colon")
    await until(pilot, lambda: pilot.app.screen.query(CommandList))
    commands = pilot.app.screen.query_one(CommandList)
    await until(pilot, lambda: commands.option_count)
    before = [option.prompt for option in commands.options]
    await pilot.press(*typed)
    await until(pilot, lambda: [option.prompt for option in commands.options] != before)
    return [str(option.prompt) for option in commands.options]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("difference", "Difference  d · compare\n"),  # by its title
        (
            "csv",
            "Export  x · export\nExport tokens and numbers, or a figure, to a file or the clipboard · csv",
        ),
        ("attribution", "Sublayers  s · explain\n"),
        ("exit", "Quit  q · general\n"),
        ("likeliest", "Append  a · look\n"),  # by its description
        ("gguf", "Model  m · settings\n"),
        ("theme", "Theme  settings\nChange the colours"),
    ],
)
async def test_it_finds_by_what_an_action_does(still: LenstuiApp, typed: str, first: str) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        assert (await found(pilot, typed))[0].startswith(first)


async def test_titles_come_before_other_words(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        titles = [line.split("  ")[0] for line in await found(pilot, "copy")]
        assert set(titles[:2]) == {"Copy tokens", "Copy command"}
        assert "Export" in titles[2:]


@pytest.mark.parametrize("word", ["probe", "sparse"])
async def test_it_does_not_find_what_there_is_not(still: LenstuiApp, word: str) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "colon", *word)
        commands = still.screen.query_one(CommandList)
        await until(pilot, lambda: "No matches" in "".join(str(each.prompt) for each in commands.options))
        assert commands.option_count == 1


async def test_enter_does_the_first(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await found(pilot, "csv")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(still.screen, ExportDialog))


async def test_there_is_one_palette_at_a_time(still: LenstuiApp) -> None:
    """A second one, which Ctrl+P asked for, ended the program."""
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        for key in ("escape", "colon", "ctrl+p", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause()
        assert len(still.screen_stack) == 2
        await pilot.press("escape")
        assert still.screen is still.explore


async def test_it_has_the_actions_of_what_has_the_focus(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "p", "u")
        assert (await found(pilot, "unpin"))[0].startswith("Unpin  p · look\n")
        await pilot.press("enter")
        await until(pilot, lambda: still.screen is still.explore and not still.explore.panel.pins)


async def test_the_form_of_a_fit_begins_one(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action of a part of a screen, which the screen itself does not have."""
    async with opened(lens=False) as (app, pilot):
        begun: list[object] = []
        await pilot.press("t")
        monkeypatch.setattr(app.program.training, "begin", begun.append)
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        await commands["Start"].callback()
        await until(pilot, lambda: begun)


async def test_a_cell_can_be_opened_by_name(opened: Any) -> None:
    async with opened() as (app, pilot):
        assert (await found(pilot, "top tokens"))[0].startswith("Top tokens  enter · look\n")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen))
