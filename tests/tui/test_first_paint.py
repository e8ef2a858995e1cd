"""What the first paint waits for: not for NumPy, nor for what is done when a model is there."""

from __future__ import annotations

import subprocess
import sys

from tests.programs import ROOT

CODE = """
import sys
import lenstui.cli.screen
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp

class First(LenstuiApp):
    async def on_ready(self):
        print(*sys.modules, file=sys.__stdout__)
        self.exit()

First(Start(prompt="The trees are green")).run(headless=True, size=(120, 40))
"""
# Rooms of which nothing is needed yet, and what is heavy from outside.
NOT_YET = (
    *(f"lenstui.{room}." for room in ("jobs", "evaluation", "scan", "fitting", "causal", "texts")),
    *(f"lenstui.tui.{screen}." for screen in ("training", "lenses", "models", "why", "trace", "help")),
    *("numpy", "torch", "transformers", "pyarrow", "huggingface_hub", "psutil", "textual_plot"),
)
# Of Explore the screen and its widgets, but none of the parts that keys and messages go to.
PARTS = {f"lenstui.tui.explore.{part}" for part in ("parts", "reader", "pins", "comparison", "export")}


def test_the_first_paint_waits_for_nothing_that_comes_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    loaded = set(done.stdout.split())
    assert {"lenstui.tui.explore.screen", "lenstui.tui.grid.grid"} <= loaded
    assert not [name for name in loaded if f"{name}.".startswith(NOT_YET) or name in NOT_YET]
    assert not loaded & PARTS
