"""How Trace and its dialog look, with a made-up trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from lenstui.edits.trace import Trace as Found
from lenstui.edits.trace_options import TraceOptions
from lenstui.export.trace import Traced
from lenstui.jobs.trace_messages import FoundTrace, PromptAsked, TraceAsked, TraceGrown
from lenstui.model.tokens import Prompt
from lenstui.opening.source import Source
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.trace.ask_trace import AskTrace
from lenstui.tui.trace.screen import Trace
from tests.tui.pilots.still import MODEL, SIZES, Silent, show, still

__all__ = ["still"]  # a fixture

CLEAN, CORRUPTED = "The trees are green and the sky is", "The trees are brown and the fire is"
WORDS = ("The", "·trees", "·are", "·brown", "·and", "·the", "·fire", "·is")
COLUMNS, HEADS = len(WORDS), 8
ASKED = TraceAsked(MODEL.name, 0, Reading(), PromptAsked(CLEAN), PromptAsked(CORRUPTED))


class Home:
    """Explore, of which nothing is wanted here."""

    def go_to(self, *_: object) -> str:
        return ""

    put_patches = go_to

    def remember(self, _: object) -> None:
        pass


def found(*, done: int, what: Any = "resid") -> FoundTrace:
    """A trace as far as some rows: what recovers moves from the changed words to the last column."""
    rows = MODEL.rows if what == "resid" else MODEL.rows[1:]
    shares = np.full((len(rows), COLUMNS if what == "resid" else HEADS), np.nan, np.float32)
    for row in range(done):
        late = row / (len(rows) - 1)
        shares[row] = np.random.default_rng(row).normal(0, 0.02, shares.shape[1])
        if what == "resid":
            shares[row, [3, 6, 7]] = 0.3 * (1 - late), 0.7 * (1 - late), late
        else:
            shares[row, row] = 0.3 - 0.1 * row
    trace = Found(
        TraceOptions(what, token=101, minus=102), tuple(range(COLUMNS)), tuple(range(COLUMNS)), rows,
        clean=3.412, corrupted=-2.087, raw=shares * 5.499 - 2.087, recovered=shares, stderr=None, done=done,
    )  # fmt: skip
    clean, corrupted = (Prompt(text, tuple(range(COLUMNS))) for text in (CLEAN, CORRUPTED))
    texts = {**dict(enumerate(WORDS)), 101: "·blue", 102: "·hot"}
    source = Source(MODEL.name, None, "float32", ())
    return FoundTrace(Traced(trace, clean, corrupted, source, texts), Start())


async def open_trace(pilot: Pilot[None], app: LenstuiApp) -> Trace:
    await show(pilot)
    app.program.traces = Silent()  # type: ignore[assignment]
    screen = Trace(ASKED, app.program, Home(), columns=WORDS, clean_is="the side under the cursor")
    app.push_screen(screen)
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
def test_trace(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_trace(pilot, still)
        screen.post_message(TraceGrown(1, found(done=5), 5, 7, 83.0))
        await pilot.pause()
        await pilot.press("up", "up", "left")
        await pilot.pause()
        still.clear_notifications()
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_attention_heads(snap_compare: Any, still: LenstuiApp) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = await open_trace(pilot, still)
        screen.post_message(TraceGrown(1, found(done=6, what="head"), 6, 6, 0.0))
        await pilot.pause()

    assert snap_compare(still, terminal_size=SIZES[1], run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_dialog(snap_compare: Any, still: LenstuiApp, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        still.push_screen(AskTrace(ASKED, WORDS, "the side under the cursor"))
        await pilot.pause()
        await pilot.press("right", "tab", "backspace", "0", "enter")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)
