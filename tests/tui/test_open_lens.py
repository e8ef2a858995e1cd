"""A lens is opened from the list or from anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Static

from lenstui.tui.grid.grid import Cursor, Grid
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from lenstui.tui.shared.file_dialogs import OpenLens
from tests.tui.pilots.lenses_pilot import TEXT, choose, chosen, folder, go, notes, pick, status
from tests.tui.pilots.looking import place, subtitle, until

__all__ = ["folder"]


async def test_enter_uses_a_lens_and_only_the_tuned_grid_changes(opened: Any, folder: Path) -> None:
    from lenstui.lens import load, open_lens, read

    async with opened(TEXT) as (app, pilot):
        logit, tuned = (app.explore.query_one(f"#grid-{place(lens)}", Grid) for lens in ("logit", "tuned"))
        await pilot.press("down", "left", "left")
        cursor, before, old = logit.cursor, logit.cells, tuned.cells
        await go(app, pilot)
        await choose(app, pilot, "ours")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and subtitle(app).endswith(" s"))
        await until(pilot, lambda: tuned.cells is not None and tuned.cells is not old)
        assert "tuned lens: ours (KL 2.00)" in status(app)
        assert logit.cursor == tuned.cursor == cursor
        assert logit.cells is before
        assert tuned.cells is not None
        wanted = read(load(app.program.start.model or ""), TEXT, open_lens(folder / "ours.pt"))
        np.testing.assert_allclose(tuned.cells.kl, wanted.lenses["tuned"].kl, atol=1e-5)
        await go(app, pilot)
        assert chosen(app) == "ours"
        assert app.screen.query_one(LensTable).chosen.in_use


async def test_where_there_was_none_the_tuned_grid_appears(opened: Any, folder: Path) -> None:
    (folder / "ours.pt").rename(folder.parent / "ours.pt")  # else it is opened by itself
    async with opened(TEXT, lens=False) as (app, pilot):
        tuned = app.explore.query_one("#grid-1", Grid)
        assert not tuned.display
        await pilot.press("left")
        await go(app, pilot)
        await pilot.press("b")
        await pick(app, pilot, OpenLens, str(folder.parent / "ours.pt"))
        await until(pilot, lambda: app.screen is app.explore and tuned.display and tuned.cells is not None)
        assert tuned.cursor == Cursor(3, len(TEXT) - 2)


async def test_other_weights_open_with_a_warning(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "other")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore)
        notice = app.explore.query_one("#notice", Static)
        await until(pilot, lambda: "made for other weights (a/fine-tuned)" in str(notice.render()))
        assert notice.display


async def test_a_wrong_shape_is_refused_and_the_list_stays_usable(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        before = status(app)
        await go(app, pilot)
        await choose(app, pilot, "wrong")
        await pilot.press("enter")
        await until(pilot, lambda: "5 blocks and width 8" in notes(app))
        assert "3 blocks and width 32" in notes(app)
        assert isinstance(app.screen, Lenses)
        assert status(app) == before
        await choose(app, pilot, "ours")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.explore and "tuned lens: ours" in status(app))


async def test_a_file_that_has_gone_is_refused(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "ours")
        (folder / "ours.pt").unlink()
        await pilot.press("enter")
        await until(pilot, lambda: "There is no lens file" in notes(app))


@pytest.mark.parametrize("part", ["params.pt", "config.json"])
async def test_a_part_of_a_library_folder_means_the_folder(
    opened: Any, folder: Path, tmp_path: Path, part: str
) -> None:
    from lenstui.lens import open_lens, save_library_folder

    save_library_folder(open_lens(folder / "ours.pt"), tmp_path / "library")
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("b")
        await pick(app, pilot, OpenLens, str(tmp_path / "library" / part))
        await until(pilot, lambda: app.screen is app.explore)
        assert "tuned lens: library" in status(app)
        await go(app, pilot)
        assert app.screen.query_one(LensTable).chosen.card.path == tmp_path / "library"


async def test_browse_begins_in_the_data_folder_and_escape_leads_back(opened: Any, folder: Path) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await go(app, pilot)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, OpenLens))
        assert Path(app.screen._location) == folder.parent
        for name in ("Dialog", "Input", "#select", "#cancel"):
            region = app.screen.query_one(name).region
            assert region.height
            assert region.right <= 80
            assert region.bottom <= 24
        await pilot.press("escape")
        assert isinstance(app.screen, Lenses)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_where_the_data_folder_cannot_be_made_browse_begins_at_home(
    opened: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
        monkeypatch.setenv("HOME", str(tmp_path))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, OpenLens))
        assert Path(app.screen._location) == tmp_path
        await pilot.press("escape")
        monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, OpenLens))
        assert Path(app.screen._location) == Path("/")


async def test_names_that_no_file_can_have_are_said(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("b")
        for name, complaint in (
            ("x" * 400, "No such name"),
            ("none.pt", "must exist"),
            ("", "must be chosen"),
        ):
            await pick(app, pilot, OpenLens, name)
            assert complaint in str(app.screen.query_one("Dialog").border_subtitle)
        assert isinstance(app.screen, OpenLens)


async def test_names_that_a_terminal_would_act_on_are_not_sent(opened: Any, folder: Path) -> None:
    (folder.parent / "a\x1b[31mb").mkdir()
    (folder.parent / "c\x1b[31md.pt").touch()
    (folder.parent / "[bold]e").mkdir()
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, OpenLens))
        await until(pilot, lambda: "[bold]e" in app.export_screenshot())
        assert "\x1b" not in app.export_screenshot()
