"""How the room is used: columns, rows, sides with nothing to show, numbers in cells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from lenstui.jobs.messages import ModelLoaded, ReadStarted, TileRead
from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.room import LEAST, MOST, NUMBER, Contents, column_layout, lines_of_row
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.looking import said, until
from tests.tui.pilots.still import MODEL, WITHOUT_LENS, show, side_tile, still, whole

__all__ = ["still"]  # a fixture

TWELVE = (
    "·the", "·trees", "·are", "·green", "·and", "·the", "·sky", "·is", "·so", "·very", "·blue", "·now",
)  # fmt: skip
SHORT = ("·a", "·b", "·is", "·it", "·on", "·up", "·so", "·we")


def widths(app: LenstuiApp) -> set[int]:
    return {grid.column_width for grid in app.explore.grids}


def seen(grid: Grid) -> int:
    """How many columns are on screen as a whole."""
    return (grid.size.width - grid._gutter) // grid.column_width


async def post(pilot: Pilot[None], columns: tuple[str, ...], *, tiles: int = 1) -> None:
    """Post what the model thread would for a prompt of these tokens, in some tiles of one column each."""
    app: Any = pilot.app
    await whole(pilot)
    app.post_message(ModelLoaded(MODEL))
    await pilot.pause()
    app.explore.post_message(ReadStarted(1, columns, 0, MODEL.rows))
    for start in range(tiles):
        part = cells(1.0)
        part = type(part)(*(getattr(part, name)[:, start : start + 1] for name in type(part).__slots__))
        tile = side_tile(start, start + 1, {"logit": part, "tuned": part})
        app.explore.post_message(TileRead(1, tile, dict(enumerate(WORDS))))
    await pilot.pause(0.1)


# The rule


@given(
    room=st.integers(1, 400),
    columns=st.integers(1, 200),
    widest=st.integers(0, 40),
    extra=st.sampled_from([0, 2]),
)
def test_first_all_columns_then_whole_tokens_then_numbers(
    room: int, columns: int, widest: int, extra: int
) -> None:
    layout = column_layout(room, columns, widest, extra=extra)
    whole = max(LEAST, min(1 + widest, MOST)) + extra
    if columns * (LEAST + extra) <= room:
        assert columns * layout.width <= room, "all columns are seen"
        if columns * whole <= room:
            assert layout.width >= whole, "tokens are whole"
    if layout.contents is Contents.BOTH:
        assert layout.width == whole + NUMBER, "a number takes nothing from a token"
        assert columns * layout.width <= room
    assert LEAST + extra <= layout.width <= MOST + NUMBER + extra


@given(st.integers(1, 400), st.integers(1, 200), st.integers(0, 40))
def test_what_the_user_wants_to_see_is_seen(room: int, columns: int, widest: int) -> None:
    for contents in Contents:
        layout = column_layout(room, columns, widest, contents=contents)
        assert layout.contents is contents
        least = {Contents.TOKEN: LEAST, Contents.NUMBER: 1 + NUMBER, Contents.BOTH: LEAST + NUMBER}
        assert layout.width >= least[contents]


@given(st.integers(0, 100), st.integers(1, 60), st.integers(1, 5))
def test_rows_fill_the_room_and_no_more(room: int, rows: int, most: int) -> None:
    lines = lines_of_row(room, rows, most)
    assert 1 <= lines <= most
    assert lines == 1 or lines * rows <= room
    assert lines == most or (lines + 1) * rows > room


# On screen


@pytest.mark.parametrize("width", [120, 160])
async def test_the_start_prompt_is_seen_whole(still: LenstuiApp, width: int) -> None:
    async with still.run_test(size=(width, 40)) as pilot:
        await show(pilot)
        for grid in still.explore.grids:
            assert seen(grid) >= len(COLUMNS) == 8


async def test_twelve_tokens_are_seen_at_200(still: LenstuiApp) -> None:
    async with still.run_test(size=(200, 50)) as pilot:
        await post(pilot, TWELVE)
        assert len(widths(still)) == 1
        assert all(seen(grid) >= 12 for grid in still.explore.grids)


async def test_the_width_is_set_by_header_and_first_tile_alone(still: LenstuiApp) -> None:
    async with still.run_test(size=(220, 50)) as pilot:
        await post(pilot, SHORT, tiles=1)
        (first,) = widths(still)
        top = {WORDS[token] for token in cells(1.0).top_ids[:, 0, 0].tolist()}
        assert first == max(LEAST, 1 + max(map(len, {*SHORT, *top}))) + NUMBER
        await post(pilot, SHORT, tiles=4)
        tile = side_tile(4, 8, {"tuned": type(cells(1.0))(*(
            getattr(cells(1.0), name)[:, 4:8] for name in type(cells(1.0)).__slots__
        ))})  # fmt: skip
        still.explore.post_message(TileRead(1, tile, dict(enumerate(WORDS))))
        await pilot.pause(0.1)
        assert widths(still) == {first}


async def test_rows_grow_until_the_screen_is_full(still: LenstuiApp) -> None:
    async with still.run_test(size=(200, 50)) as pilot:
        await show(pilot)
        grid = still.explore.grids[0]
        assert grid.depth == 3
        assert grid.size.height - 1 - grid.depth * len(MODEL.rows) <= 4, "few lines are empty"
        assert still.explore.panel.size.height > 13, "the detail has the others"
        await pilot.press("left_square_bracket")
        assert {each.depth for each in still.explore.grids} == {2}
        await pilot.resize_terminal(200, 70)
        await pilot.pause(0.1)
        assert {each.depth for each in still.explore.grids} == {2}, "what the user wants wins"


async def test_all_rows_are_seen_where_they_were_before(still: LenstuiApp) -> None:
    async with still.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        grid = still.explore.grids[0]
        assert grid.depth == 1
        await until(pilot, lambda: grid.size.height - 1 >= len(MODEL.rows))  # once the room is shared
        assert seen(grid) >= 7


async def test_a_side_with_nothing_to_show_takes_no_room(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot, WITHOUT_LENS)
        first, second = (still.explore.query_one(f"#pane-{place}", Pane) for place in (0, 1))
        assert first.region.width == 120 and not second.region
        assert first.border_subtitle == "No tuned lens yet: t trains one, o opens one."
        await pilot.press("tab")
        assert "No tuned lens yet" in said(still)
        assert still.explore.panes.active == 0
        await show(pilot)
        assert first.region.width == second.region.width == 60
        assert first.border_subtitle == ""


async def test_tokens_numbers_or_both(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        grid, shown = still.explore.grids[0], []
        number = grid.value.format(float(grid.values[-1, -1]))
        for _ in Contents:
            await pilot.press("number_sign")
            await pilot.pause()
            shown.append(grid.column_layout.contents)
            line = grid.render_line(1).text
            assert (number in line) == (shown[-1] is not Contents.TOKEN)
            assert f"Cells show {shown[-1].value}." in said(still)
        assert shown == [Contents.NUMBER, Contents.BOTH, Contents.TOKEN]


async def test_the_difference_uses_the_room_of_both(still: LenstuiApp) -> None:
    async with still.run_test(size=(160, 45)) as pilot:
        await show(pilot)
        (of_side,) = widths(still)
        await pilot.press("d")
        await pilot.pause()
        grid = still.explore.query_one(DifferenceGrid)
        assert grid.column_width > of_side
        await pilot.press("d")
        await pilot.pause()
        assert widths(still) == {of_side}
