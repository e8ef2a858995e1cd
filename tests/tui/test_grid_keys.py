"""The grid: keys, and two grids that share a cursor."""

from __future__ import annotations

import pytest

from lenstui.readout.cells import row_labels
from lenstui.tui.grid.grid import Cursor, Grid
from tests.tui.pilots.grid_app import VOCABULARY, Panes, body_region, lines, settled

# Keys


@pytest.mark.parametrize(
    ("keys", "row", "column"),
    [
        # From row 10, column 20; row 19 is drawn at the top. 9 whole rows and 3 whole columns are on screen.
        (["up"], 11, 20),
        (["k"], 11, 20),
        (["down"], 9, 20),
        (["j"], 9, 20),
        (["left"], 10, 19),
        (["h"], 10, 19),
        (["right"], 10, 21),
        (["l"], 10, 21),
        (["home"], 10, 0),
        (["end"], 10, 39),
        (["ctrl+home"], 19, 20),
        (["ctrl+end"], 0, 20),
        (["pageup"], 18, 20),
        (["pagedown"], 2, 20),
        (["shift+left"], 10, 17),
        (["left_curly_bracket"], 10, 17),
        (["right_curly_bracket"], 10, 23),
        (["shift+right"], 10, 23),
        (["ctrl+home", "up"], 19, 20),
        (["ctrl+end", "pagedown"], 0, 20),
        (["home", "left"], 10, 0),
        (["end", "right_curly_bracket"], 10, 39),
    ],
)
async def test_key(keys: list[str], row: int, column: int) -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(10, 20))
        await settled(pilot, app)
        assert app.left._page == (8, 3)
        await pilot.press(*keys)
        assert app.left.cursor == Cursor(row, column)
        moved = [message for message in app.heard if isinstance(message, Grid.CursorMoved)]
        assert moved[-1].cursor == Cursor(row, column) if moved else len(keys) == 0
        assert all(message.grid is app.left for message in moved)


async def test_w_is_free() -> None:
    """It once paged to the right."""
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(10, 20))
        await pilot.press("w")
        assert app.left.cursor == Cursor(10, 20)


async def test_keys_follow_the_screen_when_it_is_upside_down() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(10, 20))
        app.left.bottom_up = False
        await pilot.press("up")
        assert app.left.cursor == Cursor(9, 20)
        await pilot.press("ctrl+home")
        assert app.left.cursor == Cursor(0, 20)
        assert lines(app.left)[1].startswith(" emb ")


async def test_every_key_has_an_id_and_hides_from_the_footer() -> None:
    bindings = [binding for _, binding in Grid()._bindings]
    assert {binding.id for binding in bindings} >= {"grid.left", "grid.bottom", "grid.page_right"}
    assert all(binding.id and not binding.show and binding.description for binding in bindings)


async def test_no_grid_no_move() -> None:
    app = Panes(rows=1, columns=0, filled=False)
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.press(
            "up",
            "down",
            "left",
            "right",
            "home",
            "end",
            "ctrl+home",
            "ctrl+end",
            "pageup",
            "pagedown",
            "shift+left",
            "right_curly_bracket",
        )
        await pilot.click("#left", offset=(10, 3))
        assert app.left.cursor == Cursor(0, 0)
        assert not app.heard
        assert "".join(lines(app.left)).split() == ["emb"]


# Messages


async def test_moves_from_outside_say_nothing() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        await settled(pilot, app)
        app.left.move_to(Cursor(0, 39))
        app.left.follow_scroll(0, 0)
        app.left.follow_scroll(100, 5)
        await pilot.pause()
        assert app.left.cursor == Cursor(0, 39)
        assert tuple(app.left.scroll_offset) == (100, 5)
        assert not app.heard


async def test_a_pair_shares_everything_and_only_one_talks() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(19, 9))
        app.left.follow_scroll(30, 2)
        app.left.pair(app.right)
        assert app.right.cursor == app.left.cursor
        assert app.right.scroll_offset == app.left.scroll_offset
        app.left.move_to(Cursor(19, 0))
        await settled(pilot, app)
        for key in ("l", "j", "right_curly_bracket", "pagedown", "end", "ctrl+end"):
            app.heard.clear()
            await pilot.press(key)
            await pilot.pause()
            assert app.right.cursor == app.left.cursor
            assert app.right.scroll_offset == app.left.scroll_offset
            moved = [message for message in app.heard if isinstance(message, Grid.CursorMoved)]
            assert [message.grid for message in moved] == [app.left]
            assert all(message.grid is app.left for message in app.heard)
        assert app.left.scroll_offset.x > 0 < app.left.scroll_offset.y
        app.right.focus()
        await settled(pilot, app)
        await pilot.press("home")
        assert app.left.cursor.column == 0 == app.left.scroll_offset.x
        assert all(message.grid is app.right for message in app.heard)


async def test_a_twin_that_shows_less_holds_nobody_back() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.right.start(row_labels(2), ["a", "b"], VOCABULARY)
        app.left.pair(app.right)
        await settled(pilot, app)
        await pilot.press("ctrl+home", "end", "j")
        assert app.left.cursor == Cursor(18, 39)
        assert app.right.cursor == Cursor(2, 1)
        await pilot.press("ctrl+end", "home")
        assert app.left.cursor == app.right.cursor == Cursor(0, 0)
        app.left.follow_scroll(50, 3)
        assert tuple(app.left.scroll_offset) == (50, 3)


async def test_grids_kept_in_step_by_messages_come_to_rest() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        await settled(pilot, app)
        await pilot.press("ctrl+end", "end")
        messages = list(app.heard)
        assert 0 < len(messages) <= 4
        app.heard.clear()
        for message in messages:
            if isinstance(message, Grid.CursorMoved):
                app.right.move_to(message.cursor)
            elif isinstance(message, Grid.Scrolled):
                app.right.follow_scroll(*message.offset)
        await pilot.pause()
        assert (app.right.cursor, app.right.scroll_offset) == (app.left.cursor, app.left.scroll_offset)
        assert not app.heard


async def test_a_hidden_twin_catches_up() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.pair(app.right)
        app.right.display = False
        await pilot.pause()
        await pilot.press("end", "ctrl+end")
        await pilot.press("h")
        app.left.display, app.right.display = False, True
        await pilot.pause()
        assert app.right.cursor == app.left.cursor == Cursor(0, 38)
        assert app.right.scroll_offset == app.left.scroll_offset
        cell = app.right._region(app.right.cursor)
        assert body_region(app.right).contains_region(cell)
