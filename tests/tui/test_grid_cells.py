"""The grid: cells that stream in, their values, colours and looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from textual.geometry import Region
from textual.strip import Strip

from lenstui.readout.cells import row_labels
from lenstui.readout.scales import NO_LEVEL, Scale
from lenstui.readout.values import ENTROPY, KL, PROBABILITY, RANK
from lenstui.support.cell_width import fit
from lenstui.tui.grid import palette
from lenstui.tui.grid.cell import CellLine
from lenstui.tui.grid.cells import GridCells
from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.grid.room import ColumnLayout, Contents
from tests.tui.pilots.grid_app import (
    COLUMNS,
    ROWS,
    TEXTS,
    VOCABULARY,
    Panes,
    body_region,
    cut,
    lines,
    random_cells,
    some_columns,
)

# Streaming


async def test_cells_arrive() -> None:
    app = Panes(filled=False)
    cells = random_cells(ROWS, COLUMNS)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        assert lines(app.left)[1].split() == ["18", "·", "·", "·", "·"]
        assert app.left.cells is None
        app.left.add(1, some_columns(cells, 1, 3), TEXTS)
        await pilot.pause()
        tokens = [fit(TEXTS[token], 9).strip() for token in cells.top_ids[-1, 1:3, 0].tolist()]
        assert lines(app.left)[1].split() == ["18", "·", *tokens, "·"]
        assert np.isnan(app.left.values[:, 0]).all()
        assert (app.left.values[:, 1:3] == cells.top_probs[:, 1:3, 0]).all()


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
async def test_only_what_changes_and_is_seen_is_drawn(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Panes(filled=False)
    cells = random_cells(ROWS, COLUMNS)
    drawn: list[Region] = []
    async with app.run_test(size=(80, 30)) as pilot:
        grid = app.left
        grid.depth = depth
        grid.move_to(Cursor(19, 0))
        await pilot.pause()
        monkeypatch.setattr(grid, "refresh", lambda *regions, **_: drawn.extend(regions or [None]))
        grid.add(30, some_columns(cells, 30, 40), TEXTS)
        assert drawn == [], "out of sight"
        grid.add(0, some_columns(cells, 0, 30), TEXTS)
        assert len(drawn) == 1 and drawn.pop() == body_region(grid).intersection(grid_region(grid, 20, 40))
        grid.add(0, cells, TEXTS)
        assert drawn == [], "nothing new"
        other = cells.top_ids.copy()
        other[19, 1, 0] += 1
        changed = replace(cells, top1=other[..., 0], top_ids=other)
        grid.add(1, some_columns(changed, 1, 2), {**TEXTS, VOCABULARY: "new"})
        assert drawn == [grid._region(Cursor(19, 1))]
        drawn.clear()
        other[18, 0, 2] += 1
        grid.add(0, changed, {**TEXTS, VOCABULARY: "new"})
        assert len(drawn) == (depth > 2), "the third token is seen from depth 3 on"


def grid_region(grid: Grid, rows: int, columns: int) -> Region:
    return Region(grid._gutter, 1, columns * grid.column_width, rows * grid.row_height)


async def test_a_lens_that_learns_repaints_its_cells() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        before = lines(app.left)
        app.left.add(0, random_cells(ROWS, COLUMNS, seed=9), TEXTS)
        await pilot.pause()
        assert lines(app.left) != before


async def test_start_forgets() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.press("end", "ctrl+end")
        app.left.start(row_labels(2), ["a"], VOCABULARY)
        await pilot.pause()
        assert app.left.cursor == Cursor(0, 0)
        assert app.left.cells is None
        assert [line.split() for line in lines(app.left)[:4]] == [
            ["a"],
            ["1", "·"],
            ["0", "·"],
            ["emb", "▐·", "▌"],  # with the edges of the cursor
        ]
        assert tuple(app.left.scroll_offset) == (0, 0)


async def test_more_tokens_per_cell() -> None:
    app = Panes()
    cells = random_cells(ROWS, COLUMNS, k=3)
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.depth, app.left.column_layout = 4, ColumnLayout(15, Contents.BOTH)
        app.left.move_to(Cursor(19, 0))
        await pilot.pause()
        shown = [cut(line, 5, 15) for line in lines(app.left)[1:5]]
        for text, token, probability in zip(
            shown, cells.top_ids[-1, 0].tolist(), cells.top_probs[-1, 0].tolist(), strict=False
        ):
            assert text.endswith(f"{probability:>5.0%}")
            assert text[1:].startswith(TEXTS[token][:3])
        assert shown[3].strip("▐ ") == "", "only three were read"
        app.left.depth = 99
        assert app.left.depth == 5
        app.left.depth = 0
        assert app.left.depth == 1
        app.left.column_layout = ColumnLayout(7, Contents.NUMBER)
        await pilot.pause()
        value = app.left.value.format(float(app.left.values[-1, 0]))
        assert lines(app.left)[1][5:12].strip("▐▌ ") == value


async def test_depth_keeps_the_top_left_cell() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(9, 20))
        app.left.follow_scroll(200, 10)
        await pilot.pause()
        app.left.depth, app.left.column_layout = 2, ColumnLayout(15)
        await pilot.pause()
        assert tuple(app.left.scroll_offset) == (20 * 15, 10 * 2)


# Values and looks


async def test_another_value_recolours() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)):
        cells = random_cells(ROWS, COLUMNS)
        for value in (ENTROPY, KL, RANK, PROBABILITY):
            app.left.value = value
            assert (app.left.values == value.of(cells)).all()
            scale = value.scale([app.left.values], VOCABULARY)
            app.left.scale = scale
            assert (app.left._cells.levels == scale.levels(value.of(cells))).all()
        app.left.values[0, 0] = 7
        assert app.left.cells is not None
        assert app.left.cells.top_probs[0, 0, 0] != 7, "a copy"


async def test_the_scale_is_another_for_another_prompt() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)):
        app.left.value = ENTROPY
        app.left.start(row_labels(2), ["a"], 1000)
        assert app.left.scale == ENTROPY.scale((), 1000)


def test_a_cell_without_a_number_has_no_colour() -> None:
    cells = GridCells(2, 3)
    read = random_cells(2, 3)
    cells.put(0, replace(read, entropy=np.full((2, 3), np.nan, np.float32)), TEXTS, ENTROPY, Scale(0, 4))
    assert (cells.levels == NO_LEVEL).all()
    assert None not in cells.line(0, slice(0, 3), CellLine(0))


async def test_a_token_without_a_text_shows_its_id() -> None:
    app = Panes(filled=False)
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.add(0, random_cells(ROWS, COLUMNS), {})
        await pilot.pause()
        assert all(text.startswith("#") for text in lines(app.left)[1].split()[1:])


@pytest.mark.parametrize("depth", [0, 1, 3])
async def test_without_colours_a_glyph_tells_the_level_and_brackets_the_cursor(depth: int) -> None:
    app = Panes()
    app.no_color = True
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.depth = depth
        app.left.move_to(Cursor(19, 1))
        await pilot.pause()
        width = app.left.column_width
        levels = app.left._cells.levels[19]
        top = lines(app.left)[1]
        x = 5
        for column in range(2):
            cell = cut(top, x + column * width, width)
            assert cell[0] == palette.glyph(levels[column], 9)
            assert (cell[1], cell[-1]) == ("[", "]") if column == 1 else cell[-1] == " "
        if depth > 1:
            assert cut(lines(app.left)[2], x, width)[0] == " ", "once a cell"


async def test_the_cursor_stands_out() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.move_to(Cursor(19, 1))
        await pilot.pause()
        strip = app.left.render_line(1)
        before, cursor, beside = (strip.crop(x, x + 10) for x in (5, 15, 25))
        assert [part.text[0] for part in (before, cursor, beside)] == [" ", "▐", "▌"]
        assert is_bold(cursor) and not is_bold(before)
        level = int(app.left.drawn_cells.levels[19, 1])
        (ground,) = {segment.style.bgcolor for segment in cursor if segment.style}
        assert ground == app.left._look.levels[level].bgcolor, "the colour of the cell is seen"
        app.left.framed = False
        await pilot.pause()
        assert app.left.render_line(1).crop(25, 35).text[0] == " "
        header = app.left.render_line(0)
        assert [is_bold(header.crop(x, x + 10)) for x in (5, 15, 25)] == [False, True, False]
        assert is_bold(app.left.render_line(1).crop(0, 5))
        assert not is_bold(app.left.render_line(2).crop(0, 5))


def is_bold(strip: Strip) -> bool:
    """Whether it begins in bold."""
    style = strip._segments[0].style
    assert style is not None
    return bool(style.bold)


async def test_a_light_theme_is_followed() -> None:
    app = Panes(filled=False)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        dark = app.left.render_line(2)._segments[-1].style
        app.theme = "textual-light"
        await pilot.pause()
        lines(app.left)
        light = app.left.render_line(2)._segments[-1].style
        assert dark is not None and light is not None
        assert dark.bgcolor != light.bgcolor
