"""Where columns settle: marked in the grids, summed up in their frames, told below."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Input

from lenstui.export.difference import DIFFERENT
from lenstui.jobs.fit_messages import TrainingRead
from lenstui.jobs.messages import ReadStarted, TileRead
from lenstui.readout.cells import Cells, row_labels
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_reading import AskReading
from lenstui.tui.explore.cell_panel import CellPanel
from lenstui.tui.explore.detail import Detail
from lenstui.tui.grid.cell import BAR
from lenstui.tui.grid.grid import HEADER, Cursor, Grid
from lenstui.tui.grid.settling import of_column, summary
from lenstui.tui.help.keys import Keys
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.grid_app import TEXTS, ColourApp, lines, random_cells
from tests.tui.pilots.looking import do, keys_of, place, subtitle, until
from tests.tui.pilots.still import MODEL, SIZES, show, side_tile, still

__all__ = ["still"]

TEXT = "Hello, you"


def naive(top1: Sequence[int]) -> int:
    """Down from the last row, as long as it is the same."""
    row = len(top1) - 1
    while row > 0 and top1[row - 1] == top1[-1]:
        row -= 1
    return row


def settled(of: Cells | None) -> list[int]:
    assert of is not None
    return [naive(column) for column in of.top_ids[:, :, 0].T.tolist()]


def marked(grid: Grid) -> set[Cursor]:
    """The cells on screen that have a bar on each of their lines, and none has one on a few."""
    drawn = grid.render_lines(Region(0, 0, *grid.size))
    found = set()
    for column in grid.visible_columns():
        for row in range(len(grid.rows)):
            region = grid._region(Cursor(row, column))
            lines = [drawn[y] for y in range(region.y, region.bottom) if HEADER <= y < len(drawn)]
            bars = {_has_bar(line.crop(region.x, region.x + 3)) for line in lines}
            assert len(bars) <= 1
            if True in bars:
                found.add(Cursor(row, column))
    return found


def _has_bar(start: Strip) -> bool:
    """Whether a line of a cell begins with one, or with a mark that it differs in a colour of its own."""
    if DIFFERENT not in start.text[:2]:
        return BAR in start.text[:2]
    pieces = list(start.crop(start.text.index(DIFFERENT)))
    return len(pieces) > 1 and pieces[0].style.color != pieces[1].style.color  # type: ignore[union-attr]


def expected(grid: Grid, seen: Grid | None = None) -> set[Cursor]:
    """One in each column that is read, where it is on screen, in this grid or another."""
    assert grid.cells is not None
    top1 = grid.cells.top_ids[:, :, 0]
    return {
        Cursor(naive(top1[:, column].tolist()), column)
        for column in (seen or grid).visible_columns()
        if (top1[:, column] >= 0).all()
    }


def detail(app: LenstuiApp) -> str:
    return str(app.explore.query_one(Detail).border_subtitle or "")


def frame(app: LenstuiApp, lens: str) -> str:
    name = lens if lens == "difference" else place(lens)
    return str(app.explore.query_one(f"#pane-{name}").border_subtitle or "")


# In the grid


class OneGrid(ColourApp):
    def compose(self) -> Any:
        yield Grid()


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("bottom_up", [True, False])
@pytest.mark.parametrize(
    ("system", "no_color"),
    [
        (ColorSystem.TRUECOLOR, False),
        (ColorSystem.EIGHT_BIT, False),
        (ColorSystem.STANDARD, False),
        (ColorSystem.TRUECOLOR, True),
    ],
)
async def test_one_mark_a_column_also_under_the_cursor(
    system: ColorSystem, no_color: bool, bottom_up: bool, depth: int
) -> None:
    app = OneGrid()
    app.console._color_system, app.no_color = system, no_color
    read = random_cells(5, 4)
    read.top_ids[2:, 1] = read.top_ids[4, 1]
    read.top_ids[:, 2] = 7
    read.top_ids[3, 3] = read.top_ids[4, 3] + 1
    async with app.run_test(size=(80, 20)) as pilot:
        grid = app.query_one(Grid)
        grid.start(row_labels(4), "abcd", 50)
        grid.depth, grid.bottom_up = depth, bottom_up
        grid.add(0, read, TEXTS)
        assert marked(grid) == set()
        grid.marks = True
        await pilot.pause()
        assert {(at.column, at.row) for at in marked(grid)} == set(enumerate(settled(read)))
        assert settled(read)[1:] == [2, 0, 4]
        grid.move_to(Cursor(2, 1))
        lines(grid)  # as wide as ever
        assert len(marked(grid)) == 4
        region = grid._region(Cursor(2, 1))
        for y in range(region.y, region.bottom):
            bar, cell = (
                grid.render_line(y).crop(region.x + i, region.x + i + 1)._segments[0].style for i in (0, 1)
            )
            assert bar is not None
            assert cell is not None
            if not (no_color or system is ColorSystem.STANDARD):
                assert bar.color != cell.color
                assert bar.bgcolor == cell.bgcolor
            text = grid.render_line(y).crop(region.x + 2, region.x + 3)._segments[0].style
            assert bool(text and text.underline) == (y == region.bottom - 1)
        grid.marks = False
        await pilot.pause()
        assert marked(grid) == set()


async def test_marks_come_with_the_columns_and_move_with_the_lens(monkeypatch: pytest.MonkeyPatch) -> None:
    app = OneGrid()
    read = random_cells(5, 4)
    async with app.run_test(size=(80, 20)) as pilot:
        grid = app.query_one(Grid)
        grid.start(row_labels(4), "abcd", 50)
        grid.marks = True
        grid.add(2, Cells(*(getattr(read, name)[:, 2:] for name in Cells.__slots__)), TEXTS)
        assert {at.column for at in marked(grid)} == {2, 3}
        assert grid.settled.tolist()[:2] == [-1, -1]
        await pilot.pause()
        refreshed: list[Region] = []

        def refresh(*regions: Region, **_: Any) -> Grid:
            refreshed.extend(regions)
            return grid

        monkeypatch.setattr(grid, "refresh", refresh)
        ids = read.top_ids.copy()
        other = replace(read, top1=ids[..., 0], top_ids=ids)
        other.top_ids[:, 3] = read.top_ids[4, 3]  # settles in the first row; the last row stays as it is
        grid.add(0, other, TEXTS)
        drawn_anew = Region.from_union(refreshed)
        for row in (0, naive(read.top_ids[:, 3, 0].tolist())):  # where the mark is, and where it was
            assert drawn_anew.contains_region(grid._region(Cursor(row, 3)))
        del grid.refresh
        grid.refresh()
        assert marked(grid) == expected(grid)
        assert Cursor(0, 3) in marked(grid)
        grid.resize_to("abcdef")
        assert grid.settled.tolist() == [*settled(other), -1, -1]
        grid.resize_to("ab")
        assert grid.settled.tolist() == settled(other)[:2]


async def test_rows_of_sublayers_do_not_count() -> None:
    app = OneGrid()
    read = random_cells(5, 2)
    read.top_ids[:, 0, 0] = [3, 7, 4, 9, 4]  # settles in its third row, though what the MLP adds says 9
    read.top_ids[:, 1, 0] = [4, 4, 3, 4, 4]
    labels = ("emb", "0.attn", "0", "1.mlp", "1")
    async with app.run_test(size=(80, 20)):
        grid = app.query_one(Grid)
        grid.start(labels, "ab", 50)
        grid.marks = True
        grid.add(0, read, TEXTS)
        assert marked(grid) == {Cursor(2, 0), Cursor(4, 1)}
    assert of_column({"logit": read}, labels, 0) == "settles at row 0 (logit)"
    told = summary(np.array([4, 0, 2], np.int32), labels, 200)  # without column 0: emb and 0
    assert told == "settles: median row emb–0 · 2 of 2 columns before the last row"


# In words


@given(
    rows=st.integers(1, 6),
    columns=st.lists(st.lists(st.integers(0, 2), min_size=7, max_size=7), min_size=1, max_size=9),
    unread=st.sets(st.integers(0, 8)),
)
def test_the_summary_is_of_what_is_read_without_column_0(
    rows: int, columns: list[list[int]], unread: set[int]
) -> None:
    labels = row_labels(rows)
    places = [naive(column[: rows + 1]) for column in columns]
    given_rows = np.array([-1 if i in unread else row for i, row in enumerate(places)], np.int32)
    told = summary(given_rows, labels, 200)
    counted = [row for i, row in enumerate(places) if i not in unread and i > 0]
    counted = counted or [row for i, row in enumerate(places) if i not in unread]
    if not counted:
        assert told == ""
        return
    median = statistics.median(counted) - 1  # as a label
    shown = {-1: "emb", -0.5: "emb–0"}.get(median, f"{median:g}")
    early = sum(row < rows for row in counted)
    assert told == (f"settles: median row {shown} · {early} of {len(counted)} columns before the last row")


@pytest.mark.parametrize("width", [60, 44, 28])
def test_the_summary_fits(width: int) -> None:
    told = summary(np.array([0, 3, 4, 2], np.int32), row_labels(4), width)
    assert len(told) <= max(width, len("median row 2 · 2 of 3 early"))
    assert "median row 2 · 2 of 3" in told


def test_a_column_in_words() -> None:
    read = random_cells(4, 2)
    read.top_ids[:, 0, 0] = [5, 6, 6, 6]
    ids = read.top_ids.copy()
    late = replace(read, top1=ids[..., 0], top_ids=ids)
    late.top_ids[:, 0, 0] = [6, 6, 5, 6]
    labels = row_labels(3)
    both = {"logit": late, "tuned": read}
    assert of_column(both, labels, 0) == "settles at the last row (logit) · row 0 (tuned)"
    assert of_column({"logit": late, "tuned": None}, labels, 0) == "settles at the last row (logit)"
    late.top_ids[:, 0] = -1
    assert of_column(both, labels, 0) == "settles at row 0 (tuned)"
    assert of_column({"logit": None, "tuned": None}, labels, 0) == ""


def test_the_first_token_of_the_shorter_prompt_does_not_count() -> None:
    prompt = [0, 3, 4, 2]  # where its columns settle; the first is a sink
    wanted = summary(np.array(prompt, np.int32), row_labels(4), 200)
    assert wanted == "settles: median row 2 · 2 of 3 columns before the last row"
    for gap in (range(1), range(3), range(1, 3), range(3, 4)):
        shown = np.insert(np.array(prompt, np.int32), [gap.start] * len(gap), -1)
        assert summary(shown, row_labels(4), 200, gap=gap) == wanted
    assert summary(np.array([-1, -1, 0], np.int32), row_labels(4), 200, gap=range(2)) == (
        "settles: median row emb · 1 of 1 columns before the last row"
    )


@pytest.mark.parametrize("width", [80, 40, 28])
def test_with_some_rows_there_is_no_median(width: int) -> None:
    told = summary(np.array([-1, -1], np.int32), ("emb", "1", "3"), width)
    assert len(told) <= width
    assert told.startswith(("crystallization: known only with all rows", "settles: "))
    read = random_cells(3, 2)
    assert of_column({"logit": read}, ("emb", "1", "3"), 0) == ""
    assert of_column({"logit": read}, ("emb", "0", "1"), 0) != ""


# In Explore


async def test_with_some_rows_read_c_says_what_is_missing(opened: Any) -> None:
    async def choose(rows: str) -> None:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, AskReading))
        app.screen.query_one("#reading-rows", Input).value = rows
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.reading.rows.text == (rows or "all"))
        await until(pilot, lambda: subtitle(app).endswith(" s"))

    async with opened(TEXT) as (app, pilot):
        await pilot.press("c")
        assert "median row" in frame(app, "logit")
        await choose("every 2")  # while they are marked
        assert app.explore.state.rows == ("emb", "1", "2")
        for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
            assert marked(grid) == set()
            assert "known only with all rows" in frame(app, lens)
        await pilot.pause(0.1)
        assert detail(app) == ""
        await pilot.press("c")  # no more of it
        assert (frame(app, "logit"), app.explore.panes.crystallization) == ("", False)
        await pilot.press("c")
        assert any("with all rows read: b" in str(note.message) for note in app._notifications)
        assert not app.explore.panes.crystallization
        await choose("")
        await pilot.press("c")
        for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
            assert marked(grid) == expected(grid) != set()
            assert "median row" in frame(app, lens)


async def test_c_marks_both_panes_and_no_longer(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        assert (frame(app, "logit"), frame(app, "tuned")) == ("", "")
        await pilot.press("c")
        await pilot.pause()
        for lens, grid in zip(("logit", "tuned"), app.explore.grids, strict=True):
            assert marked(grid) == expected(grid) != set()
            places = settled(grid.cells)[1:]
            median = statistics.median(places) - 1
            assert f"median row {'emb' if median == -1 else f'{median:g}'} · " in frame(app, lens)
            assert f"{sum(place < 3 for place in places)} of {len(places)}" in frame(app, lens)
        await pilot.press("left")
        await pilot.pause(0.1)
        column = len(TEXT) - 2
        names = ("row emb", "row 0", "row 1", "the last row")
        told = [names[settled(grid.cells)[column]] for grid in app.explore.grids]
        assert detail(app) == f"settles at {told[0]} (logit) · {told[1]} (tuned)"
        await pilot.press("c")
        await pilot.pause()
        assert all(marked(grid) == set() for grid in app.explore.grids)
        assert (frame(app, "logit"), frame(app, "tuned")) == ("", "")
        assert detail(app).startswith("settles at")


async def test_an_appended_column_has_a_mark_too(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("c", "a")
        await until(pilot, lambda: "1 appended" in subtitle(app) and subtitle(app).endswith(" s"))
        for grid in app.explore.grids:
            assert {at.column for at in marked(grid)} >= {len(TEXT)}
            assert marked(grid) == expected(grid)
        assert f"of {len(TEXT)}" in frame(app, "logit")
        await pilot.press("backspace")
        await until(pilot, lambda: subtitle(app).startswith(f"{len(TEXT)} tokens"))
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert f"of {len(TEXT) - 1}" in frame(app, "logit")


async def test_the_difference_marks_where_the_tuned_lens_settles(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("c", "d")
        await pilot.pause()
        compared, tuned = app.explore.panes.shown_grid, app.explore.grids[1]
        assert compared is not tuned
        assert marked(compared) == expected(tuned, compared) != set()
        assert frame(app, "difference").endswith("· ┃ the tuned lens settles")
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert marked(compared) == expected(tuned, compared) != set()
        await pilot.press("d", "c", "d")
        await pilot.pause()
        assert marked(compared) == set()


async def test_without_a_tuned_lens_only_the_logit_lens_is_told(opened: Any) -> None:
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("c")
        await pilot.pause(0.1)
        assert "median" in frame(app, "logit")
        assert frame(app, "tuned") == "No tuned lens yet: t trains one, o opens one."
        assert detail(app).startswith("settles at ")
        assert "tuned" not in detail(app)


async def test_with_nothing_read_c_says_so(opened: Any) -> None:
    async with opened("") as (app, pilot):
        await do(app, "crystallization")
        await pilot.pause()
        assert any("No prompt yet" in str(note.message) for note in app._notifications)
        assert not app.explore.panes.crystallization


async def test_tiles_and_a_lens_in_training_change_the_summary(still: LenstuiApp) -> None:
    async with still.run_test(size=(200, 50)) as pilot:
        await show(pilot)
        await pilot.press("c")
        explore = still.explore
        explore.post_message(ReadStarted(1, COLUMNS, 0, MODEL.rows))
        await pilot.pause()
        assert frame(still, "logit") == ""
        assert detail(still) != ""  # of the prompt before, until there is something new to say
        part = cells(1.0)
        part = Cells(*(getattr(part, name)[:, 4:] for name in Cells.__slots__))
        texts = dict(enumerate(WORDS))
        explore.post_message(TileRead(1, side_tile(4, len(COLUMNS), {"logit": part, "tuned": part}), texts))
        await pilot.pause(0.1)
        assert "of 4 columns" in frame(still, "logit")
        assert {at.column for at in marked(explore.grids[0])} == {4, 5, 6, 7}
        explore.panes.training = frozenset({1})
        part.top_ids[:] = 3
        explore.post_message(TrainingRead(1, "tuned", 4, part, texts, 0.1))
        await pilot.pause(0.1)
        assert frame(still, "tuned").startswith("settles: median row emb · 4 of 4 columns")
        assert "row emb (tuned)" in detail(still)


async def test_it_is_kept_for_the_next_session(tiny_model: Path, tmp_path: Path) -> None:
    from lenstui.support.request import Start
    from tests.tui.pilots.session_pilot import begun, read

    path = tmp_path / "state" / "session.json"
    for keys in (["c", "q"], ["q"]):
        app = begun(Start(model=str(tiny_model)), path)
        async with app.run_test(size=(120, 40)) as pilot:
            await read(app, pilot)
            await pilot.press(*keys[:-1])
            await pilot.pause()
            assert app.explore.panes.crystallization
            grid = app.explore.grids[0]
            assert marked(grid) == expected(grid) != set()
            await pilot.press("q")


async def test_it_is_listed_and_in_the_palette(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        await show(pilot)
        assert "Settling rows" in {command.title for command in still.get_system_commands(still.screen)}
        await pilot.press("question_mark", *"settles")
        assert isinstance(still.screen, Keys)
        assert any(key.keys == "c" and "settles" in key.does for key in keys_of(still))


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def marks(pilot: Pilot[None]) -> None:
        await show(pilot, replace(MODEL))
        await pilot.press("c", "down", "left", "right_square_bracket")
        await pilot.pause(0.2)
        assert pilot.app.screen.query_one(CellPanel).display

    assert snap_compare(still, terminal_size=size, run_before=marks)
