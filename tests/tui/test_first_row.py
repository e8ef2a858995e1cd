"""The first row with a word on top, by keyboard alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from lenstui.jobs.messages import WordFound, WordNotFound
from lenstui.readout.cells import first_rows
from lenstui.tui.app import LenstuiApp
from lenstui.tui.grid.grid import Cursor, Grid
from tests.by_hand.made_up import WORDS, cells
from tests.tui.pilots.find_pilot import ask, cursor
from tests.tui.pilots.looking import do, keys_of, place, said, until
from tests.tui.pilots.still import show, still

__all__ = ["still"]

TEXT = "Hello, you"
LABELS = ("emb", "0", "1", "2")


def top1(grid: Grid) -> list[list[int]]:
    """By column, then row."""
    assert grid.cells is not None
    columns: list[list[int]] = grid.cells.top_ids[:, :, 0].T.tolist()
    return columns


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sets(st.integers(0, 3)),
)
def test_first_rows(rows: list[list[int]], tokens: set[int]) -> None:
    found = first_rows(np.array(rows, np.int32), tokens)
    for column, row in enumerate(found.tolist()):
        naive = [i for i, tops in enumerate(rows) if tops[column] in tokens]
        assert row == (naive[0] if naive else -1)


async def answer(app: LenstuiApp, pilot: Pilot[None], tokens: list[int], *, whole: bool = True) -> str:
    """What is told when a word is found to be these tokens."""
    app.clear_notifications()
    await pilot.pause()
    texts = app.explore.state.texts
    pairs = tuple((token, texts.get(token, f"t{token}")) for token in tokens)
    app.explore.post_message(WordFound("word", pairs, whole))
    await until(pilot, lambda: said(app))
    return said(app)


@pytest.mark.parametrize("shown", ["logit", "tuned"])
async def test_the_cursor_goes_up_to_it_and_both_lenses_are_told(opened: Any, shown: str) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press(*["tab"] * (shown == "tuned"))
        other = "logit" if shown == "tuned" else "tuned"
        tops = dict(zip(("logit", "tuned"), map(top1, app.explore.grids), strict=True))
        heard = set()
        for column in (2, 5, 9):
            for token in set(tops[shown][column]):
                app.explore.grids[0].move_to(Cursor(3, column))
                told = await answer(app, pilot, [token])
                row = tops[shown][column].index(token)
                assert cursor(app) == Cursor(row, column)
                there = "never"
                if token in tops[other][column]:
                    there = f"at row {LABELS[tops[other][column].index(token)]}"
                name = app.explore.state.texts[token]
                assert told == (
                    f'"{name}": first top-1 at row {LABELS[row]} in the {shown} lens, '
                    f"{there} in the {other} lens."
                )
                heard.add(there)
        assert {"never", "at row 2"} <= heard
        assert app.focused is app.explore.grids[place(shown)]


async def test_a_word_that_is_elsewhere_is_told_with_the_nearest_columns_first(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        tops = top1(app.explore.grids[0])
        seen = set()
        tokens = {token for column in tops for token in column}
        everywhere = {token: [i for i, column in enumerate(tops) if token in column] for token in tokens}
        several = sorted(everywhere, key=lambda token: -len(everywhere[token]))
        for token in (*several[:3], several[-1]):
            columns = everywhere[token]
            for here in sorted({0, len(TEXT) - 1} - set(columns)):
                app.explore.grids[0].move_to(Cursor(1, here))
                told = await answer(app, pilot, [token])
                assert cursor(app) == Cursor(1, here)
                assert f"never top-1 in column {here} in the logit lens, " in told
                nearest = columns if here == 0 else columns[::-1]
                named = ", ".join(f'{i} "{app.explore.state.columns[i]}"' for i in nearest[:5])
                more = f" and {len(nearest) - 5} more" if len(nearest) > 5 else ""
                word = "columns" if len(nearest) > 1 else "column"
                assert told.endswith(f" The logit lens has it in {word} {named}{more}.")
                seen.add(min(len(nearest), 6))
        assert {1, 2} <= seen


async def test_a_word_that_is_nowhere(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        absent = next(t for t in range(300) if all(t not in column for column in top1(app.explore.grids[0])))
        told = await answer(app, pilot, [absent], whole=False)
        text = app.explore.state.texts.get(absent, f"t{absent}")
        assert told == (
            f'No token is "word", its first one is "{text}": never top-1 in column 9 in the logit lens. '
            "The logit lens has it in no column that is read."
        )


async def test_in_the_difference_it_is_the_tuned_lens_that_is_asked(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("d")
        tops = top1(app.explore.grids[1])[-1]
        told = await answer(app, pilot, [tops[2]])
        row = tops.index(tops[2])
        assert f": first top-1 at row {LABELS[row]} in the tuned lens, " in told
        assert app.explore.panes.shown_grid.cursor == Cursor(row, len(TEXT) - 1)


async def test_rows_of_sublayers_are_passed_over(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        explore = still.explore
        explore.state.rows = ("emb", "0.attn", "0", "1.attn", "1", "2.attn", "2")
        grid = explore.grids[0]
        grid.start(explore.state.rows, explore.state.columns, 50)
        read = cells(1.0)
        read.top_ids[:, :, 0] = np.array([5, 3, 5, 3, 3, 5, 3])[:, None]
        grid.add(0, read, dict(enumerate(WORDS)))
        told = await answer(still, pilot, [3])
        assert cursor(still).row == 4
        assert ": first top-1 at row 1 in the logit lens, " in told


async def test_of_several_tokens_the_one_that_is_found_is_named(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        last = top1(app.explore.grids[0])[-1]
        absent = next(t for t in range(300) if t not in last)
        told = await answer(app, pilot, [absent, last[2]])
        row = LABELS[last.index(last[2])]
        assert told.startswith(f'"{app.explore.state.texts[last[2]]}": first top-1 at row {row} ')


async def test_the_word_is_looked_up_and_nothing_is_pinned(opened: Any) -> None:
    async with opened(f"{TEXT} ") as (app, pilot):
        for word, what in (("q", '"q": '), ("zebra", 'No token is "zebra", its first one is "z": ')):
            app.clear_notifications()
            await ask(pilot, "F", word)
            await until(pilot, lambda: said(app))
            assert said(app).startswith(what)
            assert "top-1" in said(app)
        assert app.explore.panel.pins == ()
        await pilot.press("F", "q", "escape")
        assert app.screen is app.explore


async def test_why_it_can_not_be_found(opened: Any) -> None:
    async with opened("") as (app, pilot):
        await do(app, "first_row")
        await pilot.pause()
        assert "No prompt yet" in said(app)
    async with opened(TEXT) as (app, pilot):
        app.explore.post_message(WordNotFound("The model has no logit for it."))
        await until(pilot, lambda: "no logit" in said(app))
        for grid in app.explore.grids:
            grid.start(LABELS, TEXT, 300)
        assert await answer(app, pilot, [5]) == "This column is not read yet."


async def test_its_key_is_listed_and_in_the_palette(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        await show(pilot)
        assert any(key.keys == "F" and "first row" in key.does for key in keys_of(still))
        assert "First row" in {command.title for command in still.get_system_commands(still.screen)}
