"""How Explore looks, at several sizes, on cells that are the same on every machine (no torch)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from lenstui.jobs.messages import (
    LoadFailed,
    LoadStage,
)
from lenstui.tui.app import LenstuiApp
from tests.tui.pilots.still import EVERY_SIZE, SIZES, WITHOUT_LENS, show, still

__all__ = ["still"]  # a fixture


@pytest.mark.parametrize("size", EVERY_SIZE)
def test_explore(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(still, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", EVERY_SIZE)
def test_tall_rows_by_kl(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def taller(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "v", "v", "left", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=taller)


@pytest.mark.parametrize("size", EVERY_SIZE)
def test_no_lens_and_a_reason(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def bundled(pilot: Pilot[None]) -> None:
        reason = (
            "This is the bundled model: EleutherAI/pythia-14m is not in the cache "
            "and huggingface.co did not answer"
        )
        model = replace(WITHOUT_LENS, name="bundled model", remarks=(reason,))
        await show(pilot, model)
        await pilot.press("r")

    assert snap_compare(still, terminal_size=size, run_before=bundled)


@pytest.mark.parametrize("size", SIZES)
def test_loading(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def stage(pilot: Pilot[None]) -> None:
        still.explore.post_message(LoadStage("reading 142 MB of weights"))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=stage)


def test_a_failure(still: LenstuiApp, snap_compare: Any) -> None:
    async def fail(pilot: Pilot[None]) -> None:
        still.explore.post_message(LoadFailed("No such folder: /models/none"))
        await pilot.pause()

    assert snap_compare(still, terminal_size=(80, 24), run_before=fail)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_keys(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def help_me(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("question_mark")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=help_me)
