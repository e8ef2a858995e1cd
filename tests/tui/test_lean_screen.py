"""What the lean screen sends: little, and what a terminal makes of it is what a full paint would show."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.strip import Strip

from lenstui.readout.cells import Cells, row_labels
from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.shared.lean_screen import LeanScreen, _change

SIZE = (120, 30)
WORDS = ["·the", "·beautiful", "ing", "·日本", ",", "🙂"]


def random_cells(rows: int, columns: int, seed: int) -> Cells:
    rng = np.random.default_rng(seed)
    one = rng.random((rows, columns), np.float32)
    ids = rng.integers(0, len(WORDS), (rows, columns, 1), np.int32)
    none = np.empty((rows, columns, 0), np.float32)
    return Cells(
        top1=ids[..., 0],
        top_ids=ids,
        top_logits=one[..., None],
        top_probs=one[..., None],
        entropy=one,
        kl=one,
        js=one * np.float32(0.5),
        final_rank=ids[..., 0],
        next_logprob=one,
        next_rank=ids[..., 0],
        pin_logits=none,
        pin_logprobs=none,
        pin_ranks=none.astype(np.int32),
    )


class Panes(LeanScreen[None]):
    CSS = "Vertical { border: round $foreground 30%; } Grid { height: 1fr; }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            for _ in range(2):
                with Vertical():
                    yield Grid()

    def on_mount(self) -> None:
        one, other = self.query(Grid)
        for seed, grid in enumerate((one, other)):
            grid.start(row_labels(39), WORDS * 10, len(WORDS))
            grid.add(0, random_cells(40, 60, seed), dict(enumerate(WORDS)))
            grid.move_to(Cursor(39, 0))
        one.pair(other)
        other.framed = False  # of two sides one is the active one


class Recorder(App[None]):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.console._color_system = ColorSystem.TRUECOLOR
        self.no_color = False
        self.sent = ""

    def on_mount(self) -> None:
        self.push_screen(Panes())

    def _display(self, screen: Screen[object], renderable: Any) -> None:
        if renderable is not None and self.screen is screen:
            self.sent += renderable.render_segments(self.console)
        super()._display(screen, renderable)


# By the code that ends them, some attributes (ECMA-48): bold and dim, italic, underlined, reversed.
ENDS = {"22": {"1", "2"}, "23": {"3"}, "24": {"4"}, "27": {"7"}}


class Terminal:
    """As much of one as is needed: it moves, colours and writes."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}

    def receive(self, sent: str) -> None:
        x = y = 0
        attributes, colour, background = frozenset[str](), "", ""
        for move, codes, text in re.findall(r"\x1b\[([\d;]+)H|\x1b\[([\d;]*)m|([^\x1b]+)", sent):
            if move:
                y, x = (int(number) - 1 for number in move.split(";"))
            elif text:
                for letter in text:
                    assert letter.isprintable(), repr(letter)
                    self.cells[x, y] = letter, f"{sorted(attributes)} {colour} {background}"
                    for beyond in range(1, cell_len(letter)):
                        self.cells[x + beyond, y] = "", ""
                    x += cell_len(letter)
            else:
                for code in re.findall(r"[34]8;2;\d+;\d+;\d+|\d+", codes):
                    if code == "0":
                        attributes, colour, background = frozenset(), "", ""
                    elif code.startswith("38"):
                        colour = code
                    elif code.startswith("48"):
                        background = code
                    elif code in {"39", "49"}:
                        colour, background = ("", background) if code == "39" else (colour, "")
                    elif code in ENDS:
                        attributes -= ENDS[code]
                    else:
                        attributes |= {code}
        assert (attributes, colour, background) == (frozenset(), "", ""), "it is left as it was"


async def test_what_is_sent_adds_up_to_the_screen() -> None:
    app, live = Recorder(), Terminal()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.sent = ""
        app.screen.refresh()
        await pilot.pause()
        live.receive(app.sent)
        assert len(live.cells) == SIZE[0] * SIZE[1]
        for key in [
            "l",
            "l",
            "j",
            "right_curly_bracket",
            "pagedown",
            "h",
            "k",
            "end",
            "G",
            "j",
            "b",
            "home",
            "g",
        ]:
            before, app.sent = dict(live.cells), ""
            await pilot.press(key)
            await pilot.pause()
            live.receive(app.sent)
            assert (live.cells != before) == bool(app.sent)
            whole = Terminal()
            whole.receive(painted(app))
            assert live.cells == whole.cells, key


def painted(app: Recorder) -> str:
    """The whole screen, drawn anew, as Textual itself would write it."""
    for grid in app.screen.query(Grid):
        grid._styles_cache.clear()
    strips = app.screen._compositor.render_strips()
    return "".join(f"\x1b[{y + 1};1H{strip.render(app.console)}" for y, strip in enumerate(strips))


async def test_a_covered_screen_sends_nothing_and_comes_back_as_it_is_by_then() -> None:
    """Textual paints all of the upper one for each change of the lower one."""
    app, live = Recorder(), Terminal()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        lower, upper = app.screen, Panes()
        await app.push_screen(upper)
        await pilot.pause()
        app.sent = ""
        for grid in lower.query(Grid):
            grid.move_to(Cursor(3, 3))
        await pilot.pause(0.1)
        assert app.sent == ""
        await pilot.press("l")
        await pilot.pause()
        assert 0 < len(app.sent) < 500, "the upper one is painted as ever"
        app.sent = ""
        app.pop_screen()
        await pilot.pause()
        for key in (None, "l"):
            if key is not None:
                await pilot.press(key)
                await pilot.pause()
            live.receive(app.sent)
            app.sent = ""
            whole = Terminal()
            whole.receive(painted(app))
            assert live.cells == whole.cells


@pytest.mark.parametrize("key", ["l", "h", "j", "k"])
@pytest.mark.parametrize("column", [1, 3])
async def test_a_cursor_step_over_two_grids_is_at_most_500_bytes(key: str, column: int) -> None:
    app = Recorder()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.screen.query(Grid).first().move_to(Cursor(30, column))
        await pilot.pause()
        app.sent = ""
        await pilot.press(key)
        await pilot.pause()
        assert 0 < len(app.sent.encode()) <= 500 - 24, "24 more begin and end the frame"


def test_only_the_change_of_a_style_is_sent() -> None:
    black_on_red = Style.parse("#000000 on #ff0000")
    black_on_blue = Style.parse("#000000 on #0000ff")
    bold = Style.parse("bold #000000 on #0000ff")
    true = ColorSystem.TRUECOLOR
    assert _change(None, black_on_red, true) == "\x1b[38;2;0;0;0;48;2;255;0;0m"
    assert _change(black_on_red, black_on_blue, true) == "\x1b[48;2;0;0;255m"
    assert _change(black_on_blue, Style.parse("#000000 on #0000ff"), true) == ""
    assert _change(black_on_blue, bold, true) == "\x1b[1m"
    assert _change(bold, black_on_blue, true) == "\x1b[22m"
    assert _change(bold, Style.parse("dim #000000 on #0000ff"), true) == "\x1b[22;2m", "22 ends both"
    assert _change(bold, None, true) == "\x1b[0m"
    assert _change(bold, Style.parse("bold #000000"), true) == "\x1b[49m", "no background left"
    assert _change(black_on_red, black_on_blue, ColorSystem.EIGHT_BIT) == "\x1b[48;5;21m"


def test_a_link_opens_and_closes() -> None:
    link = Style(link="https://example.org")
    assert _change(None, link, ColorSystem.TRUECOLOR) == "\x1b]8;;https://example.org\x1b\\"
    assert _change(link, None, ColorSystem.TRUECOLOR) == "\x1b]8;;\x1b\\"
    assert Strip.render_ansi(link, ColorSystem.TRUECOLOR) == ""
