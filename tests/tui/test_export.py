"""Take it away as a file that `lenstui read` would write, by keyboard alone."""

from __future__ import annotations

import shlex
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label

from lenstui.cli import main
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.model.rows import parse_rows
from lenstui.readout.reading import Reading
from lenstui.support import paths
from lenstui.tui.app import LenstuiApp
from lenstui.tui.shared.question import Question
from tests.tui.pilots.export_pilot import TEXT, choose, copy, hint, pin, taken, without_value, write
from tests.tui.pilots.looking import do, said, subtitle, until
from tests.tui.pilots.still import SIZES, show, still

__all__ = ["still"]


async def test_files_are_those_of_the_command(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT, bos=True) as (app, pilot):
        await pilot.press("v", "v")
        await pin(app, pilot, "q", "z")
        for form in ("html", "svg", "pdf", "md", "csv", "parquet", "json"):
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        await pilot.press("Y")
        await until(pilot, lambda: said(app))
        words = shlex.split(app.clipboard)
    assert words[:4] == ["lenstui", "read", "-p", TEXT]
    assert "--bos" in words
    value = words.index("--value")
    assert words[value + 1] == "kl"
    for form in ("html", "svg", "pdf", "md", "csv", "parquet", "json"):
        own = [word for word in words[1:] if form not in FIGURE_FORMS or not word.startswith("--pin=")]
        own = without_value(own) if form in {"csv", "parquet", "json"} else own
        (tmp_path / "read").mkdir(exist_ok=True)
        assert main([*own, "-o", str(tmp_path / "read" / f"readout.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"readout.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def test_a_figure_of_two_pins_is_that_of_the_command(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin(app, pilot, "z", "q")
        await pilot.press("V")
        assert app.explore.panes.value.key == "pin-diff"
        for form in ("svg", "pdf", "md"):
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        await pilot.press("Y")
        await until(pilot, lambda: said(app))
        words = shlex.split(app.clipboard)
    assert "logit of z − q" in (tmp_path / "screen" / "readout.svg").read_text("utf-8")
    (tmp_path / "read").mkdir()
    for form in ("svg", "pdf", "md"):
        assert main([*words[1:], "-o", str(tmp_path / "read" / f"readout.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"readout.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def test_a_pin_plot_is_that_of_the_command_in_its_caption(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin(app, pilot, "z", "q")
        await pilot.press("left", "left")
        column = app.explore.panes.cursor.column
        for form in FIGURE_FORMS:
            await write(app, pilot, f"pins-{form}", tmp_path / "screen" / f"pins.{form}")
    assert 0 < column < len(TEXT) - 1
    (tmp_path / "read").mkdir()
    monkeypatch.chdir(tmp_path / "read")
    for form in FIGURE_FORMS:
        by_screen = tmp_path / "screen" / f"pins.{form}"
        caption = Path(f"{by_screen}.txt").read_text("utf-8")
        command = shlex.split(caption.splitlines()[-1].removeprefix("Made by: lenstui "))
        assert command[command.index("--column") + 1] == str(column)
        assert main(command) == 0
        assert Path(by_screen.name).read_bytes() == by_screen.read_bytes(), form
        assert Path(f"{by_screen.name}.txt").read_text("utf-8") == caption


async def test_the_difference_is_taken_away_as_the_command_writes_it(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await pilot.press("v", "v", "d")
        for form in ("html", "svg", "pdf", "md", "json"):
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        await pilot.press("Y")
        await until(pilot, lambda: said(app))
        words = shlex.split(app.clipboard)
    assert words.count("--diff") == 1
    assert (tmp_path / "screen" / "readout.md").read_text("utf-8").startswith("**tuned lens − logit lens**")
    (tmp_path / "read").mkdir()
    for form in ("html", "svg", "pdf", "md"):
        assert main([*words[1:], "-o", str(tmp_path / "read" / f"readout.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"readout.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def test_how_it_is_read_goes_along(opened: Any, tmp_path: Path) -> None:
    reading = Reading(parse_rows("emb,1,last"), final_norm=False, bos=True)
    async with opened(TEXT) as (app, pilot):
        app.explore.parts.options.change(reading)
        await until(pilot, lambda: len(app.explore.state.rows) == 3 and subtitle(app).endswith(" s"))
        column = (await copy(app, pilot, "column")).splitlines()
        assert [line.partition("\t")[0] for line in column] == ["row", "emb", "1", "2"]
        await pilot.press("d")
        table = (await copy(app, pilot, "table")).splitlines()
        assert [line.split("\t")[:2] for line in table[1:]] == [
            ["tuned lens − logit lens", row] for row in ("2", "1", "emb")
        ]
        for form in ("html", "json", "md", "svg"):
            await write(app, pilot, form, tmp_path / "screen" / f"readout.{form}")
        await pilot.press("Y")
        await until(pilot, lambda: "lenstui read" in said(app))
        words = shlex.split(app.clipboard)
    assert {"--rows=emb,1,last", "--no-final-norm", "--bos", "--diff"} <= set(words)
    (tmp_path / "read").mkdir()
    for form in ("html", "json", "md", "svg"):
        own = words[1:] if form != "json" else without_value([w for w in words[1:] if w != "--diff"])
        assert main([*own, "-o", str(tmp_path / "read" / f"readout.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"readout.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def test_a_proposed_name_is_new_and_can_be_edited(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        dialog = await choose(pilot, "md")
        name = dialog.query_one(Input)
        assert Path(name.value).expanduser() == paths.exports() / "tiny-Hello-you.md"
        await pilot.press("enter")
        await taken(app, pilot)
        assert (paths.exports() / "tiny-Hello-you.md").read_text().startswith("**logit lens**")

        dialog = await choose(pilot, "md")
        assert Path(dialog.query_one(Input).value).name == "tiny-Hello-you-2.md"
        await pilot.press("tab", *["backspace"] * 6, *"x.md", "up")  # moving in the list keeps what was typed
        assert Path(dialog.query_one(Input).value).name == "tiny-Hello-yox.pdf"
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_the_home_folder_and_a_missing_ending(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with opened(TEXT) as (app, pilot):
        dialog = await choose(pilot, "csv")
        dialog.query_one(Input).value = "~/new/folder/cells"
        await pilot.press("enter")
        assert "~/new/folder/cells.csv" in await taken(app, pilot)
    assert (tmp_path / "new/folder/cells.csv").read_text().startswith("lens,row,")


async def test_a_file_that_is_there_is_overwritten_after_a_yes_alone(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("mine")
    async with opened(TEXT) as (app, pilot):
        dialog = await choose(pilot, "json")
        dialog.query_one(Input).value = str(path)
        await pilot.press("enter")
        assert isinstance(app.screen, Question)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is dialog)
        assert path.read_text() == "mine"
        await pilot.press("enter", "y")
        await taken(app, pilot)
        assert path.read_text().startswith('{"version": 1')


async def test_what_cannot_be_written_is_told_and_the_dialog_stays(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with opened(TEXT) as (app, pilot):
        dialog = await choose(pilot, "json")
        for typed, reason in (
            (str(tmp_path / "file" / "x.json"), "cannot be made"),
            (str(tmp_path), "is a folder"),
            (f"{tmp_path}/{'x' * 300}.json", "File name too long"),
            ("~nobody-of-that-name/x.json", "home directory"),
            ("   ", "Type the name"),
        ):
            dialog.query_one(Input).value = typed
            await pilot.press("enter")
            await until(pilot, lambda reason=reason: reason in hint(app))
            assert app.screen is dialog
        dialog.query_one(Input).value = "/dev/full"
        await pilot.press("enter")
        await until(pilot, lambda: "is a device or a pipe" in hint(app))
        assert app.screen is dialog
        dialog.query_one(Input).value = str(tmp_path / "x.json")
        await pilot.press("enter")
        await taken(app, pilot)
        assert (tmp_path / "x.json").exists()


async def test_escape_gives_up_and_the_screen_never_waits(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        go_on = threading.Event()
        app.program.thread.submit("held up", lambda stop: go_on.wait(60) and None)
        dialog = await choose(pilot, "json")
        dialog.query_one(Input).value = str(tmp_path / "x.json")
        await pilot.press("enter")
        assert "working" in hint(app)
        await pilot.press("enter", "escape")  # a second time does nothing
        assert app.screen is app.explore
        go_on.set()
        await pilot.press("Y")  # behind it on the same thread
        await until(pilot, lambda: "Copied: lenstui read" in said(app))
        assert not (tmp_path / "x.json").exists()


async def test_the_picture_of_the_screen_is_of_explore(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        await write(app, pilot, "screen", tmp_path / "screen.svg")
        root = ET.parse(tmp_path / "screen.svg").getroot()
        texts = "".join(root.itertext()).replace("\xa0", " ")
        assert "logit lens" in texts
        assert "to the clipboard" not in texts  # the dialog
        (desc,) = root.findall("{http://www.w3.org/2000/svg}desc")
        assert "prompt: Hello, you\n" in str(desc.text)
        assert "tuned lens lens.pt" in str(desc.text)


async def test_a_lens_that_is_in_no_file_has_no_command(
    opened: Any, tmp_path: Path, tiny_model: Path
) -> None:
    from lenstui.lens import open_lens

    async with opened(TEXT) as (app, pilot):
        lens = open_lens(tiny_model / "lens.pt")
        app.program.model_jobs.put_to_use(lens, tmp_path / "deleted.pt")
        await until(pilot, lambda: app.explore.state.serial == 2 and subtitle(app).endswith(" s"))
        await pilot.press("Y")
        await until(pilot, lambda: "the lens in use is in no file" in said(app))
        app.program.model_jobs.prefer(lambda: lens, lambda: "tuned")
        await pilot.press("Y")
        await until(pilot, lambda: "still in training" in said(app))
        await write(app, pilot, "md", tmp_path / "x.md")
        text = (tmp_path / "x.md").read_text("utf-8")
        assert "tuned lens `in training`" in text
        assert "```sh\n# No command reads the same: the lens is still in training" in text
        assert app.clipboard == ""


async def test_what_is_not_read_yet(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        for grid in app.explore.grids:
            assert grid.cells is not None
            grid.cells.top_ids[:, 3] = grid.cells.top1[:, 3] = -1
        dialog = await choose(pilot, "table")
        await pilot.press("enter")
        assert "Column 3 is not read yet" in hint(app)
        assert app.screen is dialog
        await pilot.press("escape", *["left"] * 6, "y")
        assert "not read yet" in said(app)


async def test_nothing_to_take_away(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        still.explore.panes.focus_grid()
        for key in ("export", "keep", "copy_cell", "copy_command"):
            still.clear_notifications()
            still.explore.grids[0].focus()
            await pilot.pause()
            await do(still, key)
            await pilot.pause()
            assert "No prompt yet" in said(still)
            assert still.screen is still.explore


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(
    still: LenstuiApp, snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.delenv("STY", raising=False)
    monkeypatch.setattr(paths, "exports", lambda: Path("/home/me/.local/share/lenstui/exports"))
    monkeypatch.setenv("HOME", "/home/me")

    async def asked(pilot: Pilot[None]) -> None:
        await show(pilot)
        await choose(pilot, "html" if size[0] > 100 else "cell")
        await pilot.pause(0.2)

    assert snap_compare(still, terminal_size=size, run_before=asked)


async def test_a_name_too_long_to_be_shown_says_so(still: LenstuiApp) -> None:
    async with still.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await pilot.press("escape")
        dialog = await choose(pilot, "csv")
        to = dialog.query_one("#export-to", Label)
        dialog.query_one(Input).value = f"/{'folder/' * 20}x.csv"
        await until(pilot, lambda: str(to.render()) == "file …")
        dialog.query_one(Input).value = "x.csv"
        await until(pilot, lambda: str(to.render()) == "file")
