"""Find and go to, by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.grid import Cursor
from tests.tui.pilots.find_pilot import ask, cursor
from tests.tui.pilots.looking import do, keys_of, said
from tests.tui.pilots.still import SIZES, show, still

__all__ = ["still"]

TEXT = "Hello, yellow bell"


async def test_go_to_says_what_it_wants(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("g")
        assert app.screen.query_one(Input).placeholder == "a column or a row"


async def test_find_goes_round_both_ways_and_says_how_many(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        expected = [i for i, letter in enumerate(TEXT) if letter == "e"]
        assert expected == [1, 8, 15]
        await ask(pilot, "slash", "E")  # case does not matter; from the last column it begins anew
        assert cursor(app) == Cursor(3, 1)
        assert '"E" is in 3 of 18 columns; this is number 1.' in said(app)
        seen = []
        for key in ("n", "n", "n", "N", "N"):
            await pilot.press(key)
            seen.append(cursor(app).column)
        assert seen == [8, 15, 1, 15, 8]
        assert "this is number 2." in said(app)
        await ask(pilot, "slash", "y")  # where the cursor is counts when it is new
        assert cursor(app).column == 7
        await ask(pilot, "slash", "y")
        assert cursor(app).column == 7


async def test_a_space_is_found_as_it_is_shown(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await ask(pilot, "slash", " ")
        assert TEXT[cursor(app).column] == " "
        assert '"·" is in 2 of 18 columns' in said(app)


async def test_what_is_not_there_is_said(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("n")
        assert "Nothing is being looked for" in said(app)
        before = cursor(app)
        await ask(pilot, "slash", "[z]")
        assert 'No column has "[z]".' in said(app)
        assert cursor(app) == before
        await pilot.press("slash", "e", "escape", "n")
        assert 'No column has "[z]".' in said(app)  # what was not entered was not looked for


@pytest.mark.parametrize(
    ("word", "row", "column"),
    [
        ("12", 3, 12),
        ("0", 3, 0),
        ("column 4", 3, 4),
        ("row 1", 2, 17),
        ("r0", 1, 17),
        ("emb", 0, 17),
        ("row emb", 0, 17),
        ("LAST", 3, 17),
        (" 007 ", 3, 7),
        ("column last", 3, 17),
    ],
)
async def test_go_to(opened: Any, word: str, row: int, column: int) -> None:
    async with opened(TEXT) as (app, pilot):
        await ask(pilot, "g", word)
        assert cursor(app) == Cursor(row, column)
        assert app.focused is app.explore.grids[0]


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("18", "no column 18: the prompt has columns 0 … 17"),
        ("row 3", "no row 3: this model has rows emb, 0 … 2"),
        ("five", "five is no column and no row"),
        ("column emb", "no column emb"),
    ],
)
async def test_nowhere_to_go_is_said(opened: Any, word: str, why: str) -> None:
    async with opened(TEXT) as (app, pilot):
        await ask(pilot, "g", word)
        assert why in said(app)
        assert cursor(app) == Cursor(3, 17)


async def test_with_nothing_read_there_is_nowhere_to_go(opened: Any) -> None:
    async with opened("") as (app, pilot):
        for key in ("find", "next", "go_to"):
            await do(app, key)
            await pilot.pause()
            assert "No prompt yet" in said(app)
            assert app.screen is app.explore


async def test_its_keys_are_listed_and_in_the_palette(opened: Any) -> None:
    async with opened(TEXT) as (app, _):
        assert {"/", "n", "g"} <= {key.keys for key in keys_of(app) if not key.place}
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Find", "Find next", "Find previous", "Go to"} <= titles


@pytest.mark.parametrize("size", SIZES)
def test_how_it_asks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def find(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("slash", "s", "k")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=find)
