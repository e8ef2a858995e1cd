"""Out of a prompt set: into Explore and into files; and the parts of its table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList

from lenstui.cli import main
from lenstui.jobs.set_messages import CaseLine, ReadCase
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.prompt_sets.screen import PromptSets
from lenstui.tui.prompt_sets.table import end
from lenstui.tui.prompt_sets.view import SetView, sort_columns
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.prompt_sets_pilot import CASES, file, go, table
from tests.tui.pilots.still import show, still

__all__ = ["file", "still"]


# ── out of it ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_reads_the_prompt_in_explore(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.prompt == "Hello, you " and subtitle(app).endswith(" s"))
        await until(pilot, lambda: [pin.text for pin in app.explore.panel.pins] == ["q"])
        assert app.screen is app.explore
        await pilot.press("e")
        assert app.focused is table(app)
        await pilot.press("end", "enter")
        text = str(CASES[-1]["prompt"])
        await until(pilot, lambda: app.explore.state.prompt == text and subtitle(app).endswith(" s"))
        explore = app.explore
        assert [pin.text for pin in explore.panel.pins] == ["!"]  # in place of the other
        assert explore.panes.cursor.column == len(explore.state.columns) - 1
        assert app.focused in explore.grids
        line = table(app).shown[-1].line
        await until(pilot, lambda: explore.grids[0].cells.pin_ranks[-1, -1].tolist() == [line.target_rank])
        await pilot.press("i", "up")  # it is among the prompts that were read before
        assert app.explore.query_one("PromptBox").prompt == "Hello, you "


async def test_files_are_those_of_the_command(opened: Any, file: Path, tmp_path: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("v", "r", "g")  # which change nothing about the files but the plotted value
        for form in ("csv", "parquet", "json", "svg", "pdf", "md"):
            await write(app, pilot, form, tmp_path / "screen" / f"set.{form}")
        await write(app, pilot, "command", tmp_path / "screen" / "set.sh")
        await pilot.press("Y")
        await pilot.pause()
        command = app.clipboard
    assert (tmp_path / "screen" / "set.sh").read_text() == f"{command}\n"
    words = shlex.split(command)
    assert words[:3] == ["lenstui", "read", f"--prompts={file}"]
    at = words.index("--value")
    assert words[at : at + 4] == ["--value", "rank", "--format", "table"]
    (tmp_path / "read").mkdir()
    for form in ("csv", "parquet", "json", "svg", "pdf", "md"):
        own = words[1:at] + (["--value", "rank"] if form in {"svg", "pdf", "md"} else [])
        assert main([*own, "-o", str(tmp_path / "read" / f"set.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"set.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def write(app: LenstuiApp, pilot: Pilot[None], thing: str, path: Path) -> None:
    app.clear_notifications()
    await pilot.press("x")
    dialog = app.screen
    assert isinstance(dialog, ExportDialog)
    things = dialog.query_one(OptionList)
    while things.highlighted_option is None or things.highlighted_option.id != thing:
        await pilot.press("down")
    if thing == "command":
        await pilot.press("f")
    dialog.query_one(Input).value = str(path)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, PromptSets) and path.exists())


async def test_a_file_that_cannot_be_written_is_told(opened: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "only.jsonl").write_text('{"prompt": ""}\n')
    async with opened() as (app, pilot):
        await go(app, pilot, tmp_path / "only.jsonl")
        await pilot.press("x")
        app.screen.query_one(Input).value = str(tmp_path / "out.csv")
        await pilot.press("enter")
        said = app.screen.query_one("#export-said", Label)
        await until(pilot, lambda: "No prompt could be read" in str(said.render()))
        assert not (tmp_path / "out.csv").exists()


# ── its parts ───────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=40), st.integers(2, 30))
def test_the_end_of_a_prompt_fills_its_column(text: str, width: int) -> None:
    from lenstui.support.printable import printable

    text = printable(text)
    shown = end(text, width)
    assert cell_len(shown) == width
    if cell_len(text) > width:
        assert shown.startswith("…")
        assert text.endswith(shown[1:].rstrip(" ")) or text.rstrip(" ").endswith(shown[1:].rstrip(" "))
    else:
        assert shown.rstrip(" ") == text.rstrip(" ")


LINES = st.lists(
    st.tuples(st.text("ab ", max_size=4), st.sampled_from([None, "g", "h"]), st.none() | st.integers(0, 3)),
    max_size=12,
)


@settings(deadline=None)
@given(LINES, st.booleans(), st.sampled_from([None, "g"]), st.sampled_from(["", "a", "b A"]))
def test_a_view_shows_all_that_it_should_in_order(
    lines: list[tuple[str, str | None, int | None]], descending: bool, group: str | None, words: str
) -> None:
    cases: list[Any] = [
        ReadCase(CaseLine(number, prompt, of, target_rank=rank), None)  # type: ignore[arg-type]
        for number, (prompt, of, rank) in enumerate(lines)
    ]
    shown = SetView(6, descending, words, group).of(cases, sort_columns(["logit"]))
    wanted = [
        number
        for number, (prompt, of, _) in enumerate(lines)
        if group in {None, of} and all(word in f"{prompt} {of or ''}" for word in words.lower().split())
    ]
    assert sorted(case.line.number for case in shown) == wanted
    ranks = [case.line.target_rank for case in shown]
    has = [rank for rank in ranks if rank is not None]
    assert ranks[: len(has)] == sorted(has, reverse=descending)


async def test_the_keys_are_listed(still: LenstuiApp) -> None:
    async with still.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("escape", "question_mark", *"prompts")
        await pilot.pause()
        options = still.screen.query_one(OptionList)
        lines = [str(options.get_option_at_index(i).prompt) for i in range(options.option_count)]
        assert any(line.startswith("e ") and "Read a file of prompts" in line for line in lines)
        assert sum(line.rstrip().endswith("prompts") for line in lines) > 15
        commands = {command.title for command in still.get_system_commands(still.screen)}
    assert "Prompt set" in commands
