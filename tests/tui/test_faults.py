"""Faults while the screen is used: memory that runs out, folders that are gone. The screen stays usable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lenstui.tui.app import LenstuiApp
from lenstui.tui.why.screen import Why
from tests.tui.pilots.export_pilot import write
from tests.tui.pilots.looking import said, subtitle, until

SAID = "CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 79.11 GiB"
LINE = "CUDA out of memory. Tried to allocate 64.00 MiB. Try a shorter prompt."


def shown(app: LenstuiApp) -> str:
    """All that is on the screen, on one line, without what frames it."""
    lines = [strip.text.strip(" │") for strip in app.screen._compositor.render_strips()]
    return " ".join(" ".join(lines).split()) + said(app)


async def test_memory_that_runs_out_is_a_line_and_what_comes_next_is_read(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import OutOfMemoryError
    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXModel

    def no_room(*arguments: Any, **options: Any) -> Any:
        raise OutOfMemoryError(SAID)

    async with opened("Hello, you") as (app, pilot):
        with monkeypatch.context() as patch:
            patch.setattr(GPTNeoXModel, "forward", no_room)
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, Why) and LINE in shown(app))
            await pilot.press("escape", "i", *" so", "enter")
            await until(pilot, lambda: LINE in shown(app))
        await pilot.press("i", *" it", "enter")
        await until(pilot, lambda: subtitle(app).startswith("16 tokens"))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, Why) and "column 15" in shown(app))


async def test_the_folder_that_it_was_started_in_is_gone(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "here")
    async with opened("Hello, you") as (app, pilot):
        shutil.rmtree(tmp_path / "here")
        shutil.rmtree(tmp_path / "data")
        with pytest.raises(FileNotFoundError):
            os.getcwd()  # noqa: PTH109
        for keys in (["x", "escape"], ["t", "escape"], ["o", "escape"], ["E", "escape"], ["C", "escape"]):
            await pilot.press(*keys)
            await until(pilot, lambda: app.screen is app.explore)
        await pilot.press("i", *" so", "enter")
        await until(pilot, lambda: subtitle(app).startswith("13 tokens"))
        await write(app, pilot, "csv", tmp_path / "data" / "made" / "a.csv")
    assert (tmp_path / "data" / "made" / "a.csv").read_text().startswith("lens,row,")
