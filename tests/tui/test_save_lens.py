"""A lens is saved, and what cannot be written is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.shared.file_dialogs import SaveLens, SaveLensFolder
from lenstui.tui.shared.question import Question
from tests.tui.pilots.lenses_pilot import TEXT, folder, go, names, notes, pick, read_only, status
from tests.tui.pilots.looking import subtitle, until

__all__ = ["folder", "read_only"]


async def test_save_writes_our_own_format(opened: Any, folder: Path, tiny_model: Path) -> None:
    from lenstui.lens import open_lens

    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SaveLens))
        assert Path(app.screen._location) == folder
        assert app.screen.query_one(Input).value == "lens.pt"
        await pick(app, pilot, SaveLens, "mine")
        await until(pilot, lambda: "mine" in names(app))
        assert str(folder / "mine.pt") in notes(app)
        np.testing.assert_array_equal(
            open_lens(folder / "mine.pt").weight, open_lens(tiny_model / "lens.pt").weight
        )


async def test_overwriting_asks_first(opened: Any, folder: Path) -> None:
    before = (folder / "ours.pt").read_bytes()
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        for answer in ("n", "escape"):
            await pilot.press("s")
            await pick(app, pilot, SaveLens, "ours")
            await until(pilot, lambda: isinstance(app.screen, Question))
            await pilot.press(answer)
            await until(pilot, lambda: isinstance(app.screen, Lenses))
            assert (folder / "ours.pt").read_bytes() == before
        await pilot.press("s")
        await pick(app, pilot, SaveLens, "ours.pt")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: "ours.pt" in notes(app))
        assert (folder / "ours.pt").read_bytes() != before


async def test_save_folder_writes_what_the_library_reads(opened: Any, folder: Path) -> None:
    import json

    from lenstui.lens import load, open_lens
    from lenstui.lens.formats.unembed_hash import unembed_hash

    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("S")
        await pick(app, pilot, SaveLensFolder, "library")
        await until(pilot, lambda: "library" in names(app))
        table = json.loads((folder / "library" / "config.json").read_text())
        assert table["unembed_hash"] == unembed_hash(load(app.program.start.model or ""))
        assert open_lens(folder / "library").bias.shape == (3, 32)
        await pilot.press("S")  # the folder again, by one of its files
        await pick(app, pilot, SaveLensFolder, "library/config.json")
        await until(pilot, lambda: isinstance(app.screen, Question))
        app.clear_notifications()
        await pilot.press("y")
        await until(pilot, lambda: str(folder / "library") in notes(app))
        assert not (folder / "library" / "config.json").is_dir()


async def test_names_that_would_spoil_something_are_refused(opened: Any, folder: Path) -> None:
    from lenstui.lens import open_lens, save_library_folder

    save_library_folder(open_lens(folder / "ours.pt"), folder / "library")
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("s")
        await pick(app, pilot, SaveLens, "library/params.pt")
        assert "part of a folder" in str(app.screen.query_one("Dialog").border_subtitle)
        await pilot.press("escape", "S")
        await pick(app, pilot, SaveLensFolder, "ours.pt")
        assert "A file has this name" in str(app.screen.query_one("Dialog").border_subtitle)


async def test_without_a_lens_there_is_nothing_to_save(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with opened(TEXT, lens=False) as (app, pilot):
        await go(app, pilot)
        for key in ("s", "S"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: "No lens is in use" in notes(app))
            assert isinstance(app.screen, Lenses)


@pytest.mark.parametrize("key", ["s", "S"])
async def test_a_full_disk_is_said_and_nothing_is_lost(
    opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        monkeypatch.setattr("lenstui.lens.formats.tensor_file.torch.save", full)
        await pilot.press(key)
        await pick(app, pilot, SaveLens if key == "s" else SaveLensFolder, "mine")
        await until(pilot, lambda: "No space left on device" in notes(app))
        assert isinstance(app.screen, Lenses)
        assert "tuned lens: lens" in status(app)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(folder.parents[1]))
        await pilot.press(key)
        await pick(app, pilot, SaveLens if key == "s" else SaveLensFolder, "mine-2")
        await until(pilot, lambda: "mine-2" in names(app))
        assert "mine" not in names(app)


async def test_a_read_only_folder_is_said(opened: Any, read_only: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("s")
        await pick(app, pilot, SaveLens, "mine")
        await until(pilot, lambda: "Permission denied" in notes(app))
        assert isinstance(app.screen, Lenses)


async def test_a_folder_that_cannot_be_made_is_said(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("s")
        await pick(app, pilot, SaveLens, "ours.pt/mine.pt")
        await until(pilot, lambda: "cannot be written" in notes(app))
        assert isinstance(app.screen, Lenses)


async def test_it_is_said_once(opened: Any, folder: Path) -> None:
    """Unless the list is closed meanwhile: then the app says it."""
    async with opened("Hello, you") as (app, pilot):
        await go(app, pilot)
        lenses, post = app.program.lenses, app.program.post_to(app.screen)
        lenses.save(folder / "one.pt", post, as_folder=False)
        await until(pilot, lambda: "one.pt" in notes(app))
        await pilot.pause(0.1)
        assert notes(app).count("one.pt") == 1
        await pilot.press("escape")
        lenses.save(folder / "two.pt", post, as_folder=False)
        await until(pilot, lambda: "two.pt" in notes(app))
        await pilot.pause(0.1)
        assert notes(app).count("two.pt") == 1


async def test_the_lens_of_the_active_side_is_saved(tiny_model: Path, folder: Path, tmp_path: Path) -> None:
    """A Jacobian lens, too, as lenstui's own file; the library's folder has none, which is said."""
    import torch

    from lenstui.lens import JacobianLens, TunedLens, open_lens, save_lens

    jacobian = JacobianLens(
        {1: torch.eye(32) + 0.5, 2: torch.eye(32) / 2}, {"d_model": 32}, {"target": "last"}
    )
    save_lens(jacobian, tmp_path / "jac.pt")
    start = Start(prompt=TEXT, model=str(tiny_model), lenses=(tiny_model / "lens.pt", tmp_path / "jac.pt"))
    app = LenstuiApp(start, depth=1)
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        for tabs, name in ((0, "lens"), (2, "jac")):
            await pilot.press(*["tab"] * tabs)
            await go(app, pilot)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, SaveLens))
            assert app.screen.query_one(Input).value == f"{name}.pt"
            await pick(app, pilot, SaveLens, f"saved-{name}")
            await until(pilot, lambda name=name: f"saved-{name}.pt" in notes(app))
            await pilot.press("escape")
        assert isinstance(open_lens(folder / "saved-lens.pt"), TunedLens)
        saved = open_lens(folder / "saved-jac.pt")
        assert isinstance(saved, JacobianLens)
        for row, matrix in jacobian.matrices.items():
            assert torch.equal(saved.matrices[row], matrix)
        await go(app, pilot)
        app.clear_notifications()
        await pilot.press("S")
        reason = "The tuned-lens library has no Jacobian lenses: s saves jac as a file."
        await until(pilot, lambda: reason in notes(app))
        assert isinstance(app.screen, Lenses)


async def test_a_jacobian_lens_alone_is_saved(tiny_model: Path, folder: Path, tmp_path: Path) -> None:
    """Also while the logit lens is the active side, and no tuned lens is there."""
    import torch

    from lenstui.lens import JacobianLens, open_lens, save_lens

    save_lens(JacobianLens({1: torch.eye(32)}, {"d_model": 32}), tmp_path / "jac.pt")
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    app = LenstuiApp(Start(prompt=TEXT, model=str(tiny_model), lenses=(tmp_path / "jac.pt",)), depth=1)
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await go(app, pilot)
        await pilot.press("s")
        await pick(app, pilot, SaveLens, "mine")
        await until(pilot, lambda: "mine.pt" in notes(app))
        assert isinstance(open_lens(folder / "mine.pt"), JacobianLens)
