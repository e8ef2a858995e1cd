"""Where the lens of a fit goes that the screen begins or goes on with, and another program beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from textual.pilot import Pilot

from lenstui.fitting.names import claim
from lenstui.jobs.fit_messages import Phase
from lenstui.lens import open_lens
from lenstui.tui.app import LenstuiApp
from tests.tui.pilots.fit_pilot import (
    begin,
    endless,
    few_stories,
    folder,
    static,
    status,
    text,
    until_phase,
    until_steps,
)
from tests.tui.pilots.looking import until

__all__ = ["endless", "few_stories", "folder", "text"]


async def test_a_name_that_another_fit_has_is_passed_over(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    held = claim(folder / "tiny-quick-1.pt")  # by another program
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text)
        await until_steps(app, pilot, 2)
        assert status(app).path == folder / "tiny-quick-2.pt"
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
        held.release()
        assert list(folder.iterdir()) == [folder / "tiny-quick-2.pt"]


async def unfinished(opened: Any, folder: Path, text: Path) -> Path:
    """The checkpoint of a fit that was left."""
    async with opened("Hello, you") as (app, pilot):
        await begin(app, pilot, text, steps=50)
        await until_steps(app, pilot, 2)
        await pilot.press("q", "q", "c")  # to Explore, out of it
        await until(pilot, lambda: app.last_words is not None)
    assert list(folder.iterdir()) == [folder / "tiny-quick-1.checkpoint"]
    return folder / "tiny-quick-1.checkpoint"


async def go_on(app: LenstuiApp, pilot: Pilot[None]) -> None:
    await pilot.press("escape", "t")
    await until(pilot, lambda: app.screen.query_one("#resume").display)
    app.screen.query_one("#resume").focus()
    await pilot.press("enter")


async def test_a_fit_that_is_under_way_elsewhere_is_not_gone_on_with(
    opened: Any, folder: Path, text: Path, endless: None
) -> None:
    path = await unfinished(opened, folder, text)
    held = claim(path.with_suffix(".pt"))
    async with opened("Hello, you") as (app, pilot):
        await go_on(app, pilot)
        await until(pilot, lambda: status(app).phase is Phase.NONE and status(app).trouble is not None)
        assert f"A fit for {held.lens} is under way already" in status(app).trouble
    held.release()


async def test_a_checkpoint_does_not_say_what_is_replaced(
    opened: Any, folder: Path, text: Path, tmp_path: Path, endless: None
) -> None:
    path = await unfinished(opened, folder, text)
    victim = tmp_path / "thesis.tex"
    victim.write_text("precious")
    torch.save({**torch.load(path, weights_only=True), "save": str(victim)}, path)
    async with opened("Hello, you") as (app, pilot):
        await go_on(app, pilot)
        await until(pilot, lambda: "names another place" in static(app, "#fit-trouble"))
        await pilot.press("s")
        await until_phase(app, pilot, Phase.KEPT)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "thesis.tex.checkpoint").exists()
    assert open_lens(path.with_suffix(".pt")).weight.any()
    assert list(folder.iterdir()) == [path.with_suffix(".pt")]
