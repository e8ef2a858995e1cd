"""The program without its model thread, and what is shown in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

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
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.side_reading import SideTile
from lenstui.readout.cells import Cells
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.pin_list import PinList
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.looking import place, until

SIZES = [(200, 50), (120, 40), (80, 24)]
EVERY_SIZE = [*SIZES, (160, 45), (60, 20)]
SIDE = SideFacts("EleutherAI/pythia-14m", None, "float32", 50304, "logit")
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
    sides=(SIDE, replace(SIDE, kind="tuned", lens="quick-1")),
)
WITHOUT_LENS = replace(
    MODEL, lens=None, lens_kl=None, sides=(SIDE, replace(SIDE, kind="tuned", has_lens=False))
)


class Silent:
    """A service that does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Still(LenstuiApp):
    """The program without its model thread: what it shows is posted by the test."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.program.models = self.program.prompts = Silent()  # type: ignore[assignment]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> LenstuiApp:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")
    return Still(Start(prompt="The trees are green and the sky is"))


async def whole(pilot: Pilot[None]) -> None:
    """Wait for the widgets that are added after the first paint: no model is loaded before that."""
    explore = pilot.app.explore  # type: ignore[attr-defined]
    await until(pilot, lambda: bool(explore.query(PinList)))


async def show(pilot: Pilot[None], model: OpenModel = MODEL) -> None:
    """Post what the model thread would."""
    explore = pilot.app.explore  # type: ignore[attr-defined]
    await whole(pilot)
    pilot.app.post_message(ModelLoaded(model))
    await pilot.pause()
    explore.post_message(ReadStarted(1, COLUMNS, 0, model.rows))
    lenses = {"logit": cells(1.0)} | ({"tuned": cells(2.0)} if model.lens else {})
    explore.post_message(TileRead(1, side_tile(0, len(COLUMNS), lenses), dict(enumerate(WORDS))))
    explore.post_message(ReadDone(1, 0.12))
    await pilot.pause(0.2)


def side_tile(start: int, stop: int, lenses: Mapping[str, Cells]) -> SideTile:
    """Cells of some columns, by the lens that is on a side at first."""
    return SideTile(start, stop, {place(lens): of_lens for lens, of_lens in lenses.items()})
