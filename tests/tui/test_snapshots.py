"""How Explore looks, at three sizes, on cells that are the same on every machine (no torch)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from textual import constants
from textual.pilot import Pilot

from lenstui.jobs.messages import (
    LoadFailed,
    LoadStage,
    ModelLoaded,
    OpenModel,
    ReadDone,
    ReadStarted,
    TileRead,
)
from lenstui.readout.cells import Cells, Tile
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp

SIZES = [(200, 50), (120, 40), (80, 24)]
ROWS, K = 7, 10
COLUMNS = ("The", "·trees", "·are", "·green", "·and", "·the", "·sky", "·is")
WORDS = ("·blue", "·the", "·a", "·very", "空色", "·unbelievably", "⏎", "\\x1b", ".", "·so", "·not", "·clear")
MODEL = OpenModel(
    name="EleutherAI/pythia-14m",
    remarks=(),
    rows=("emb", "0", "1", "2", "3", "4", "5"),
    d_model=128,
    vocabulary=50304,
    context=2048,
    device="cpu",
    dtype="float32",
    wiring=("head(final_norm(h_L)) = the model's logits: off by 0.0e+00",),
    lens="quick-1",
    lens_kl=1.63,
)


class Still(LenstuiApp):
    """The program without its model thread: what it shows is posted by the test."""

    def load(self, start: Start) -> None:
        pass

    def request_read(self, serial: int, text: str, page_columns: int) -> None:
        pass


def cells(sharpness: float) -> Cells:
    """Made-up cells: the later the row, the surer."""
    shape = (ROWS, len(COLUMNS))
    row, column = np.indices(shape)
    ids = (row[..., None] * (column[..., None] % 3) + column[..., None] + np.arange(K)) % len(WORDS)
    logits = -np.arange(K) * sharpness * (row[..., None] + 1) / ROWS
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    kl = (ROWS - 1 - row) * (1 + column / 4) / sharpness
    following = np.where(column == len(COLUMNS) - 1, np.nan, -kl - 0.5)
    empty = np.zeros((*shape, 0))
    return Cells(
        top_ids=ids.astype(np.int32),
        top_logits=logits.astype(np.float32),
        top_probs=probs.astype(np.float32),
        entropy=(kl + 1).astype(np.float32),
        kl=kl.astype(np.float32),
        final_rank=(kl**3).astype(np.int32),
        next_logprob=following.astype(np.float32),
        next_rank=np.where(np.isnan(following), -1, 3 * row).astype(np.int32),
        pin_logits=empty.astype(np.float32),
        pin_logprobs=empty.astype(np.float32),
        pin_ranks=empty.astype(np.int32),
    )


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> LenstuiApp:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")
    return Still(Start(prompt="The trees are green and the sky is"))


async def show(pilot: Pilot[None], model: OpenModel = MODEL) -> None:
    """Post what the model thread would."""
    explore = pilot.app.explore  # type: ignore[attr-defined]
    explore.post_message(ModelLoaded(model))
    await pilot.pause()
    explore.post_message(ReadStarted(1, COLUMNS, 0, model.rows))
    lenses = {"logit": cells(1.0)} | ({"tuned": cells(2.0)} if model.lens else {})
    explore.post_message(TileRead(1, Tile(0, len(COLUMNS), lenses), dict(enumerate(WORDS))))
    explore.post_message(ReadDone(1, 0.12))
    await pilot.pause(0.2)


@pytest.mark.parametrize("size", SIZES)
def test_explore(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(still, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", SIZES)
def test_tall_rows_by_kl(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def taller(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "v", "v", "left", "down")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=taller)


@pytest.mark.parametrize("size", SIZES)
def test_no_lens_and_a_reason(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def bundled(pilot: Pilot[None]) -> None:
        reason = (
            "This is the bundled model: EleutherAI/pythia-14m is not in the cache "
            "and huggingface.co did not answer"
        )
        model = replace(MODEL, name="bundled model", remarks=(reason,), lens=None, lens_kl=None)
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
