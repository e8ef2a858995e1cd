"""The grid: keys, mouse, scrolling, streaming, alignment, and two grids that share a cursor."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot

from lenstui.export.values import ENTROPY, KL, NO_LEVEL, PROBABILITY, RANK, Scale
from lenstui.lens.cells import Cells, row_labels
from lenstui.ui import palette
from lenstui.ui.palette import Mode
from lenstui.ui.widgets.cell import Look, fit
from lenstui.ui.widgets.frame import Frame, column_width, row_height
from lenstui.ui.widgets.grid import Cursor, Grid
from lenstui.ui.widgets.grid_cells import GridCells
from lenstui.ui.widgets.legend import Legend

ROWS, COLUMNS, VOCABULARY = 20, 40, 50
WORDS = ["·the", "·unbelievable", "ing", "·日本語", ",", "·naïve", "⟨E2⟩", "🙂", "x"]
TEXTS = {token: f"{WORDS[token % len(WORDS)]}{token}" for token in range(VOCABULARY)}


def random_cells(rows: int, columns: int, seed: int = 0, k: int = 3) -> Cells:
    rng = np.random.default_rng(seed)
    one = rng.random((rows, columns), np.float32)
    ranks = rng.integers(0, VOCABULARY, (rows, columns), np.int32)
    none = np.empty((rows, columns, 0), np.float32)
    return Cells(
        top_ids=rng.integers(0, VOCABULARY, (rows, columns, k), np.int32),
        top_logits=rng.random((rows, columns, k), np.float32),
        top_probs=np.sort(rng.random((rows, columns, k), np.float32))[..., ::-1].copy(),
        entropy=one,
        kl=4 * one,
        final_rank=ranks,
        next_logprob=-one,
        next_rank=ranks,
        pin_logits=none,
        pin_logprobs=none,
        pin_ranks=none.astype(np.int32),
    )


def some_columns(cells: Cells, start: int, stop: int) -> Cells:
    return Cells(*(getattr(cells, name)[:, start:stop] for name in Cells.__slots__))


class ColourApp(App[None]):
    """In all colours, whatever the terminal that the tests run in."""

    def __init__(self) -> None:
        super().__init__()
        self.console._color_system = ColorSystem.TRUECOLOR
        self.no_color = False


class Panes(ColourApp):
    """Two grids, side by side."""

    CSS = "Grid { width: 1fr; height: 1fr; }"

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS, filled: bool = True) -> None:
        super().__init__()
        self.rows, self.columns, self.filled = rows, columns, filled
        self.heard: list[Message] = []

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Grid(id="left")
            yield Grid(id="right")

    def on_mount(self) -> None:
        for seed, grid in enumerate(self.query(Grid)):
            grid.start(row_labels(self.rows - 1), [f"t{i}" for i in range(self.columns)], VOCABULARY)
            if self.filled:
                grid.add(0, random_cells(self.rows, self.columns, seed), TEXTS)
        self.left.focus()

    @property
    def left(self) -> Grid:
        return self.query_one("#left", Grid)

    @property
    def right(self) -> Grid:
        return self.query_one("#right", Grid)

    def on_grid_cursor_moved(self, message: Grid.CursorMoved) -> None:
        self.heard.append(message)

    def on_grid_scrolled(self, message: Grid.Scrolled) -> None:
        self.heard.append(message)


def lines(grid: Grid) -> list[str]:
    """What is on screen, checked to be exactly as wide as the grid."""
    strips = grid.render_lines(Region(0, 0, *grid.size))
    for strip in strips:
        assert strip.cell_length == sum(cell_len(segment.text) for segment in strip) == grid.size.width
    return [strip.text for strip in strips]


def body_region(grid: Grid) -> Region:
    return Region(grid._gutter, 1, *(grid.scrollable_content_region.size - (grid._gutter, 1)))


async def settled(pilot: Pilot[None], app: Panes) -> None:
    await pilot.pause()
    app.heard.clear()


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
        (["w"], 10, 23),
        (["shift+right"], 10, 23),
        (["ctrl+home", "up"], 19, 20),
        (["ctrl+end", "pagedown"], 0, 20),
        (["home", "left"], 10, 0),
        (["end", "w"], 10, 39),
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
            "w",
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
        for key in ("l", "j", "w", "pagedown", "end", "ctrl+end"):
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


# Scrolling


async def test_the_cursor_is_always_seen_whole() -> None:
    app = Panes()
    async with app.run_test(size=(83, 11)) as pilot:
        await settled(pilot, app)
        for depth in (1, 3, 0, 2):
            app.left.depth = depth
            for key in (
                "end",
                "ctrl+end",
                "shift+left",
                "up",
                "home",
                "ctrl+home",
                "w",
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
                assert x % column_width(depth) == 0 == y % row_height(depth)


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
        grid.add(1, some_columns(replace(cells, top_ids=other), 1, 2), {**TEXTS, VOCABULARY: "new"})
        assert drawn == [grid._region(Cursor(19, 1))]
        drawn.clear()
        other[18, 0, 2] += 1
        grid.add(0, replace(cells, top_ids=other), {**TEXTS, VOCABULARY: "new"})
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
        assert [line.split() for line in lines(app.left)[:4]] == [["a"], ["1", "·"], ["0", "·"], ["emb", "·"]]
        assert tuple(app.left.scroll_offset) == (0, 0)


async def test_more_tokens_per_cell() -> None:
    app = Panes()
    cells = random_cells(ROWS, COLUMNS, k=3)
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.depth = 4
        app.left.move_to(Cursor(19, 0))
        await pilot.pause()
        shown = [cut(line, 5, 15) for line in lines(app.left)[1:5]]
        for text, token, probability in zip(
            shown, cells.top_ids[-1, 0].tolist(), cells.top_probs[-1, 0].tolist(), strict=False
        ):
            assert text.endswith(f"{probability:>5.0%}")
            assert text[1:].startswith(TEXTS[token][:3])
        assert shown[3].strip() == "", "only three were read"
        app.left.depth = 99
        assert app.left.depth == 5
        app.left.depth = 0
        await pilot.pause()
        assert lines(app.left)[1][5:-1].strip() == "", "colours alone"


async def test_depth_keeps_the_top_left_cell() -> None:
    app = Panes()
    async with app.run_test(size=(80, 10)) as pilot:
        app.left.move_to(Cursor(9, 20))
        app.left.follow_scroll(200, 10)
        await pilot.pause()
        app.left.depth = 2
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
    assert None not in cells.line(0, slice(0, 3), 0, 1, 9)


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
            assert cell[0] == palette.glyph(levels[column])
            assert (cell[1], cell[-1]) == ("[", "]") if column == 1 else cell[-1] == " "
        if depth > 1:
            assert cut(lines(app.left)[2], x, width)[0] == " ", "once a cell"


async def test_the_cursor_stands_out() -> None:
    app = Panes()
    async with app.run_test(size=(80, 30)) as pilot:
        app.left.move_to(Cursor(19, 1))
        await pilot.pause()
        strip = app.left.render_line(1)
        cursor, beside = (strip.crop(x, x + 10)._segments[0].style for x in (15, 5))
        assert cursor is not None and beside is not None
        assert cursor.bold and not beside.bold
        assert cursor.bgcolor not in {style.bgcolor for style in app.left._look.levels.values()}
        header = app.left.render_line(0)
        assert [bool(header.crop(x, x + 10)._segments[0].style.bold) for x in (5, 15, 25)] == [
            False,
            True,
            False,
        ]
        assert app.left.render_line(1).crop(0, 5)._segments[0].style.bold
        assert not app.left.render_line(2).crop(0, 5)._segments[0].style.bold


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


# Alignment, whatever the tokens are. Texts come escaped: no controls, no line ends, no joiners.

displayable = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=12
) | st.sampled_from(
    ["日本語日本語日本語", "🙂🙂🙂🙂🙂🙂", "é" * 20, "é", "·ไทย", "", "⟨E2⟩⟨80⟩", "ﷺ", "한국어", "𝒳𝒴𝒵"]
)


def cut(text: str, start: int, width: int) -> str:
    """Some cells of a line; fails where a wide character stands across an edge."""
    place, out = 0, ""
    for letter in text:
        if start <= place < start + width:
            out += letter
        place += cell_len(letter)
    assert cell_len(out) == width
    return out


def look(mode: Mode) -> Look:
    plain = Style()
    levels = {**dict(enumerate(palette.styles(mode))), NO_LEVEL: plain}
    return Look(mode, *[plain] * 6, Style(bold=True), Style(underline=True), levels)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(displayable, min_size=6, max_size=6),
    width=st.integers(8, 120),
    depth=st.integers(0, 5),
    mode=st.sampled_from(Mode),
    first=st.integers(0, 5),
    cursor=st.integers(0, 5),
    marks=st.booleans(),
)
def test_every_line_is_as_wide_as_the_grid_and_columns_align(
    texts: Sequence[str], width: int, depth: int, mode: Mode, first: int, cursor: int, marks: bool
) -> None:
    columns, gutter = len(texts), 5
    cells = GridCells(2, columns)
    names: Mapping[int, str] = dict(enumerate(texts))
    ids = np.stack([np.roll(np.arange(columns), i) for i in range(2 * 3)]).reshape(2, 3, columns)
    read = replace(random_cells(2, columns), top_ids=np.moveaxis(ids, 1, 2).astype(np.int32))
    cells.put(1, some_columns(read, 1, columns), names, PROBABILITY, Scale(0, 1))
    size = column_width(depth)
    shown = range(first, min(columns, first - (gutter - width) // size))
    frame = Frame(
        look=look(mode),
        cells=cells,
        rows=("0", "emb"),
        tokens=texts,
        flipped=True,
        cursor=Cursor(1, cursor),
        columns=shown,
        top=0,
        depth=depth,
        marks=marks,
        gutter=gutter,
        width=width,
    )
    before = 2 if mode is Mode.PLAIN else 1
    for y in range(1 + 2 * row_height(depth) + 1):
        strip = frame.line(y)
        assert sum(cell_len(segment.text) for segment in strip) == strip.cell_length == width
        for i, column in enumerate(shown):
            x = gutter + i * size
            if sum(map(cell_len, strip.text)) != width:
                continue  # marks that widen what they stand on: counted in all, not letter by letter
            if x + size <= width and y == 0:
                assert cut(strip.text, x, size)[before:].startswith(fit(texts[column], size - 3).rstrip("… "))
            elif x + size <= width:
                cut(strip.text, x, size)


@given(displayable, st.integers(0, 15))
def test_fit(text: str, width: int) -> None:
    fitted = fit(text, width)
    assert cell_len(fitted) == width
    if cell_len(text) <= width:
        assert fitted == text + " " * (width - cell_len(text))
    elif width > 3:
        assert fitted[-1] == "…"
        assert text.startswith(set_cell_size(fitted[:-1].rstrip(), 0) or fitted[:-1].rstrip())


def test_wild_texts_are_wild() -> None:
    assert unicodedata.east_asian_width("日") == "W"


# The legend


@pytest.mark.parametrize("no_color", [False, True])
async def test_legend(no_color: bool) -> None:
    class OneLine(ColourApp):
        def compose(self) -> ComposeResult:
            yield Legend()

    app = OneLine()
    app.no_color = no_color
    async with app.run_test(size=(80, 3)) as pilot:
        legend = app.query_one(Legend)
        assert legend.render_line(0).text.split()[:2] == ["probability", "0%"]
        assert legend.render_line(0).text.split()[-1] == "100%"
        legend.value, legend.scale = RANK, RANK.scale((), VOCABULARY * 1000)
        await pilot.pause()
        text = legend.render_line(0).text
        assert text.startswith("rank of final top-1  50k ")
        assert text.endswith(" 0")
        assert " 223 " in text
        assert legend.size.width == cell_len(text)
        assert ("█" in text) == no_color
        legend.value, legend.scale = KL, Scale(0, 3, low_is_bright=True)
        await pilot.pause()
        assert legend.render_line(0).text.split()[0:4] == ["KL", "from", "final", "3.00"]
        assert legend.render_line(0).text.endswith(" 0 nats")
        assert legend.render_line(0).cell_length == legend.size.width
