"""How fast two big grids are laid out, filled, and answer a key, and what they send for it.

Run by hand: `python -m tests.bench.bench_grid [--size 200x50] [--rows 80] [--columns 4096] [--depth 1]`,
and with `--growth` for how all of it grows with rows and columns. No model takes part, and no device.
A child process shows two grids of random cells in a pseudo-terminal; this one presses the keys and reads
what comes back until it has been quiet for a while. The latency is the time to the last byte of the answer;
on a busy machine look at the processor time of the child instead (on Linux). The floor is what Textual
itself takes to paint the same lines, ready-made, in the place of both grids. Steps that scroll go to and fro,
over pages that are kept, except for those to columns never seen before, of which every line is drawn.
`start` is that of the whole child, imports and random cells too; laying out and filling alone are timed in
this process, without a terminal: all labels and the tile on screen, painted, and then the other tiles, as a
reading brings them.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells

TILE = 64  # columns of the first tile of a reading
QUIET = 0.08  # seconds without a byte after which an answer is over
SYNC_QUERY, SYNC_REPLY = b"\x1b[?2026$p", b"\x1b[?2026;2$y"

# What is measured: how the grids are brought there, the keys pressed in turn, the budget in bytes.
STEPS = [
    ("step, sideways", "\x1b[1;5H", "lllhhh", 500),
    ("step, up and down", "\x1b[1;5H", "jjjkkk", 500),
    ("step to columns never seen before", "\x1b[F", "\x1b[1;2D", None),
    ("step that scrolls sideways", "\x1b[F", "\x1b[1;2D" * 4 + "\x1b[1;2C" * 4, None),
    ("step that scrolls up and down", "\x1b[1;5F", "\x1b[5~\x1b[5~\x1b[6~\x1b[6~", None),
    ("full repaint", "", "x", 40000),
    ("floor: ready-made lines", "f", "xx", None),
]
SCROLLS = STEPS[3][0], STEPS[4][0]
FIRST_SIGHT = STEPS[2][0]


def random_cells(rows: int, columns: int, vocabulary: int, seed: int, k: int = 5) -> Cells:
    """Cells that no two of are alike: the worst case for what is sent."""
    from lenstui.readout.cells import Cells

    rng = np.random.default_rng(seed)
    probabilities = np.sort(rng.random((rows, columns, k), np.float32))[..., ::-1]
    one = rng.random((rows, columns), np.float32)
    ranks = rng.integers(0, vocabulary, (rows, columns), np.int32)
    none = np.empty((rows, columns, 0), np.float32)
    ids = rng.integers(0, vocabulary, (rows, columns, k), np.int32)
    return Cells(
        top1=ids[..., 0],
        top_ids=ids,
        top_logits=np.log(np.maximum(probabilities, 1e-9)),
        top_probs=probabilities,
        entropy=one,
        kl=one,
        js=one * np.float32(0.5),
        final_rank=ranks,
        next_logprob=-one,
        next_rank=ranks,
        pin_logits=none,
        pin_logprobs=none,
        pin_ranks=none.astype(np.int32),
    )


def show(rows: int, columns: int, depth: int) -> None:
    """The child: two grids, kept in step."""
    from textual.app import App, ComposeResult
    from textual.binding import BindingType
    from textual.containers import Horizontal, Vertical
    from textual.strip import Strip
    from textual.widget import Widget

    from lenstui.readout.cells import row_labels
    from lenstui.tui.app import COLLECT
    from lenstui.tui.grid.grid import Grid
    from lenstui.tui.shared.lean_screen import LeanScreen

    words = ["·the", "·beautiful", "ing", "·日本", ",", "·trees", "·unbelievable", "·naïve"]
    texts = {token: words[token % len(words)] for token in range(1000)}

    class Panes(LeanScreen[None]):
        CSS = "Vertical { border: round $foreground 30%; } Grid { height: 1fr; }"
        BINDINGS: ClassVar[list[BindingType]] = [("x", "repaint", "Repaint"), ("f", "floor", "Floor")]

        def compose(self) -> ComposeResult:
            with Horizontal():
                for _ in range(2):
                    with Vertical():
                        yield Grid()

        def on_mount(self) -> None:
            first, second = self.query(Grid)
            for seed, grid in enumerate((first, second)):
                grid.depth = depth
                grid.start(row_labels(rows - 1), [texts[column % 1000] for column in range(columns)], 1000)
                grid.add(0, random_cells(rows, columns, 1000, seed), texts)
            first.pair(second)
            gc.freeze()  # as the app does once a model is loaded; a full collection takes longer than a frame
            gc.set_threshold(*COLLECT)

        def action_repaint(self) -> None:
            self.refresh()

        def action_floor(self) -> None:
            pages = []
            for key in ("ctrl+end", "ctrl+home"):
                for grid in self.query(Grid):
                    grid.action_edge("bottom" if key == "ctrl+end" else "top")
                pages.append([grid.render_lines(grid.size.region) for grid in self.query(Grid)])
            self.app.push_screen(Floor(pages))

    class ReadyMade(Widget):
        """Lines that were drawn before."""

        def __init__(self, pages: list[list[Strip]]) -> None:
            super().__init__()
            self.pages = pages

        def render_line(self, y: int) -> Strip:
            return self.pages[0][y] if y < len(self.pages[0]) else Strip.blank(self.size.width)

    class Floor(LeanScreen[None]):
        """The lines of both grids at two places, by turns."""

        CSS = "Vertical { border: round $foreground 30%; } ReadyMade { height: 1fr; }"
        BINDINGS: ClassVar[list[BindingType]] = [("x", "turn", "Turn")]

        def __init__(self, pages: list[list[list[Strip]]]) -> None:
            super().__init__()
            self.pages = pages

        def compose(self) -> ComposeResult:
            with Horizontal():
                for number in range(2):
                    with Vertical():
                        yield ReadyMade([page[number] for page in self.pages])

        def action_turn(self) -> None:
            for made in self.query(ReadyMade):
                made.pages.reverse()
                made.refresh()

    class Bench(App[None]):
        def on_mount(self) -> None:
            self.push_screen(Panes())

    Bench().run()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a key: bytes, seconds to the last of them, seconds that the processor worked."""

    size: int
    seconds: float
    work: float


class Terminal:
    """The other end of the child's terminal."""

    def __init__(self, arguments: list[str], width: int, height: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("NO_COLOR", None)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_grid", "--show", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def answer(self, quiet: float = QUIET, patience: float = 2.0) -> Answer:
        """All that comes until it is quiet."""
        start = last = time.perf_counter()
        work, size = self._work(), 0
        while select.select([self._ours], [], [], quiet if size else patience)[0]:
            received = os.read(self._ours, 1 << 20)
            if SYNC_QUERY in received:
                os.write(self._ours, SYNC_REPLY)
            size, last = size + len(received), time.perf_counter()
        return Answer(size, last - start, self._work() - work)

    def _work(self) -> float:
        """Processor time of the child so far; 0 where the system does not tell it by the nanosecond."""
        tasks = Path(f"/proc/{self.child.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def keys_of(text: str) -> list[str]:
    """The keys in a string: letters, and escape sequences."""
    keys: list[str] = []
    for part in text.replace("\x1b[", "\0").split("\0"):
        if not keys and not text.startswith("\x1b["):
            keys += list(part)
        elif part:
            end = next(i for i, letter in enumerate(part) if letter.isalpha() or letter == "~") + 1
            keys += ["\x1b[" + part[:end], *part[end:]]
    return keys


def measure(terminal: Terminal, before: str, keys: str, rounds: int) -> list[Answer]:
    """The answers to keys, each pressed when the last answer is over."""
    for key in keys_of(before):
        terminal.press(key)
        terminal.answer(patience=0.3)
    answers = []
    for _ in range(rounds):
        for key in keys_of(keys):
            terminal.press(key)
            answers.append(terminal.answer())
    return answers


def row(name: str, answers: list[Answer], budget: str) -> list[object]:
    """A line of the table: bytes, milliseconds to the last of them, milliseconds of work."""
    sizes = [answer.size for answer in answers]
    cells: list[object] = [name, f"{statistics.median(sizes):.0f}", max(sizes)]
    for times in ([answer.seconds for answer in answers], [answer.work for answer in answers]):
        high = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
        cells += [f"{1000 * statistics.median(times):.1f}", f"{1000 * high:.1f}"]
    return [*cells, budget]


async def opening_and_steps(rows: int, columns: int, size: tuple[int, int]) -> dict[str, float]:
    """Seconds of work of two grids: to open and fill them, and for a step of each kind.

    Opened is what a reading begins with: all labels, and the cells of the columns that are seen first. Filled
    are they with the cells of all others, tile by tile.
    """
    from textual.app import App, ComposeResult
    from textual.containers import Horizontal

    from lenstui.readout.cells import row_labels
    from lenstui.tui.grid.grid import Grid

    texts = {token: f"·{token}" for token in range(1000)}
    labels = [texts[column % 1000] for column in range(columns)]

    class Pair(App[None]):
        CSS = "Grid { height: 1fr; width: 1fr; }"

        def compose(self) -> ComposeResult:
            with Horizontal():
                yield Grid()
                yield Grid()

    app = Pair()
    async with app.run_test(size=size) as pilot:
        first, second = app.query(Grid)
        grids = first, second
        tiles = [
            [random_cells(rows, min(TILE, columns - at), 1000, at + seed) for at in range(0, columns, TILE)]
            for seed in range(2)
        ]
        await pilot.pause()
        gc.collect()
        began = time.process_time()
        for grid, (tile, *_) in zip(grids, tiles, strict=True):
            grid.start(row_labels(rows - 1), labels, 1000)
            grid.add(0, tile, texts)
        first.pair(second)
        await pilot.pause()
        taken = {"opening": time.process_time() - began}
        began = time.process_time()
        for number in range(1, len(tiles[0])):
            for grid, of_grid in zip(grids, tiles, strict=True):
                grid.add(number * TILE, of_grid[number], texts)
        await pilot.pause()
        taken["filling"] = time.process_time() - began
        first.focus()
        for name, keys in (("step", "lhlhlhlhlh"), ("scroll", ["shift+right", "shift+left"] * 5)):
            times = []
            for key in keys:
                began = time.process_time()
                await pilot.press(key)
                await pilot.pause()
                times.append(time.process_time() - began)
            taken[name] = statistics.median(times)
        return taken


def opened(rows: int, columns: int, size: tuple[int, int], rounds: int) -> dict[str, float]:
    """The medians of some runs of `opening_and_steps`."""
    runs = [asyncio.run(opening_and_steps(rows, columns, size)) for _ in range(rounds)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def growth(size: tuple[int, int]) -> list[list[object]]:
    """How opening, filling and steps grow: by rows and by columns, with the exponents of a fit."""
    lines: list[list[object]] = []
    for what, shapes in (
        ("columns", [(80, 512), (80, 2048), (80, 8192), (80, 32768)]),
        ("rows", [(20, 2048), (80, 2048), (320, 2048)]),
    ):
        found = [opened(*shape, size, 3) for shape in shapes]
        for shape, of_shape in zip(shapes, found, strict=True):
            lines.append([f"{shape[0]} × {shape[1]}", *(1000 * each for each in of_shape.values())])
        sizes = np.log([shape[what == "columns"] for shape in shapes])
        slopes = [float(np.polyfit(sizes, np.log([each[name] for each in found]), 1)[0]) for name in found[0]]
        lines.append([f"exponent by {what}", *slopes])
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="200x50")
    parser.add_argument("--rows", type=int, default=80)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--show", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show:
        show(options.rows, options.columns, options.depth)
        return
    from tests.bench.measuring import machine, table  # not in the child, which needs no torch

    print(f"{machine()}\n", flush=True)
    width, height = map(int, options.size.split("x"))
    if options.growth:
        names = ("rows × columns, ms of work", "opening", "filling", "step", "scroll")
        print(table(names, growth((width, height))))
        return
    shape = ["--rows", str(options.rows), "--columns", str(options.columns), "--depth", str(options.depth)]
    terminal = Terminal(shape, width, height)
    print(f"Two grids of {options.rows} × {options.columns}, depth {options.depth}, at {width}×{height}:\n")
    rows = [
        row("start of the program", [terminal.answer(quiet=2.0, patience=30)], ""),
        row("idle, 5 s", [terminal.answer(quiet=5, patience=5)], "0 bytes"),
    ]
    work = {}
    for name, before, keys, most in STEPS:
        budget = "p95 ≤ 16 ms" + (f", ≤ {most} bytes" if most else "")
        answers = measure(terminal, before, keys, options.rounds)
        work[name] = statistics.median(answer.work for answer in answers)
        rows.append(row(name, answers, "" if name.startswith("floor") else budget))
    floor = work[STEPS[-1][0]]
    ratio = {name: f"work ≤ 1.5 × the floor: {work[name] / floor:.2f}" for name in SCROLLS}
    ratio[FIRST_SIGHT] = f"{work[FIRST_SIGHT] / floor:.2f} × the floor"
    rows = [[*cells[:-1], ratio.get(str(cells[0]), cells[-1])] for cells in rows]
    terminal.press("\x11")  # Ctrl+Q
    terminal.child.wait(10)
    taken = opened(options.rows, options.columns, (width, height), 5)
    whole = taken["opening"] + taken["filling"]
    for name, seconds, budget in (
        ("laying out, tile on screen", taken["opening"], ""),
        ("filling all other tiles", taken["filling"], ""),
        ("laying out and filling", whole, "work ≤ 300 ms"),
    ):
        rows.append([name, "–", "–", "–", "–", f"{1000 * seconds:.1f}", "–", budget])
    columns = ("what", "bytes", "most bytes", "ms", "p95", "ms of work", "p95", "budget")
    print(table(columns, rows))


if __name__ == "__main__":
    main()
