"""The lenses, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from textual import constants
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.lens.lens_card import LensCard, Match, TranslatorSize
from lenstui.start import Start
from lenstui.ui.app import LenstuiApp
from lenstui.ui.lens_files import LensFiles
from lenstui.ui.messages import LensesListed, ListedLens, TranslatorMeasured
from lenstui.ui.screens.keys import Keys
from lenstui.ui.screens.lens_picker import OpenLens, SaveLens, SaveLensFolder
from lenstui.ui.screens.lenses import Lenses
from lenstui.ui.screens.question import Question
from lenstui.ui.widgets.grid import Cursor, Grid
from lenstui.ui.widgets.lens_sheet import LensSheet, _number
from lenstui.ui.widgets.lens_table import LensTable, size_text
from lenstui.ui.widgets.status_bar import StatusBar

from .conftest import subtitle, until
from .test_snapshots import MODEL, SIZES, Still, show

TEXT = "Hello, you"


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lenses folder: one for the tiny model, one for other weights, one of another shape, and none."""
    import torch

    from lenstui.lens import TunedLens, load, save_lens
    from lenstui.lens.compatibility import lens_config

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "lenstui" / "lenses"
    model = load(str(tiny_model))
    torch.manual_seed(1)
    fit = {"held_out_kl": [3.0, 2.0, 1.0], "logit_lens_kl": [6.0, 4.0, 2.0], "preset": "quick", "seed": 0}
    ours = TunedLens(0.2 * torch.randn(3, 32, 32), torch.randn(3, 32), lens_config(model), fit)
    other = {"unembed_sample": [9.0] * 64, "base_model_name_or_path": "a/fine-tuned"}
    lenses = {
        "ours": ours,
        "other": replace(ours, config={**ours.config, **other}, weight=2 * ours.weight),
        "wrong": TunedLens(torch.zeros(5, 8, 8), torch.zeros(5, 8)),
    }
    for age, (name, lens) in enumerate(lenses.items()):
        save_lens(lens, folder / f"{name}.pt")
        os.utime(folder / f"{name}.pt", (1.7e9 + age, 1.7e9 + age))  # what fits best is the oldest
    (folder / "half.pt").write_bytes((folder / "ours.pt").read_bytes()[:900])
    return folder


@pytest.fixture
def read_only(folder: Path) -> Iterator[Path]:
    """The lenses folder, where nothing can be written."""
    if os.geteuid() == 0:
        pytest.skip("root writes anywhere")
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


def names(app: LenstuiApp) -> list[str]:
    return [lens.card.name for lens in app.screen.query_one(LensTable)._lenses]


def notes(app: LenstuiApp) -> str:
    return "\n".join(str(note.message) for note in app._notifications)


def hint(app: LenstuiApp) -> str:
    return str(app.screen.query_one("#hint", Static).render())


def status(app: LenstuiApp) -> str:
    return str(app.explore.query_one(StatusBar).render())


def chosen(app: LenstuiApp) -> str:
    lens = app.screen.query_one(LensTable).chosen
    assert lens is not None
    return lens.card.name


def sizes(app: LenstuiApp) -> dict[int, TranslatorSize]:
    sheet = app.screen.query_one(LensSheet).sheet
    return {} if sheet is None else dict(sheet.sizes)


async def go(app: LenstuiApp, pilot: Pilot[None]) -> None:
    """Open the list and wait until it is there."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.screen, Lenses) and app.screen.query_one(LensTable).chosen)


async def choose(app: LenstuiApp, pilot: Pilot[None], name: str) -> None:
    app.screen.query_one(LensTable).highlighted = names(app).index(name)
    await pilot.pause()


async def pick(app: LenstuiApp, pilot: Pilot[None], kind: type, text: str) -> None:
    """Type a path into the dialog that is open, and Enter."""
    await until(pilot, lambda: isinstance(app.screen, kind))
    box = app.screen.query_one(Input)
    box.focus()
    box.value = text
    await pilot.press("enter")
    await pilot.pause()


# ── the list ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_those_that_fit_come_first_and_are_marked(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        assert any(item.key == "o" and item.description == "Lenses" for item in app.explore.BINDINGS)
        await go(app, pilot)
        lenses = {lens.card.name: lens for lens in app.screen.query_one(LensTable)._lenses}
        assert names(app)[:3] == ["ours", "lens", "other"]
        assert set(names(app)[3:]) == {"wrong", "bundled"}
        assert lenses["ours"].match is Match.WEIGHTS
        assert lenses["lens"].match is Match.SHAPE
        assert lenses["lens"].in_use  # from elsewhere, and so not in the folder
        assert lenses["other"].match is Match.OTHER_WEIGHTS
        assert lenses["wrong"].match is lenses["bundled"].match is Match.NO
        assert [lens.in_use for lens in lenses.values()].count(True) == 1
        assert chosen(app) == "lens"
        assert "half.pt" in hint(app)


async def test_without_any_that_fits_it_says_how_to_get_one(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with opened(TEXT, lens=False) as (app, pilot):
        await go(app, pilot)
        assert names(app) == ["bundled"]
        assert "train" in hint(app)
        await pilot.press("enter")
        await until(pilot, lambda: "6 blocks and width 192" in notes(app))


async def test_an_empty_list_says_how_to_get_one(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("lenstui.ui.lens_files.bundled_model", lambda: tmp_path)
    async with opened(TEXT, lens=False) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and "No lenses yet" in hint(app))
        await pilot.press("enter")
        assert "no lens to use" in notes(app)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_it_says_that_it_reads(opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    list_lenses = LensFiles.list_lenses

    def slowly(self: LensFiles, stop: Callable[[], bool]) -> None:
        assert release.wait(60)
        list_lenses(self, stop)

    monkeypatch.setattr(LensFiles, "list_lenses", slowly)
    async with opened(TEXT) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and "reading" in hint(app))
        release.set()
        await until(pilot, lambda: app.screen.query_one(LensTable).chosen)
        assert "reading" not in hint(app)


async def test_before_a_model_is_open_the_keys_say_so(tmp_path: Path, folder: Path) -> None:
    app = LenstuiApp(Start(prompt="a", model=str(tmp_path)))
    async with app.run_test(size=(120, 40)) as pilot:
        pane = app.explore.query_one("#pane-logit .pane--message", Static)
        await until(pilot, lambda: "config.json" in str(pane.render()))
        await go(app, pilot)
        assert all(lens.match is None for lens in app.screen.query_one(LensTable)._lenses)
        for key in ("enter", "b", "s", "S"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: "No model is open" in notes(app))
            assert isinstance(app.screen, Lenses)


# ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_uses_a_lens_and_only_the_tuned_grid_changes(opened: Any, folder: Path) -> None:
    from lenstui.lens import load, open_lens, read

    async with opened(TEXT) as (app, pilot):
        logit, tuned = (app.explore.query_one(f"#grid-{lens}", Grid) for lens in ("logit", "tuned"))
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
        wanted = read(load(app._start.model or ""), TEXT, open_lens(folder / "ours.pt")).lenses["tuned"]
        np.testing.assert_allclose(tuned.cells.kl, wanted.kl, atol=1e-5)
        await go(app, pilot)
        assert chosen(app) == "ours"
        assert app.screen.query_one(LensTable).chosen.in_use  # type: ignore[union-attr]


async def test_where_there_was_none_the_tuned_grid_appears(opened: Any, folder: Path) -> None:
    (folder / "ours.pt").rename(folder.parent / "ours.pt")  # else it is opened by itself
    async with opened(TEXT, lens=False) as (app, pilot):
        tuned = app.explore.query_one("#grid-tuned", Grid)
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
        assert app.screen.query_one(LensTable).chosen.card.path == tmp_path / "library"  # type: ignore[union-attr]


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


# ── saving ──────────────────────────────────────────────────────────────────────────────────────────────────


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
    from lenstui.lens.unembed_hash import unembed_hash

    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("S")
        await pick(app, pilot, SaveLensFolder, "library")
        await until(pilot, lambda: "library" in names(app))
        table = json.loads((folder / "library" / "config.json").read_text())
        assert table["unembed_hash"] == unembed_hash(load(app._start.model or ""))
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
        monkeypatch.setattr("lenstui.lens.tensor_file.torch.save", full)
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
        await until(pilot, lambda: "Could not write" in notes(app))
        assert isinstance(app.screen, Lenses)


# ── the card ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_card_has_the_fit_and_the_translators(opened: Any, folder: Path) -> None:
    from lenstui.lens import open_lens

    async with opened(TEXT, size=(200, 50)) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "ours")
        await until(pilot, lambda: len(sizes(app)) == 3)
        lens = open_lens(folder / "ours.pt")
        for row in range(3):
            weight = lens.weight[row].double().numpy()
            assert sizes(app)[row].weight == pytest.approx(np.linalg.norm(weight), rel=1e-4)
            assert sizes(app)[row].bias == pytest.approx(np.linalg.norm(lens.bias[row]), rel=1e-4)
            wanted = np.linalg.svd(weight, compute_uv=False)[:3]
            np.testing.assert_allclose(sizes(app)[row].singular_values, wanted, rtol=1e-4)
        text = shown(app)
        assert "preset quick · seed 0" in text
        assert f"{sizes(app)[0].weight:#.3g}" in text
        assert text.index("\n1 ") < text.index("\n0 ") < text.index("\nemb ")  # the last row on top
        assert "6.00" in text


def shown(app: LenstuiApp) -> str:
    """The card as text."""
    console = app.console
    sheet = app.screen.query_one(LensSheet).sheet
    assert sheet is not None
    lines = console.render_lines(sheet, console.options.update_width(90), pad=False)
    return "\n".join(Text("").join([Text(part.text) for part in line]).plain for line in lines)


async def test_moving_on_gives_up_what_was_measured(
    opened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, measured = TranslatorSize.of, []

    def slowly(row: int, *rest: Any) -> TranslatorSize:
        measured.append(row)
        time.sleep(0.3)
        return of(row, *rest)

    monkeypatch.setattr(TranslatorSize, "of", slowly)
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "wrong")
        await until(pilot, lambda: measured)
        await choose(app, pilot, "ours")
        await until(pilot, lambda: len(sizes(app)) == 3)
        assert len(measured) < 5 + 3
        await pilot.press("i", "escape")  # nothing is stuck meanwhile
        assert app.screen is app.explore


async def test_a_file_that_is_cut_short_meanwhile_leaves_the_rest_of_the_card(
    opened: Any, folder: Path
) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        (folder / "ours.pt").unlink()
        await choose(app, pilot, "ours")
        await until(pilot, lambda: "There is no lens file" in shown(app))
        assert "preset quick" in shown(app)


async def test_tab_leads_to_the_card_which_scrolls(opened: Any, folder: Path) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await go(app, pilot)
        await choose(app, pilot, "bundled")
        await until(pilot, lambda: len(sizes(app)) == 6)
        sheet = app.screen.query_one(LensSheet)
        await pilot.press("tab")
        assert app.focused is sheet
        await pilot.press("j", "j")
        await until(pilot, lambda: sheet.scroll_offset.y > 0)
        await pilot.press("tab")
        assert app.focused is app.screen.query_one(LensTable)
        await pilot.press("k")
        await until(pilot, lambda: sheet.scroll_offset.y == 0)


async def test_the_keys_are_in_the_list_and_in_the_palette(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {"Use", "Browse…", "Save as…", "Save folder…", "Back"} <= set(commands)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Keys)
        assert {"b", "s", "S"} <= {key.keys for key in app.screen._keys if key.place == "lenses"}
        await pilot.press("escape")
        await commands["Back"].callback()
        await until(pilot, lambda: app.screen is app.explore)


async def test_q_quits(opened: Any, folder: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


def test_sizes_are_short() -> None:
    wanted = {0: "0 B", 999: "999 B", 1500: "1.5 kB", 894_463: "894 kB", 999_600: "1.0 MB", 2.1e9: "2.1 GB"}
    for size, text in wanted.items():
        assert size_text(size) == text


# ── how it looks ────────────────────────────────────────────────────────────────────────────────────────────

HOME = Path("/home/ada/.local/share/lenstui/lenses")
FIT = {
    "method": "closed form, then KL",
    "preset": "quick",
    "steps": 60,
    "tokens": 47_104,
    "seconds": 16.2,
    "seed": 0,
    "data": ["stories.parquet"],
    "held_out_kl": [3.1, 2.4, 1.8, 1.2, 0.6, 0.2],
    "logit_lens_kl": [10.2, 6.3, 4.4, 3.0, 1.4, 0.5],
    "time": "2026-01-15T12:00:30+00:00",
    "versions": {"lenstui": "0.1.0", "torch": "2.9.0", "transformers": "5.0.0"},
}


def listed(
    name: str, match: Match, *, made_for: str | None, fit: Any = FIT, in_use: bool = False
) -> ListedLens:
    config = {"base_model_name_or_path": made_for}
    return ListedLens(LensCard(HOME / name, config, fit, 6, 128, 402_133, 1.7684784e9), match, in_use)


LISTED = (
    listed("quick-1.pt", Match.WEIGHTS, made_for=MODEL.name, in_use=True),
    listed("from-the-library", Match.SHAPE, made_for=None, fit={}),
    listed("before-the-fine-tuning-of-spring.pt", Match.OTHER_WEIGHTS, made_for="someone/pythia-14m-stories"),
    listed("large.pt", Match.NO, made_for="EleutherAI/pythia-70m"),
)


class StillLenses(Still):
    """The program without threads, for its list too."""

    def request_lens_list(self) -> None:
        pass

    def request_translators(self, path: Path | None) -> None:
        pass


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[LenstuiApp]:
    monkeypatch.setattr(constants, "COLOR_SYSTEM", "truecolor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield StillLenses(Start(prompt="The trees are green and the sky is"))
    time.tzset()


async def list_them(
    pilot: Pilot[None], lenses: tuple[ListedLens, ...], left_out: tuple[str, ...] = ()
) -> None:
    await show(pilot)
    await pilot.press("o")
    pilot.app.screen.post_message(LensesListed(lenses, left_out))
    await pilot.pause()
    for row in range(1, 6):
        size = TranslatorSize(row, 32.5 / row, 120.0 + row, (18.25 / row, 7.5, 0.0051))
        pilot.app.screen.post_message(TranslatorMeasured(HOME / "quick-1.pt", size))
    await pilot.pause(0.2)


@pytest.mark.parametrize("size", SIZES)
def test_lenses(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def listing(pilot: Pilot[None]) -> None:
        await list_them(pilot, LISTED, ("half.pt",))

    assert snap_compare(still, terminal_size=size, run_before=listing)


@pytest.mark.parametrize("size", SIZES)
def test_no_lenses(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def listing(pilot: Pilot[None]) -> None:
        await list_them(pilot, ())

    assert snap_compare(still, terminal_size=size, run_before=listing)


@pytest.mark.parametrize("size", SIZES)
def test_picker(still: LenstuiApp, snap_compare: Any, size: tuple[int, int], tmp_path: Path) -> None:
    place = tmp_path / "lenses"
    (place / "library").mkdir(parents=True)
    (place / "quick-1.pt").write_bytes(b"0" * 1234)
    for path in (place / "library", place / "quick-1.pt", place, tmp_path):
        os.utime(path, (1.7684784e9, 1.7684784e9))

    async def saving(pilot: Pilot[None]) -> None:
        from textual_fspicker.parts import CurrentDirectory

        await list_them(pilot, LISTED)
        await pilot.app.push_screen(SaveLens(place, "quick-1"))
        await pilot.pause(0.3)
        pilot.app.screen.query_one(CurrentDirectory).current_directory = HOME
        pilot.app.screen.query_one(Input).focus()
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=saving)


@pytest.mark.parametrize("size", [(80, 24)])
def test_question(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def asking(pilot: Pilot[None]) -> None:
        await list_them(pilot, LISTED)
        await pilot.app.push_screen(Question("replace it?", f"{HOME}/quick-1.pt exists. Replace it?"))
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=asking)


@given(st.floats(0, allow_infinity=False, width=32))
def test_a_size_leaves_a_gap_before_it_and_is_right(number: float) -> None:
    text = _number(number)
    assert len(text) <= 7
    assert float(text) == pytest.approx(number, rel=0.005 if number >= 1e-9 else 0.05, abs=1e-45)
