"""Fits of other processes on the Train screen, by their progress files in the lenses folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenstui.fitting.options import PRESETS
from lenstui.fitting.processes import ALONE
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.progress_file import ProgressFile
from tests.tui.pilots.fit_pilot import few_stories, folder
from tests.tui.pilots.looking import until

__all__ = ["few_stories", "folder"]


def write(lens: Path, step: int) -> ProgressFile:
    file = ProgressFile(lens, PRESETS["standard"], "big [b]model\x1b[31m", ALONE)
    kl = np.array([2.0, np.nan]) if step < 100 else np.array([2.0, 1.0])
    seen = {"stage": "refining", "share": step / 1000, "step": step, "steps": 1000, "tokens": 512 * step}
    file.show(FitProgress(**seen, seconds=60.0, eta=300.0, held_out_kl=kl))  # type: ignore[arg-type]
    return file


async def test_the_form_shows_how_far_they_are_until_they_end(
    opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.tui.training.screen._LOOK_EVERY", 0.05)
    async with opened("Hello, you") as (app, pilot):
        other = write(folder / "theirs.pt", 10)
        (folder / "broken.progress").write_text("{")
        await pilot.press("escape", "t")
        line = app.screen.query_one("#elsewhere")
        await until(pilot, lambda: line.display)
        said = str(line.render())
        assert "theirs, of big [b]model\\x1b[31m, elsewhere: training 1% · step 10/1000 · 5:00 left" in said
        assert "broken" not in said
        assert "nothing new" not in said
        write(folder / "theirs.pt", 500)
        await until(pilot, lambda: "step 500/1000 · 5:00 left · KL 1.50" in str(line.render()))
        old = time.time() - 600
        os.utime(folder / "theirs.progress", (old, old))
        await until(pilot, lambda: "nothing new for 10:0" in str(line.render()))
        other.remove()
        await until(pilot, lambda: not line.display)
