"""How turns look, at three sizes, on numbers that are the same on every machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from lenstui.jobs.messages import ModelLoaded, ReadDone, ReadStarted, TileRead
from lenstui.model.turns import TurnColumns
from lenstui.support.request import Start
from lenstui.support.turns import Conversation, Turn
from lenstui.tui.app import LenstuiApp
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.still import MODEL, SIZES, Still, side_tile, still, whole

__all__ = ["still"]

SIX = Conversation(
    (
        Turn("system", "You are a helpful assistant who answers in one short sentence, and never in two."),
        Turn("user", "What is the capital of France?"),
        Turn("assistant", "The capital of France is Paris."),
        Turn("user", "And of Italy?"),
        Turn("assistant", "The capital of Italy is Rome."),
        Turn("user", "Which of the two cities is older?\nSay why."),
    )
)
SWITCH = replace(MODEL, allowed=replace(MODEL.allowed, thinking=True))


async def show(pilot: Pilot[None]) -> None:
    """Post what the model thread would: a short end of the six turns."""
    explore, count = pilot.app.explore, len(COLUMNS)  # type: ignore[attr-defined]
    turns = (4,) * (count - 6) + (5, 5, 5, 5, 6, 6)
    template = tuple(place in {count - 6, count - 3, count - 2, count - 1} for place in range(count))
    of = TurnColumns(SIX, turns, template, left_out=(1, 2))
    await whole(pilot)
    pilot.app.post_message(ModelLoaded(SWITCH))
    await pilot.pause()
    explore.post_message(ReadStarted(1, COLUMNS, 19, MODEL.rows, turns=of))
    lenses = {"logit": cells(1.0), "tuned": cells(2.0)}
    explore.post_message(TileRead(1, side_tile(0, count, lenses), dict(enumerate(WORDS))))
    explore.post_message(ReadDone(1, 0.12))
    await pilot.pause(0.2)


@pytest.fixture
def chat(still: LenstuiApp) -> LenstuiApp:
    return Still(Start(turns=SIX))


@pytest.mark.parametrize("size", SIZES)
def test_the_dialog(chat: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("I", "t", "t")
        await pilot.pause(0.2)

    assert snap_compare(chat, terminal_size=size, run_before=before)


def test_a_turn_is_typed(chat: LenstuiApp, snap_compare: Any) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("I", "up", "up", "x", "end", "a", "enter")
        await pilot.pause(0.2)

    assert snap_compare(chat, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_the_columns_with_template_tokens_dim(
    chat: LenstuiApp, snap_compare: Any, size: tuple[int, int]
) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("z")
        await pilot.pause(0.2)
        pilot.app.clear_notifications()
        await pilot.pause(0.2)

    assert snap_compare(chat, terminal_size=size, run_before=before)
