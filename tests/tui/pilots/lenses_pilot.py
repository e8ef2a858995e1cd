"""A folder of lenses on disk, and the screen that lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lenstui.lens.card import TranslatorSize
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.sheet import LensSheet, Sheet
from lenstui.tui.lenses.table import LensTable
from lenstui.tui.shared.status_bar import StatusBar
from tests.tui.pilots.looking import until

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
    return dict(sheet.sizes) if isinstance(sheet, Sheet) else {}


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
