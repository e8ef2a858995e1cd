"""Reasoning folded away: what is on screen, how the cursor goes over it, and what follows the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.cursor import Cursor
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hi<think>so it is</think>Yes"
BEGIN, END = TEXT.index("so"), TEXT.index("</think>")  # a token of the tiny model is one letter
HIDDEN = frozenset(range(BEGIN, END - 1))
SHOWN = len(TEXT) - len(HIDDEN)


def header(app: LenstuiApp) -> str:
    return app.explore.grids[0].render_line(0).text


def letters(app: LenstuiApp) -> str:
    """The heads of the columns on screen, without what stands between them."""
    app.explore.grids[0].render_lines(app.explore.grids[0].size.region)
    return "".join(header(app).split())


async def until_read(app: LenstuiApp, pilot: Pilot[None], columns: int) -> None:
    await until(pilot, lambda: len(app.explore.state.columns) == columns and subtitle(app).endswith(" s"))


async def go(app: LenstuiApp, pilot: Pilot[None], column: int) -> None:
    app.explore.grids[0].go_to(Cursor(1, column))
    await pilot.pause()


async def test_the_last_column_of_reasoning_stays(opened: Any) -> None:
    async with opened(TEXT, size=(720, 40)) as (app, pilot):
        assert letters(app) == TEXT.replace(" ", "·")
        await pilot.press("Z")
        assert f"{len(HIDDEN)} columns of reasoning are folded" in said(app)
        for grid in app.explore.grids:
            assert grid.hidden == HIDDEN
            assert (
                grid.virtual_size.width == grid.gutter_width + (len(TEXT) - len(HIDDEN)) * grid.column_width
            )
        assert letters(app) == f"Hi<think>⋯s{TEXT[END:]}"
        await pilot.press("Z")
        assert letters(app) == TEXT.replace(" ", "·")


async def test_keys_and_clicks_go_over_it(opened: Any) -> None:
    async with opened(TEXT, size=(720, 40)) as (app, pilot):
        await go(app, pilot, BEGIN + 2)
        await pilot.press("Z")
        grid = app.explore.grids[0]
        assert grid.cursor.column == END - 1  # what was under the cursor is folded
        await pilot.press("left")
        assert grid.cursor.column == BEGIN - 1
        await pilot.press("right", "right")
        assert grid.cursor.column == END
        await pilot.press("home", "end")
        assert grid.cursor.column == len(TEXT) - 1
        place = BEGIN + 1  # from the left: the mark's last letter is before it
        await pilot.click(grid, offset=(grid.gutter_width + place * grid.column_width + 1, 3))
        assert grid.cursor.column == END
        detail = app.explore.panel.query_one("Detail")
        await until(pilot, lambda: f"column {END} " in str(detail.border_title))


async def test_each_column_shows_its_own_cells(opened: Any) -> None:
    async with opened(TEXT, size=(720, 40)) as (app, pilot):
        await pilot.press("Z")
        grid = app.explore.grids[0]
        assert grid.cells is not None
        lines = grid.render_lines(grid.size.region)
        top = len(grid.rows) - 1
        x = grid.gutter_width
        for column in grid.shown_columns:
            token = int(grid.cells.top_ids[top, column, 0])
            shown = lines[1].crop(x, x + grid.column_width).text.strip(" ▁▂▃▄▅▆▇█▌▐")
            if column != grid.cursor.column:  # which has marks around it
                assert shown and app.explore.state.texts[token].startswith(shown.rstrip("…"))
            x += grid.column_width


async def test_it_holds_for_the_next_prompt_and_where_there_is_none_it_is_said(opened: Any) -> None:
    async with opened("Hello", size=(200, 40)) as (app, pilot):
        await pilot.press("Z")
        assert "no reasoning" in said(app)
        assert not app.explore.parts.turns.folds_reasoning
        app.explore.read_prompt(TEXT)
        await until(
            pilot, lambda: len(app.explore.state.columns) == len(TEXT) and subtitle(app).endswith(" s")
        )
        await pilot.press("Z")
        app.explore.read_prompt("Hello")
        await until_read(app, pilot, 5)
        assert app.explore.grids[0].hidden == frozenset()
        app.explore.read_prompt(f"{TEXT}!")
        await until_read(app, pilot, len(TEXT) + 1)
        assert app.explore.grids[0].hidden == HIDDEN
        assert app.explore.look().fold_reasoning


@pytest.mark.parametrize(("word", "column"), [("reasoning", END - 1), ("answer", len(TEXT) - 1)])
async def test_g_goes_to_the_end_of_reasoning_and_of_the_answer(opened: Any, word: str, column: int) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await go(app, pilot, 0)
        await pilot.press("g", *word, "enter")
        assert app.explore.panes.cursor.column == column


async def test_g_says_that_there_is_no_reasoning(opened: Any) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("g", *"reasoning", "enter")
        assert "The prompt has no reasoning" in said(app)


async def test_the_difference_is_folded_too(opened: Any) -> None:
    async with opened(TEXT, size=(720, 40)) as (app, pilot):
        await pilot.press("d", "Z")
        shown = app.explore.panes.shown_grid
        assert shown.hidden == HIDDEN
        assert shown.virtual_size.width == shown.gutter_width + SHOWN * shown.column_width
