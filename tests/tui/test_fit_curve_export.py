"""x in the list of lenses: the curve of a fit, as the command writes it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from lenstui.lens.fit_history import FitPoint
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.lenses.screen import Lenses
from tests.programs.calls import status
from tests.tui.pilots import lenses_pilot
from tests.tui.pilots.lenses_pilot import folder
from tests.tui.pilots.looking import said, until
from tests.tui.test_lens_sheet import shown

__all__ = ["folder"]


@pytest.fixture
def with_curve(folder: Path) -> Path:
    """The first lens of the folder, with a history of its fit."""
    from lenstui.lens import TunedLens, open_lens, save_lens

    lens = open_lens(folder / "ours.pt")
    assert isinstance(lens, TunedLens)
    points = [FitPoint(n, 100 * n, 64, (3.0 - n, 2.0 - 0.5 * n, 1.0)) for n in range(3)]
    history = [point.plain for point in points]
    save_lens(replace(lens, fit={**lens.fit, "history": history}), folder / "ours.pt")
    return folder / "ours.pt"


async def take(app: LenstuiApp, pilot: Pilot[None], thing: str, file: Path | None = None) -> None:
    """Export a thing, to a file or to the clipboard."""
    app.clear_notifications()
    await pilot.press("x")
    dialog = app.screen
    assert isinstance(dialog, ExportDialog)
    things = dialog.query_one(OptionList)
    while things.highlighted_option is None or things.highlighted_option.id != thing:
        await pilot.press("down")
    if file is not None:
        dialog.query_one(Input).value = str(file)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Lenses) and said(app) != "")


async def test_every_form_is_that_of_the_command(
    opened: Any, with_curve: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await lenses_pilot.go(app, pilot)
        await lenses_pilot.choose(app, pilot, "ours")
        assert "measured 3 times on the way: x exports the curve" in " ".join(shown(app).split())
        for form in ("svg", "pdf", "csv", "json"):
            await take(app, pilot, form, tmp_path / "screen" / f"curve.{form}")
        await take(app, pilot, "table")
        table = app.clipboard
        await take(app, pilot, "command")
        command = app.clipboard
    assert command == f"lenstui lenses --curve={with_curve}"
    words = shlex.split(command)[1:]
    (tmp_path / "read").mkdir()
    for form in ("svg", "pdf", "csv", "json"):
        assert status(*words, "-o", tmp_path / "read" / f"curve.{form}") == 0
        by_screen, by_command = (tmp_path / where / f"curve.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form
    capsys.readouterr()
    assert status(*words) == 0
    assert capsys.readouterr().out == table
    assert " 2.00 " in table.splitlines()[1]  # the mean of 3, 2 and 1


async def test_a_lens_without_a_history_says_so(opened: Any, folder: Path) -> None:
    async with opened("Hello, you", lens=False) as (app, pilot):
        await lenses_pilot.go(app, pilot)
        await lenses_pilot.choose(app, pilot, "other")
        assert "on the way" not in shown(app)
        await pilot.press("x")
        assert isinstance(app.screen, Lenses)
        assert "other keeps no history of its fit" in said(app)
