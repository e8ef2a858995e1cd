"""A grid keeps the lines that it has drawn; whatever changes, they are those that would be drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip

from lenstui.readout.scales import Scale
from lenstui.readout.values import ENTROPY
from lenstui.tui.grid.column_marks import ColumnMarks
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.room import ColumnLayout, Contents, RowFigures
from tests.tui.pilots.grid_app import TEXTS, Panes, random_cells

ASIDE, FAR = 40, 1000  # terminal cells that a grid is scrolled sideways, and down to its end


def are_as_drawn_anew(grid: Grid) -> bool:
    """Whether the kept lines are those that an empty memory brings about, on screen and beyond it."""
    x, y = grid.scroll_offset
    places = [(at, y) for at in (0, x, ASIDE)] + [(x, at) for at in (0, grid.max_scroll_y // 2, FAR)]
    kept = [lines_at(grid, *place) for place in places]
    for place, lines in zip(places, kept, strict=True):
        grid._kept.clear()
        if lines_at(grid, *place) != lines:
            return False
    return True


def lines_at(grid: Grid, x: int, y: int) -> list[list[Segment]]:
    grid.scroll_now(x, y)
    return [list(line) for line in grid.render_lines(Region(0, 0, *grid.outer_size))]


def see_all_rows(grid: Grid) -> None:
    for x in (ASIDE, 0):
        for y in range(grid.max_scroll_y, -1, -3):
            lines_at(grid, x, y)


def look_at(grid: Grid) -> str:
    return "\n".join(line.text for line in grid.render_lines(Region(0, 0, *grid.outer_size)))


CHANGES: dict[str, Callable[[Panes, Grid], object]] = {
    "cursor": lambda app, grid: grid.move_to(Cursor(3, 4)),
    "cursor far away": lambda app, grid: grid.move_to(Cursor(19, 39)),
    "scroll sideways": lambda app, grid: grid.scroll_now(60, 0),
    "scroll down": lambda app, grid: grid.scroll_now(0, 4),
    "depth": lambda app, grid: setattr(grid, "depth", 3),
    "width": lambda app, grid: setattr(grid, "column_layout", ColumnLayout(14, Contents.BOTH)),
    "order": lambda app, grid: setattr(grid, "bottom_up", False),
    "value": lambda app, grid: setattr(grid, "value", ENTROPY),
    "scale": lambda app, grid: setattr(grid, "scale", Scale(0, 0.3)),
    "settled": lambda app, grid: setattr(grid, "marks", True),
    "frame": lambda app, grid: setattr(grid, "framed", False),
    "figures": lambda app, grid: setattr(grid, "figures", RowFigures({"3": "1.2"}, frozenset({"3"}))),
    "turns": lambda app, grid: setattr(
        grid, "column_marks", ColumnMarks(frozenset({1}), frozenset({2}), frozenset({5}))
    ),
    "folded": lambda app, grid: setattr(grid, "hidden", frozenset(range(2, 6))),
    "cells": lambda app, grid: grid.add(2, random_cells(20, 3, seed=9), TEXTS),
    "cells out of sight": lambda app, grid: grid.add(12, random_cells(20, 3, seed=9), TEXTS),
    "cursor and scroll": lambda app, grid: grid.action_page(1, 1),
    "fewer columns": lambda app, grid: grid.resize_to([f"u{i}" for i in range(5)]),
    "another prompt": lambda app, grid: grid.start(("emb", "0"), ("a", "b"), 50),
    "theme": lambda app, grid: setattr(app, "theme", "textual-light"),
    "focus": lambda app, grid: app.right.focus(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_no_line_is_stale(change: str) -> None:
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        await pilot.pause()
        see_all_rows(app.left)
        before = look_at(app.left)
        CHANGES[change](app, app.left)
        await pilot.pause()
        assert are_as_drawn_anew(app.left)
        if change in {"scroll down", "order", "folded", "another prompt", "depth"}:
            assert look_at(app.left) != before


async def test_no_line_is_stale_after_a_resize() -> None:
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        await pilot.pause()
        for size in ((60, 9), (140, 30), (140, 12)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert are_as_drawn_anew(app.left)
            assert look_at(app.left).count("\n") == app.left.outer_size.height - 1


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Grid, int]]:
    """The lines that are drawn, with their grids."""
    lines: list[tuple[Grid, int]] = []
    before = Grid._draw

    def draw(grid: Grid, numbers: Sequence[int]) -> Iterator[tuple[int, Strip]]:
        lines.extend((grid, number) for number in numbers)
        return before(grid, numbers)

    monkeypatch.setattr(Grid, "_draw", draw)
    return lines


async def test_a_step_of_the_cursor_draws_few_lines(drawn: list[tuple[Grid, int]]) -> None:
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        await pilot.pause()
        drawn.clear()
        await pilot.press("l")
        await pilot.pause()
        numbers = [number for grid, number in drawn if grid is app.left]
    assert numbers[0] == 0
    assert len(numbers) == 2  # the header, and the row of the cursor


async def test_rows_that_come_back_into_sight_are_not_drawn_again(drawn: list[tuple[Grid, int]]) -> None:
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        await pilot.pause()
        see_all_rows(app.left)
        drawn.clear()
        app.left.scroll_now(0, 6)
        await pilot.pause()
        assert not [number for grid, number in drawn if grid is app.left]
        row = app.left.cursor.row
        await pilot.press("pageup")
        await pilot.pause()
        assert app.left.cursor.row != row
        # The row that the cursor came to; the one that it left is not on screen.
        assert len([number for grid, number in drawn if grid is app.left]) == 1


async def test_columns_that_come_back_into_sight_are_not_drawn_again(drawn: list[tuple[Grid, int]]) -> None:
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        for key in ("shift+right", "shift+right", "shift+left", "shift+left"):
            await pilot.press(key)
            await pilot.pause()
        drawn.clear()
        for key in ("shift+right", "shift+right"):
            await pilot.press(key)
            await pilot.pause()
    assert len(drawn) == 4  # at each page the header, and the row of the cursor


async def test_few_lines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.tui.grid.grid._MOST_KEPT", 30)
    app = Panes()
    async with app.run_test(size=(100, 14)) as pilot:
        await pilot.pause()
        for x in range(0, 80, app.left.column_width):
            lines_at(app.left, x, 0)
            kept = app.left._kept
            assert [*kept][-1] == x
            assert sum(map(len, kept.values())) <= 30 + app.left.outer_size.height
