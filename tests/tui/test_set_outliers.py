"""Outlier scores on the screen of prompt sets, key by key, on a real (tiny) model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from lenstui.cli import main
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.shared.file_dialogs import OpenPrompts
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.prompt_sets_pilot import chosen, go, notes, numbers, said, screen_of, table

pytest.importorskip("sklearn", reason="the extra `outliers` is not installed")

REFERENCE = ["the cat sat", "a dog ran to me", "my house is red", "see the big mat", "it is on", "then I ran"]
CASES = [
    ("the dog sat", "plain"),
    ("see my cat", "plain"),
    ("x", "plain"),  # one token: no scores
    ("~~~~@@@@####", "odd"),
    ("ran to the house", "plain"),
    ("@#@#~~", "odd"),
    ("the mat", None),
]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.txt"
    path.write_text("".join(f"{line}\n" for line in REFERENCE))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps({"prompt": text, "group": group}) + "\n" for text, group in CASES))
    return path


async def score(app: LenstuiApp, pilot: Pilot[None], typed: object) -> None:
    """Name a reference, as a user does, and wait for what comes of it."""
    screen = screen_of(app)
    before = screen.state.asked
    await pilot.press("o")
    line = screen.query_one("#set-reference", Input)
    await until(pilot, lambda: app.focused is line)
    line.value = str(typed)
    await pilot.press("enter")
    await until(pilot, lambda: screen.state.asked is not before and not screen.state.is_opening)
    await until(pilot, lambda: not screen.state.is_reading)
    await pilot.pause()


def areas(app: LenstuiApp) -> str:
    shown = screen_of(app).query_one("#set-areas", Static)
    return str(shown.render()) if shown.display else ""


async def test_scores_are_columns_to_sort_by(opened: Any, file: Path, reference: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        assert not screen_of(app).query_one("#set-reference-line").display
        assert areas(app) == ""
        await score(app, pilot, reference)
        assert app.focused is table(app)
        lines = [case.line for case in screen_of(app).state.run.cases]  # type: ignore[union-attr]
        assert [len(line.scores) for line in lines] == [3, 3, 0, 3, 3, 3, 3]
        await pilot.press(*"ccccccc")
        frame = screen_of(app).query_one("#set-list")
        for place, method in enumerate(("Mahalanobis distance", "isolation forest", "local outlier factor")):
            assert str(frame.border_subtitle) == f"by {method}"
            of_method = {line.number: line.scores[place] for line in lines if line.scores}
            assert numbers(app) == [*sorted(of_method, key=lambda number: of_method[number]), 3]
            await pilot.press("r")
            assert numbers(app) == [*sorted(of_method, key=lambda number: -of_method[number]), 3]
            await pilot.press("r", "c")
        await pilot.press(*"C" * 10)
        assert str(frame.border_subtitle) == "by number"
        heads = table(app).render_line(0).text
        assert heads.index("mahal.") < heads.index("forest") < heads.index("LOF")
        shown = table(app)._case(lines[0], 118).text.split()[-5:-2]
        assert [float(text) for text in shown] == pytest.approx(lines[0].scores, rel=0.01)
        assert table(app)._case(lines[2], 118).text.split()[-5:-2] == ["–"] * 3
        await pilot.press("down", "down")
        case = str(screen_of(app).query_one("#set-case", Static).render())
        assert "no scores: It is one token, behind which none comes." in case


async def test_areas_follow_the_group_and_the_normal_one(opened: Any, file: Path, reference: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("n")
        assert "no outlier scores: o names the file" in notes(app)
        await score(app, pilot, reference)
        lines = [case.line for case in screen_of(app).state.run.cases]  # type: ignore[union-attr]
        scored = [line for line in lines if line.scores]
        odd, plain = ([line.scores[2] for line in scored if line.group == name] for name in ("odd", "plain"))
        pairs = sum(high > low for high in odd for low in plain) / len(odd) / len(plain)
        assert areas(app).startswith("AUROC of odd against plain: mahal. ")
        assert f"LOF {pairs:.2f} (" in areas(app)
        assert (
            "mean over columns of log p(next token), by row · fitted on 6 prompts of reference.txt"
            in areas(app)
        )
        await pilot.press("down", "down", "down", "n")
        assert chosen(app) == 4
        assert areas(app).startswith("AUROC of plain against odd: ")
        assert f"LOF {1 - pairs:.2f} (" in areas(app)
        await pilot.press("Y")
        await pilot.pause()
        assert {f"--outliers={reference}", "--normal=odd"} < set(shlex.split(app.clipboard))
        await pilot.press("end", "n")
        assert "This prompt is in no group." in notes(app)


async def write(app: LenstuiApp, pilot: Pilot[None], thing: str, path: Path) -> None:
    app.clear_notifications()
    await pilot.press("x")
    dialog = app.screen
    assert isinstance(dialog, ExportDialog)
    things = dialog.query_one(OptionList)
    while things.highlighted_option is None or things.highlighted_option.id != thing:
        await pilot.press("down")
    dialog.query_one(Input).value = str(path)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, PromptSets) and path.exists())


async def test_files_are_those_of_the_command(
    opened: Any, file: Path, reference: Path, tmp_path: Path
) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await score(app, pilot, reference)
        await pilot.press("end", "up", "n")  # of the group "odd"
        for form in ("csv", "parquet", "json", "md"):
            await write(app, pilot, form, tmp_path / "screen" / f"set.{form}")
        await pilot.press("Y")
        await pilot.pause()
        words = shlex.split(app.clipboard)
    (tmp_path / "read").mkdir()
    at = words.index("--value")
    for form in ("csv", "parquet", "json", "md"):
        own = words[1:at] + (["--value", words[at + 1]] if form == "md" else [])
        assert main([*own, "-o", str(tmp_path / "read" / f"set.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"set.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form
    content = json.loads((tmp_path / "read" / "set.json").read_text())
    assert content["auroc"][0]["normal"] == "odd"


async def test_a_reference_of_no_use_is_told_and_nothing_is_lost(
    opened: Any, file: Path, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "two.txt").write_text("the cat\na dog\n")
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        before = screen_of(app).state.run
        await score(app, pilot, tmp_path / "none.txt")
        assert "There is no file" in said(app)
        assert screen_of(app).state.run is before
        assert app.focused is screen_of(app).query_one("#set-reference")
        await pilot.press("escape")
        await score(app, pilot, tmp_path / "two.txt")
        assert "No outlier scores: The reference needs 3 prompts with a trajectory" in notes(app)
        assert len(table(app).shown) == 7
        assert areas(app) == ""
        await pilot.press("Y")
        await pilot.pause()
        assert "--outliers" not in app.clipboard
        await score(app, pilot, reference)
        assert areas(app) != ""
        await pilot.press("o")
        line = screen_of(app).query_one("#set-reference", Input)
        await until(pilot, lambda: app.focused is line)
        line.value = "half typ"
        await pilot.press("escape")  # which leaves the reference as it is
        assert (line.value, app.focused) == (str(reference), table(app))
        await score(app, pilot, "")
        assert areas(app) == ""
        assert not screen_of(app).query_one("#set-reference-line").display
        assert all(case.line.scores == () for case in table(app).shown)


async def test_a_reference_is_chosen_from_a_folder(opened: Any, file: Path, reference: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, OpenPrompts))
        box = app.screen.query_one(Input)
        box.focus()
        box.value = str(reference)
        await pilot.press("enter")
        await until(pilot, lambda: areas(app) and not screen_of(app).state.is_reading)
        assert screen_of(app).query_one("#set-reference", Input).value.endswith("reference.txt")


async def test_no_scores_under_edits(opened: Any, file: Path, reference: Path) -> None:
    async with opened() as (app, pilot):
        await pilot.press("W")
        serial = app.explore.state.serial
        app.screen.query_one(Input).value = "ablate 1.mlp"
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))
        await pilot.press("escape")
        await go(app, pilot, file)
        screen = screen_of(app)
        before = screen.state.asked
        await pilot.press("o")
        await until(pilot, lambda: app.focused is screen.query_one("#set-reference"))
        screen.query_one("#set-reference", Input).value = str(reference)
        await pilot.press("enter")
        await until(pilot, lambda: "Outlier scores are of clean runs" in said(app))
        assert screen.state.asked is before
        assert len(table(app).shown) == 7
