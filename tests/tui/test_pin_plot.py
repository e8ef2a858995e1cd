"""The plot of the pins by row: probability, rank or log-probability, and the axes of all three."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from lenstui.jobs.messages import TileRead
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.pin_plot import PinPlot
from lenstui.tui.grid import pins
from lenstui.tui.shared.axis import even_axis_down, rank_axis
from lenstui.tui.shared.nothing_yet import NO_PINS
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.looking import said
from tests.tui.pilots.pins_pilot import TEXT, coloured_by, grid, pin_word
from tests.tui.pilots.still import show, side_tile, still

__all__ = ["still"]


def plot(app: LenstuiApp) -> PinPlot:
    return app.explore.query_one(PinPlot)


def heights(app: LenstuiApp, lens: str) -> Any:
    """What is drawn of the only pin."""
    tuned, logit = plot(app)._datasets
    return {"tuned": tuned, "logit": logit}[lens].y


def labels(app: LenstuiApp) -> list[str]:
    """Of the numbers, from the bottom up."""
    drawn = plot(app)
    assert drawn._y_ticks is not None
    return drawn._y_formatter.get_labels_for_ticks(drawn._y_ticks)


async def test_a_key_goes_round_what_is_plotted(opened: Any) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pin_word(app, pilot, "q")
        await pilot.press("left", "left")
        await pilot.pause(0.2)
        column = grid(app).cursor.column
        assert plot(app).border_title == "probability by row"
        await pilot.press("R")
        assert plot(app).border_title == "rank by row, 0 is first"
        for lens in ("logit", "tuned"):
            read = grid(app, lens).cells
            assert read is not None
            naive = [-math.log10(1 + int(rank)) for rank in read.pin_ranks[:, column, 0]]
            np.testing.assert_allclose(heights(app, lens), naive, atol=1e-6)
        assert labels(app)[-1] == "0"  # on top
        await pilot.press("R")
        assert plot(app).border_title == "log-probability by row, nats"
        for lens in ("logit", "tuned"):
            read = grid(app, lens).cells
            assert read is not None
            np.testing.assert_allclose(heights(app, lens), read.pin_logprobs[:, column, 0])
        assert labels(app)[-1] == "0"
        await pilot.press("R")
        assert plot(app).border_title == "probability by row"
        read = grid(app, "tuned").cells
        assert read is not None
        np.testing.assert_allclose(heights(app, "tuned"), np.exp(read.pin_logprobs[:, column, 0]))


async def test_it_follows_the_number_of_a_pin_that_colours_the_cells(opened: Any) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pin_word(app, pilot, "q")
        await coloured_by(app, pilot, "pin-rank")
        await pilot.pause()
        assert str(plot(app).border_title).startswith("rank")
        await pilot.press("V")
        await pilot.pause()
        assert str(plot(app).border_title).startswith("log-probability")
        await pilot.press("R")  # the key still has the last word
        assert str(plot(app).border_title).startswith("probability")
        await pilot.press("V", "V")  # values of no pin leave it
        await pilot.pause()
        assert str(plot(app).border_title).startswith("probability")


async def test_the_key_says_why_it_does_nothing(opened: Any) -> None:
    async with opened(TEXT, size=(100, 40)) as (app, pilot):
        await pilot.press("R")
        assert said(app) == NO_PINS
        await pin_word(app, pilot, "q")
        app.clear_notifications()
        await pilot.press("R")
        assert "needs a screen of 120 columns" in said(app)
        assert app.explore.panel.plotted == "prob"


async def test_it_is_kept_for_the_next_session(opened: Any) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pin_word(app, pilot, "q")
        await pilot.press("R")
        look = app.explore.look()
        assert look.plotted == "rank"
        await pilot.press("R")
        app.explore.put_back(look)
        await pilot.pause()
        assert str(plot(app).border_title).startswith("rank")
        app.explore.put_back(replace(look, plotted="no such number"))
        assert app.explore.panel.plotted == "rank"


@given(st.floats(0, 1e6), st.integers(1, 60))
def test_the_axis_of_ranks(highest: float, lines: int) -> None:
    axis = rank_axis(highest)
    first, last = axis.height(np.array([0.0, highest]))
    assert axis.high > first >= last > axis.low  # inside the frame, the first on top
    ticks = axis.ticks_in(lines)
    assert ticks == sorted(ticks)
    named = [axis.label(tick) for tick in reversed(ticks)]
    for tick, label in zip(reversed(ticks), named, strict=True):
        number = float(label.removesuffix("k").removesuffix("M"))
        number *= {"k": 1e3, "M": 1e6}.get(label[-1], 1)
        assert tick == pytest.approx(-math.log10(1 + number))
    assert len(ticks) <= lines
    if lines > 1:
        assert named[0] == "0"
    if lines > 60 / 2:
        powers = ["1", "10", "100", "1.0k", "10k", "100k", "1.0M"]
        assert named[1:] == powers[: len(named) - 1]
        assert 10 ** (len(named) - 2) >= highest


@given(st.floats(-1e3, -1e-3))
def test_the_axis_of_log_probabilities(lowest: float) -> None:
    axis = even_axis_down(lowest, str)
    assert axis.high > 0 > lowest > axis.low
    assert (
        lowest * (1 - 1e-5) >= min(axis.ticks) > axis.low
    )  # what is a rounding error more needs no next tick
    assert max(axis.ticks) == 0


async def show_ranks(pilot: Pilot[None]) -> None:
    """Three pins on their way to the first place, one of them never near it, by rank."""
    await show(pilot)
    explore = pilot.app.explore  # type: ignore[attr-defined]
    explore.panel.pins = pins.with_tokens((), [(i, WORDS[i]) for i in (0, 4, 5)])
    await pilot.pause(0.2)
    await pilot.press("R")
    lenses = {}
    for lens, sharpness in (("logit", 1.0), ("tuned", 2.0)):
        of_lens = cells(sharpness)
        far = len(of_lens.kl) - 1 - np.indices(of_lens.kl.shape)[0]
        ranks = np.stack([far**5, 4 * far**3, 3000 + 0 * far], axis=-1) / sharpness
        logprobs = -np.log(2 + ranks).astype(np.float32)
        lenses[lens] = replace(
            of_lens, pin_logits=logprobs, pin_logprobs=logprobs, pin_ranks=ranks.astype(np.int32)
        )
    tile = side_tile(0, len(COLUMNS), lenses)
    explore.post_message(TileRead(explore.state.serial, tile, dict(enumerate(WORDS))))
    await pilot.pause(0.3)


@pytest.mark.parametrize("size", [(200, 50), (120, 40)])
def test_how_ranks_look(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(still, terminal_size=size, run_before=show_ranks)
