"""Grids on a screen of their own, beside one another, and cells to show in them."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.pilot import Pilot

from lenstui.readout.cells import Cells, row_labels
from lenstui.tui.grid.grid import Grid

ROWS, COLUMNS, VOCABULARY = 20, 40, 50
WORDS = ["·the", "·unbelievable", "ing", "·日本語", ",", "·naïve", "⟨E2⟩", "🙂", "x"]
TEXTS = {token: f"{WORDS[token % len(WORDS)]}{token}" for token in range(VOCABULARY)}


def random_cells(rows: int, columns: int, seed: int = 0, k: int = 3) -> Cells:
    rng = np.random.default_rng(seed)
    one = rng.random((rows, columns), np.float32)
    ranks = rng.integers(0, VOCABULARY, (rows, columns), np.int32)
    none = np.empty((rows, columns, 0), np.float32)
    ids = rng.integers(0, VOCABULARY, (rows, columns, k), np.int32)
    return Cells(
        top1=ids[..., 0],
        top_ids=ids,
        top_logits=rng.random((rows, columns, k), np.float32),
        top_probs=np.sort(rng.random((rows, columns, k), np.float32))[..., ::-1].copy(),
        entropy=one,
        kl=4 * one,
        js=one * np.float32(0.5),
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
        self.heard: list[Grid.CursorMoved | Grid.Scrolled] = []

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


def cut(text: str, start: int, width: int) -> str:
    """Some cells of a line; fails where a wide character stands across an edge."""
    place, out = 0, ""
    for letter in text:
        if start <= place < start + width:
            out += letter
        place += cell_len(letter)
    assert cell_len(out) == width
    return out
