"""Faults while the screen is used: memory that runs out, folders that are gone. The screen stays usable."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Session
from lenstui.tui.why.screen import Why
from tests.hostile.writers import contents
from tests.programs.permissions import read_only
from tests.tui.pilots.export_pilot import choose, hint, write
from tests.tui.pilots.looking import said, subtitle, until

SAID = "CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 79.11 GiB"
REFUSED = "cannot be written: Permission denied."
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


async def test_folders_that_cannot_be_written(
    opened: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for kind in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(kept / kind))
    for name in ("exports", "lenses", "notebook", "scans"):
        (kept / "DATA" / "lenstui" / name).mkdir(parents=True)
    (kept / "STATE" / "lenstui").mkdir(parents=True)
    history, session = (kept / "STATE" / "lenstui" / name for name in ("history.json", "session.json"))
    History(history).add("before")
    before = contents(kept)
    start = Start(prompt="Hello, you", model=str(tiny_model), lenses=(tiny_model / "lens.pt",))
    with read_only(kept):
        app = LenstuiApp(start, depth=1, history=History(history), session=Session(session))
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: subtitle(app).endswith(" s"))
            await pilot.press("i", *" so", "enter")
            await until(pilot, lambda: subtitle(app).startswith("13 tokens"))
            await pilot.press("escape", "K")
            await until(pilot, lambda: REFUSED in said(app))
            dialog = await choose(pilot, "csv")
            await pilot.press("enter")
            await until(pilot, lambda: "may not be written" in hint(app) or REFUSED in shown(app))
            dialog.query_one(Input).value = str(elsewhere / "a.csv")
            await pilot.press("enter")
            await until(pilot, (elsewhere / "a.csv").exists)
            await pilot.press("i", *" it", "enter")
            await until(pilot, lambda: subtitle(app).startswith("16 tokens"))
            await pilot.press("escape", "q")
        assert f"session.json {REFUSED}" in str(app.last_words)
    assert contents(kept) == before
    assert History(history).prompts == ("before",)


@pytest.mark.parametrize("jump", [-1e9, 1e9], ids=["back", "forward"])
async def test_the_clock_jumps(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    clock = time.time
    async with opened("Hello, you") as (app, pilot):
        monkeypatch.setattr(time, "time", lambda: clock() + jump)
        await pilot.press("i", *" so", "enter")
        await until(pilot, lambda: subtitle(app).startswith("13 tokens") and subtitle(app).endswith(" s"))
        assert float(subtitle(app).rpartition("· ")[2].removesuffix(" s")) < 60
        await pilot.press("escape", "K")
        await until(pilot, lambda: "ept" in said(app))
        await write(app, pilot, "csv", tmp_path / "a.csv")
        assert not app._exception


async def test_the_files_of_an_open_model_and_lens_are_replaced(
    opened: Any, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    async with opened("Hello, you", folder=folder) as (app, pilot):
        await write(app, pilot, "csv", tmp_path / "before.csv")
        for file in folder.iterdir():
            (new := tmp_path / "new").write_bytes(b"no such thing")
            new.replace(file)
        await pilot.press("i", *" so", "enter")
        await until(pilot, lambda: subtitle(app).startswith("13 tokens"))
        await pilot.press("i", *["backspace"] * 3, "enter")
        await until(pilot, lambda: subtitle(app).startswith("10 tokens"))
        await pilot.press("escape")
        await write(app, pilot, "csv", tmp_path / "after.csv")
    assert (tmp_path / "after.csv").read_text() == (tmp_path / "before.csv").read_text()
