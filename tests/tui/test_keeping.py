"""K on every screen that has something to keep: what is in the notebook then, and what is said."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.export.figures import page
from lenstui.export.notebook import KeptView, read_notebook
from lenstui.support.errors import LensError
from lenstui.support.paths import notebook
from lenstui.tui.app import LenstuiApp
from lenstui.tui.why.screen import Why
from tests.programs.calls import status
from tests.tui.pilots import evaluation_pilot, prompt_sets_pilot, scan_pilot, trace_pilot
from tests.tui.pilots.beside_pilot import OTHER, put_beside
from tests.tui.pilots.export_pilot import choose, hint, write
from tests.tui.pilots.looking import said, until
from tests.tui.pilots.prompt_sets_pilot import file

__all__ = ["file"]

SIZE = (160, 45)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was kept before."""
    for kind in ("STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


def kept() -> list[KeptView]:
    return list(read_notebook(notebook()).views.values())


async def keep(app: LenstuiApp, pilot: Pilot[None]) -> KeptView:
    """Press K, and wait until it is said that the view is kept; the view."""
    app.clear_notifications()
    before = len(kept())
    await pilot.press("K")
    await until(pilot, lambda: "Kept: " in said(app))
    views = kept()
    assert len(views) == before + 1
    count = "1 view" if len(views) == 1 else f"{len(views)} views"
    assert said(app) == f"Kept: {count}. lenstui report -o notes.html"
    return views[-1]


def check_command(view: KeptView, capsys: pytest.CaptureFixture[str]) -> None:
    """The command in the Markdown prints that Markdown."""
    (command,) = re.findall("```sh\n(.*)\n```\n", view.markdown)
    capsys.readouterr()
    assert status(*shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == view.markdown


async def test_readout_why_and_trace(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        readout = await keep(app, pilot)
        await pilot.press("v")
        other = await keep(app, pilot)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, Why) and app.screen._found is not None)
        why = await keep(app, pilot)
        await pilot.press("escape")
        trace_pilot.fill(await trace_pilot.ask_for_trace(app, pilot), "Hello, Joe")
        await trace_pilot.start(app, pilot)
        trace = await keep(app, pilot)
    kinds = ["readout", "readout", "why", "causal trace"]
    assert [view.kind for view in kept()] == kinds
    assert {view.subject for view in kept()} == {"Hello, you"}
    assert "**logit lens** · probability" in readout.markdown
    assert "**logit lens** · entropy" in other.markdown
    assert "**how the logit grew" in why.markdown
    assert "recovered by patching the residual stream" in trace.markdown
    for view in (readout, other, why, trace):
        assert view.figure.startswith("<?xml")
        assert view.caption and view.caption in view.figure
        check_command(view, capsys)


async def test_an_evaluation(opened: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "dogs.txt"
    text.write_text("\n\n".join(f"The {i}th dog ran after {i * i} cats." for i in range(20)))
    async with opened(size=SIZE) as (app, pilot):
        dialog = await evaluation_pilot.ask_for_evaluation(app, pilot)
        evaluation_pilot.fill(dialog, data=str(text), tokens="128", block="32")
        await pilot.press("enter")
        await evaluation_pilot.evaluated(app, pilot)
        view = await keep(app, pilot)
    assert (view.kind, view.subject) == ("evaluation", "dogs.txt")
    assert view.figure.startswith("<?xml")
    check_command(view, capsys)


async def test_a_prompt_set(opened: Any, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(size=SIZE) as (app, pilot):
        await prompt_sets_pilot.go(app, pilot, file)
        view = await keep(app, pilot)
    assert (view.kind, view.subject) == ("prompt set", str(file))
    assert view.figure.startswith("<?xml")
    check_command(view, capsys)


async def test_what_a_scan_has_found(
    opened: Any, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, folder = tmp_path / "story.txt", tmp_path / "records"
    text.write_text("\n\n".join(f"Number {i} went for a walk." for i in range(9)))
    model = ("--model", tiny_model, "--lens", tiny_model / "lens.pt", "--device", "cpu")
    assert status("scan", folder, "--data", text, *model, "--seq-len", 16) == 0
    async with opened(size=SIZE) as (app, pilot):
        screen = await scan_pilot.open_folder(app, pilot, folder)
        await scan_pilot.searched(screen, pilot)
        view = await keep(app, pilot)
    assert (view.kind, view.subject, view.figure) == ("error analysis", "records", "")
    check_command(view, capsys)


async def test_without_matplotlib_it_is_kept_without_a_figure(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise LensError("Figures need matplotlib.")

    monkeypatch.setattr(page, "check_library", missing)
    async with opened() as (app, pilot):
        await pilot.press("K")
        await until(pilot, lambda: "Kept: 1 view." in said(app))
        assert said(app).endswith("\nWithout a figure: Figures need matplotlib.")
    (view,) = kept()
    assert (view.figure, view.caption) == ("", "")
    assert "**logit lens**" in view.markdown


async def test_sides_of_other_prompts_are_not_kept(opened: Any) -> None:
    async with opened(size=SIZE) as (app, pilot):
        await put_beside(app, pilot, OTHER)
        app.explore.grids[0].focus()
        await pilot.press("K")
        await until(pilot, lambda: "A kept view is of one prompt" in said(app))
    assert kept() == []


async def test_the_report_is_in_the_list_of_exports(opened: Any, tmp_path: Path) -> None:
    async with opened("Hello, you", size=SIZE) as (app, pilot):
        dialog = await choose(pilot, "report")
        name = dialog.query_one(Input)
        assert Path(name.value).name == "lab-notebook.html"
        await pilot.press("enter")
        await until(pilot, lambda: "Nothing is kept yet" in hint(app))
        await pilot.press("escape")
        await keep(app, pilot)
        app.clear_notifications()
        for ending in ("html", "md"):
            await write(app, pilot, "report", tmp_path / f"notes.{ending}")
    for ending in ("html", "md"):
        status("report", "-o", tmp_path / f"same.{ending}")
        by_screen, by_command = (tmp_path / f"{name}.{ending}" for name in ("notes", "same"))
        text = by_command.read_text("utf-8").replace("same_figures", "notes_figures")
        assert by_screen.read_text("utf-8") == text
    assert len(list((tmp_path / "notes_figures").iterdir())) == 1


async def test_a_folder_that_cannot_be_written_is_said(opened: Any) -> None:
    async with opened() as (app, pilot):
        notebook().parent.mkdir(parents=True, exist_ok=True)
        notebook().write_text("a file has its name")
        await pilot.press("K")
        await until(pilot, lambda: "cannot be written" in said(app))


async def test_a_hostile_prompt_is_text_in_the_report(opened: Any, tmp_path: Path) -> None:
    async with opened("<b>`|`</b>\x1b[3", size=SIZE) as (app, pilot):
        await keep(app, pilot)
    for name in ("notes.html", "notes.md"):
        assert status("report", "-o", tmp_path / name) == 0
        text = (tmp_path / name).read_text("utf-8")
        assert "<b>" not in re.sub("(?s)```sh.*?```|<pre>.*?</pre>", "", text)
        assert "\x1b" not in text
