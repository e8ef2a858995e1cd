"""The menu of what can be done here: on a cell, on a pin, on a lens, on a prompt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import OptionList

from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.help.keys import Keys
from lenstui.tui.help.menu import Menu
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.prompt_sets.menu import NO_SCORES
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.nothing_yet import NO_PINS
from tests.tui.pilots import lenses_pilot, prompt_sets_pilot
from tests.tui.pilots.lenses_pilot import folder
from tests.tui.pilots.looking import footer, place, said, subtitle, until
from tests.tui.pilots.prompt_sets_pilot import file
from tests.tui.pilots.still import WITHOUT_LENS, Still, show, still

__all__ = ["file", "folder", "still"]

SIZES = [(120, 40), (80, 24)]


async def opened_menu(pilot: Pilot[None]) -> dict[str, str]:
    """The menu behind space: what each name does, by name, in the order of the menu."""
    await pilot.press("space")
    await until(pilot, lambda: isinstance(pilot.app.screen, Menu))
    options = pilot.app.screen.query_one(OptionList).options
    parts = [re.split(r"  +", str(option.prompt).strip(), maxsplit=2) for option in options]
    return {name: " ".join(does.split()) for _, name, does in parts}


def dimmed(app: LenstuiApp) -> dict[str, str]:
    """Why some of the menu cannot be done, by name."""
    assert isinstance(app.screen, Menu)
    options = app.screen.query_one(OptionList).options
    entries = app.screen._entries
    assert [option.disabled for option in options] == [bool(entry.reason) for entry in entries]
    return {entry.title: entry.reason for entry in entries if entry.reason}


# ── a cell ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_can_be_done_with_a_cell(still: LenstuiApp) -> None:
    async with still.run_test(size=(160, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        menu = await opened_menu(pilot)
        assert list(menu) == [
            "Top tokens", "Pin", "Why", "First row", "Append", "Generate", "Settling rows", "Trust",
            "Sublayers", "Words only", "Difference", "Next lens", "Compare", "Second prompt", "What if",
            "Trace", "Add a side", "Remove side", "Export", "Keep", "Copy tokens", "Copy command",
            "Pin a word", "Plot", "Pins", "Prompt set", "Scan a text", "Find", "Find next", "Find previous",
            "Go to", "Next side", "Step back", "Stop", "Value", "Value back", "Numbers", "Taller", "Flatter",
            "Flip", "Prompt", "Turns", "Template", "Fold", "Reading", "Train", "Evaluate", "Lenses",
            "Instant lens", "Model", "Revision back", "Next revision", "Commands", "Help", "Quit",
        ]  # fmt: skip
        assert menu["Pin"] == "Pin the cell's token, or unpin it"
        assert dimmed(still) == {"Plot": NO_PINS}
        box = still.screen.query_one("Box")
        assert str(box.border_title) == 'row 5 · layer 6 of 6 · column 7 "·is"'


async def test_every_key_of_explore_is_in_the_menu(still: LenstuiApp) -> None:
    """But for the one that opens it."""
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        menu = await opened_menu(pilot)
        there = {binding.description for binding in KEYS if isinstance(binding, Binding)}
        assert set(menu) == there - {"Menu"}
        await pilot.press("e")
        await until(pilot, lambda: isinstance(still.screen, PromptSets))


async def test_enter_does_what_is_highlighted_and_esc_nothing(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        for close in ("escape", "space", "q"):
            await opened_menu(pilot)
            await pilot.press(close)
            assert still.screen is still.explore
        assert still.is_running
        await opened_menu(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(still.screen, CellScreen))
        await pilot.press("escape")
        await opened_menu(pilot)
        await pilot.press("down", "j", "k", "enter")
        await until(pilot, lambda: len(still.explore.panel.pins) == 1)
        assert still.screen is still.explore


@pytest.mark.parametrize(("key", "shows"), [("x", ExportDialog), ("F", AskWord)])
async def test_a_key_does_in_the_menu_what_it_does_outside(still: LenstuiApp, key: str, shows: type) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await opened_menu(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(still.screen, shows))
        await pilot.press("escape")
        assert still.screen is still.explore


async def test_keys_typed_in_a_burst_do_what_they_do_slowly(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "space", "d")
        await until(pilot, lambda: still.explore.panes.difference)
        await pilot.press("space", "p", "v")
        await until(pilot, lambda: still.explore.panel.pins and still.explore.panes.value_index == 1)


async def test_a_click_does_it(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        await opened_menu(pilot)
        await pilot.click(OptionList, offset=(10, 1))
        await until(pilot, lambda: still.explore.panel.pins)


async def test_what_cannot_be_done_is_dimmed_with_the_reason(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot, WITHOUT_LENS)
        await pilot.press("escape")
        await opened_menu(pilot)
        assert dimmed(still) == {
            "Difference": "No tuned lens yet: t trains one, o opens one.",
            "Add a side": "3 sides need a screen of 150 columns.",
            "Plot": NO_PINS,
        }
        await pilot.press("d")
        assert isinstance(still.screen, Menu)
        assert said(still) == "No tuned lens yet: t trains one, o opens one."
        await pilot.press("escape", "d")  # as it says outside
        assert said(still) == "No tuned lens yet: t trains one, o opens one."


async def test_before_anything_is_read(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await pilot.press("escape")
        await pilot.pause()
        still.explore.set_focus(None)
        await opened_menu(pilot)
        reasons = dimmed(still)
        assert len(reasons) == 24
        assert reasons["Export"] == "No prompt yet: i types one, Enter reads it."
        assert reasons["Next lens"] == "No model yet: m opens one."
        await pilot.press("question_mark")
        assert isinstance(still.screen, Keys)


async def test_the_users_keys_are_in_the_menu() -> None:
    app = Still(Start(prompt="x"), Settings(keys={"explore.pin": ("f3",), "explore.menu": ("f4", "space")}))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        assert "f4 Menu" in footer(app)
        await pilot.press("f4")
        lines = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert lines[1].startswith("f3     Pin ")
        await pilot.press("p")
        assert isinstance(app.screen, Menu)
        await pilot.press("f3")
        await until(pilot, lambda: app.explore.panel.pins)


async def test_the_first_row_of_the_cells_own_token(opened: Any) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        panes = app.explore.panes
        cells = panes.grids[place("logit")].cells
        assert cells is not None
        await pilot.press("left", "left")
        row, column = panes.cursor.row, panes.cursor.column
        top1 = cells.top_ids[:, column, 0].tolist()
        assert row == len(top1) - 1
        await opened_menu(pilot)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and said(app))
        assert panes.cursor == Cursor(top1.index(top1[row]), column)
        assert app.explore.state.texts[top1[row]] in said(app)


async def test_append_and_copy(opened: Any) -> None:
    async with opened("Hello, you") as (app, pilot):
        for key in ("y", "a"):
            await opened_menu(pilot)
            await pilot.press(key)
            await until(pilot, lambda: app.screen is app.explore)
            if key == "y":  # what is said is there for some seconds
                await until(pilot, lambda: "Copied" in said(app))
        await until(pilot, lambda: "1 appended" in subtitle(app) and subtitle(app).endswith(" s"))


async def test_space_is_a_letter_in_the_prompt(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("i", "end", "space", "a")
        assert still.screen is still.explore
        assert still.explore.widgets.prompt.text.endswith("is a")


# ── other places ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cell_in_full(opened: Any) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen))
        menu = await opened_menu(pilot)
        assert {"Pin", "Append", "Copy tokens", "Export", "Next side", "Page down"} <= set(menu)
        assert dimmed(app) == {"Next side": "All sides are shown."}
        await pilot.press("p")
        await until(pilot, lambda: app.explore.panel.pins)
        assert isinstance(app.screen, CellScreen)
        await opened_menu(pilot)
        await pilot.press("a")
        await until(pilot, lambda: len(app.explore.state.columns) == len("Hello, you") + 1)
        title = app.screen.query_one("#cell-title")
        await until(pilot, lambda: f"column {len('Hello, you')}" in str(title.render()))


async def test_a_pin(still: LenstuiApp) -> None:
    async with still.run_test(size=(100, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "p", "left", "left", "p", "u", "down")
        pins = still.explore.panel.pins
        assert len(pins) == 2
        assert list(await opened_menu(pilot)) == ["First", "Unpin", "Pin a word", "Plot"]
        assert dimmed(still) == {"Plot": "The plot of the pins needs a screen of 120 columns."}
        await pilot.press("enter")
        await until(pilot, lambda: still.explore.panel.pins == pins[::-1])
        assert isinstance(still.focused, PinList)
        await opened_menu(pilot)
        assert dimmed(still)["First"] == "It is the first already."
        await pilot.press("delete")
        await until(pilot, lambda: still.explore.panel.pins == pins[:1])


async def test_a_lens(opened: Any, folder: Path) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await lenses_pilot.go(app, pilot)
        await lenses_pilot.choose(app, pilot, "other")
        assert list(await opened_menu(pilot)) == [
            "Use", "Compare", "On the hub", "Stop", "Evaluate", "Sort", "Export", "Browse…", "Save as…",
            "Save folder…", "Next part",
        ]  # fmt: skip
        reasons = dimmed(app)  # the first one is in use by itself
        assert reasons.pop("Export").startswith("other keeps no history of its fit")
        assert reasons == {"Stop": "No lens is being downloaded."}
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and "other" in lenses_pilot.status(app))


async def test_a_lens_before_a_model_is_open(tmp_path: Path, folder: Path) -> None:
    app = LenstuiApp(Start(prompt="a", model=str(tmp_path)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("escape")
        await lenses_pilot.go(app, pilot)
        await opened_menu(pilot)
        assert set(dimmed(app)) == {
            "Use", "Compare", "On the hub", "Stop", "Evaluate", "Export", "Browse…", "Save as…",
            "Save folder…",
        }  # fmt: skip
        await pilot.press("escape")
        assert isinstance(app.screen, Lenses)


async def test_a_prompt_of_a_set(opened: Any, file: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await prompt_sets_pilot.go(app, pilot, file)
        await pilot.press("down", "down", "down")
        assert list(await opened_menu(pilot)) == [
            "Open", "Beside", "Filter", "Sort", "Reverse", "Group", "Means", "Rows", "Above x", "Two sides",
            "Outliers", "Normal group", "Export", "Keep", "Copy command", "Stop", "File",
        ]  # fmt: skip
        assert dimmed(app) == {"Stop": "Nothing is being read.", "Normal group": NO_SCORES}
        await pilot.press("r")
        await until(pilot, lambda: prompt_sets_pilot.numbers(app) == [5, 4, 3, 2, 1])
        await opened_menu(pilot)
        await pilot.press("slash")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "set-filter")
        await pilot.press(*"bye", "enter")
        await opened_menu(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
        assert app.explore.state.prompt == "Good bye "


async def test_a_prompt_that_is_empty_is_not_opened(opened: Any, file: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await prompt_sets_pilot.go(app, pilot, file)
        await pilot.press("down")
        await opened_menu(pilot)
        assert dimmed(app)["Open"] == dimmed(app)["Beside"] == "The prompt is empty."
        await pilot.press("escape", "enter")
        assert "The prompt is empty." in prompt_sets_pilot.notes(app)
        assert isinstance(app.screen, PromptSets)


async def test_no_prompts_are_read_yet(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "e", "tab")
        await opened_menu(pilot)
        assert dimmed(still)["Sort"] == "No prompts yet: f names a file of them, Enter reads it."
        await pilot.press("f")
        await until(pilot, lambda: still.focused is not None and still.focused.id == "set-file")


# ── how it looks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def menu(pilot: Pilot[None]) -> None:
        await show(pilot, WITHOUT_LENS)
        await pilot.press("escape", "space")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=menu)
