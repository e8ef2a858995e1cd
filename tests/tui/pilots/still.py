"""The program without its model thread, and what is shown in it."""

from __future__ import annotations

import pytest
from textual import constants
from textual.pilot import Pilot

from lenstui.jobs.messages import (
    ModelLoaded,
    OpenModel,
    ReadDone,
    ReadStarted,
    TileRead,
)
from lenstui.readout.cells import Tile
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from tests.by_hand.made_up import COLUMNS, WORDS, cells

SIZES = [(200, 50), (120, 40), (80, 24)]
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
