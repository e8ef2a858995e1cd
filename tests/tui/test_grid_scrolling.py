"""The grid: scrolling, mouse, and what stays in sight."""

from __future__ import annotations

import pytest
from textual.widget import Widget

from lenstui.readout.cells import row_labels
from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.grid.room import ColumnLayout
from tests.tui.pilots.grid_app import VOCABULARY, Panes, body_region, lines, settled


async def test_the_cursor_is_always_seen_whole() -> None:
    app = Panes()
    async with app.run_test(size=(83, 11)) as pilot:
        await settled(pilot, app)
        for depth, width in ((1, 10), (3, 15), (1, 7), (2, 20)):
            app.left.depth, app.left.column_layout = depth, ColumnLayout(width)
            for key in (
                "end",
                "ctrl+end",
                "shift+left",
                "up",
                "home",
                "ctrl+home",
                "right_curly_bracket",
                "l",
                "pagedown",
                "end",
                "down",
                "left",
            ):
                await pilot.press(key)
                cell = app.left._region(app.left.cursor)
                assert body_region(app.left).contains_region(cell), (depth, key)
                x, y = app.left.scroll_offset
                assert x % app.left.column_width == 0 == y % depth


async def test_resize_keeps_the_cursor_in_sight() -> None:
    app = Panes()
    async with app.run_test(size=(160, 30)) as pilot:
        app.left.move_to(Cursor(0, 7))
        await pilot.pause()
        await pilot.resize_terminal(60, 8)
        await pilot.pause()
        assert body_region(app.left).contains_region(app.left._region(app.left.cursor))
        assert len({len(line) for line in lines(app.left)}) >= 1


async def test_header_and_labels_stay() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.press("end", "ctrl+end")
        shown = lines(app.left)
        assert shown[0].split()[-1] == "t39"
        assert shown[-3].split()[0] == "0"
        assert shown[-2].split()[0] == "emb"


async def test_wheel_scrolls_and_leaves_the_cursor() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(19, 0))
        await settled(pilot, app)
        await pilot._post_mouse_events([_wheel("Down")], widget="#left", offset=(10, 3))
        await pilot.pause()
        assert tuple(app.left.scroll_offset) == (0, 3)
        await pilot._post_mouse_events([_wheel("Right")], widget="#left", offset=(10, 3))
        await pilot._post_mouse_events([_wheel("Up")], widget="#left", offset=(10, 3))
        await pilot.pause()
        assert tuple(app.left.scroll_offset) == (10, 0)
        await pilot._post_mouse_events([_wheel("Left")], widget="#left", offset=(10, 3))
        await pilot.pause()
        assert tuple(app.left.scroll_offset) == (0, 0)
        assert app.left.cursor == Cursor(19, 0)
        assert {type(message) for message in app.heard} == {Grid.Scrolled}


def _wheel(direction: str) -> type:
    from textual import events

    return getattr(events, f"MouseScroll{direction}")


@pytest.mark.parametrize(
    ("offset", "row", "column"),
    [((16, 3), 17, 1), ((6, 1), 19, 0), ((30, 0), 10, 2), ((2, 5), 15, 0), ((0, 0), 10, 0)],
)
async def test_click(offset: tuple[int, int], row: int, column: int) -> None:
    app = Panes()
    async with app.run_test(size=(80, 16)) as pilot:
        app.left.move_to(Cursor(10, 0))
        app.left.follow_scroll(0, 0)
        await settled(pilot, app)
        assert tuple(app.left.scroll_offset) == (0, 0)
        await pilot.click("#left", offset=offset)
        assert app.left.cursor == Cursor(row, column)


async def test_click_beside_the_cells_does_nothing() -> None:
    app = Panes(rows=3, columns=2)
    async with app.run_test(size=(80, 16)) as pilot:
        await settled(pilot, app)
        await pilot.click("#left", offset=(36, 2))
        await pilot.click("#left", offset=(6, 10))
        assert app.left.cursor == Cursor(0, 0)


async def test_visible_columns() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        assert app.left.visible_columns() == range(4)  # 5 of label, 34 of cells, 1 of scrollbar
        await pilot.press("end")
        assert app.left.visible_columns() == range(37, 40)
        app.left.depth = 2
        assert 39 in app.left.visible_columns()
    assert Grid().visible_columns() == range(0)


async def test_a_cursor_set_before_the_first_layout_scrolls_no_further_than_needed() -> None:
    class Early(Panes):
        def on_mount(self) -> None:
            super().on_mount()
            self.left.move_to(Cursor(10, 20))

    app = Early()
    async with app.run_test(size=(160, 30)) as pilot:
        await pilot.pause()
        assert tuple(app.left.scroll_offset) == (140, 0)


async def test_a_cursor_set_before_there_is_a_screen() -> None:
    grid = Grid()
    grid.start(row_labels(3), ["a", "b"], VOCABULARY)
    grid.move_to(Cursor(9, 9))
    assert grid.cursor == Cursor(3, 1)


@pytest.mark.parametrize("y", [0, 1, 4, 9])
async def test_a_vertical_scrollbar_is_the_one_that_textual_lays_out(y: int) -> None:
    app = Panes()
    async with app.run_test(size=(60, 14)) as pilot:
        app.left.scroll_now(0, y)
        await pilot.pause()
        bar = app.left.vertical_scrollbar
        whole = bar.size.region
        laid_out = [list(line) for line in Widget.render_lines(bar, whole)]
        assert [list(line) for line in bar.render_lines(whole)] == laid_out
        part = whole._replace(y=2, height=3)
        assert [list(line) for line in bar.render_lines(part)] == laid_out[2:5]
        assert len(laid_out) == whole.height > 5
