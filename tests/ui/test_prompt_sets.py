"""Prompt sets, key by key, on a real (tiny) model, real files and real threads."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList, Static

from lenstui.cli import main
from lenstui.start import Start
from lenstui.ui.app import LenstuiApp
from lenstui.ui.screens.lens_picker import OpenPrompts
from lenstui.ui.screens.prompt_sets import PromptSets
from lenstui.ui.screens.take_away import TakeAway
from lenstui.ui.set_messages import CaseLine, ReadCase, SetEnd
from lenstui.ui.set_view import SORT_COLUMNS, SetView
from lenstui.ui.set_work import OTHER_MODEL
from lenstui.ui.widgets.set_plot import SetPlot
from lenstui.ui.widgets.set_table import SetTable, end

from .conftest import subtitle, until
from .test_snapshots import show, still

__all__ = ["still"]

CASES = [
    {"prompt": "Hello, you", "target": "q", "group": "greetings"},
    {"prompt": "", "target": "a", "group": "none"},
    {"prompt": "one two", "group": "numbers"},
    {"prompt": "Good bye", "target": "z", "group": "greetings"},
    {"prompt": "x" * 70 + " end", "target": "!", "group": "numbers"},
]
READ = [case for case in CASES if case["prompt"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Five cases, of which one cannot be read, and a line that is none."""
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in [*CASES, ["no case"]]))
    return path


@pytest.fixture
def long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """More than is read while a test looks on, each case as slowly as by a large model."""

    def slowly(*args: Any, **options: Any) -> Iterator[Any]:
        for each in read_set(*args, **options):
            time.sleep(0.05)  # a thread that is always busy has the pilot wait for seconds
            yield each

    from lenstui.lens import set_readout

    read_set = set_readout.read_set
    monkeypatch.setattr(set_readout, "read_set", slowly)
    path = tmp_path / "long.txt"
    path.write_text("".join(f"prompt number {number} of many\tx\n" for number in range(5000)))
    return path


def screen_of(app: LenstuiApp) -> PromptSets:
    screen = app.explore.prompts
    assert screen is not None
    return screen


def notes(app: LenstuiApp) -> str:
    return "\n".join(str(note.message) for note in app._notifications)


def said(app: LenstuiApp) -> str:
    return str(screen_of(app).query_one("#set-said", Static).render())


def table(app: LenstuiApp) -> SetTable:
    return screen_of(app).query_one(SetTable)


def numbers(app: LenstuiApp) -> list[int]:
    """Of the lines that are shown."""
    return [case.line.number for case in table(app).shown]


def chosen(app: LenstuiApp) -> int:
    case = table(app).chosen
    assert case is not None
    return case.line.number


async def go(app: LenstuiApp, pilot: Pilot[None], path: Path | None = None) -> None:
    """Open the screen, and read a file unless there is none."""
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, PromptSets))
    if path is not None:
        await name(app, pilot, str(path))
        await until(pilot, lambda: screen_of(app).run and not screen_of(app).is_reading)


async def name(app: LenstuiApp, pilot: Pilot[None], typed: str) -> None:
    line = screen_of(app).query_one("#set-file", Input)
    line.focus()
    line.value = typed
    await pilot.press("enter")
    await pilot.pause()


def final_probs(folder: Path, prompt: str) -> Any:
    """The model's own distribution at the end of a prompt, by transformers alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(prompt, return_tensors="pt").input_ids[:, -64:]
    with torch.no_grad():
        return tokenizer, model(ids).logits[0, -1].double().softmax(-1).numpy()


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_reads_the_examples(opened: Any) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        line = app.screen.query_one("#set-file", Input)
        assert app.focused is line
        await pilot.press("slash", "question_mark")  # what is selected goes, and a slash is a letter
        assert line.value == "/?"
        await pilot.press("backspace", "backspace", "enter")
        await until(pilot, lambda: "50 prompts" in said(app))
        assert len(table(app).shown) == 50
        assert app.focused is table(app)
        assert screen_of(app).run.groups == ("facts", "grammar", "arithmetic", "code", "stories")  # type: ignore[union-attr]


async def test_the_numbers_are_those_of_the_model(opened: Any, file: Path, tiny_model: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        assert "5 prompts" in said(app)
        assert "1 failed · 1 line skipped" in said(app)
        lines = [case.line for case in table(app).shown]
        target_probs = []
        for line, case in zip(lines, CASES, strict=True):
            if not case["prompt"]:
                assert line.reason == "The prompt is empty."
                continue
            tokenizer, probs = final_probs(tiny_model, case["prompt"])
            assert line.final_prob == pytest.approx(probs.max(), rel=1e-4)
            if "target" not in case:
                assert (line.target, line.target_prob, line.target_rank) == ("", None, None)
                continue
            # The vocabulary has no token of a space and a letter: the letter alone is followed.
            token = tokenizer(case["target"]).input_ids[-1]
            assert line.target_prob == pytest.approx(probs[token], rel=1e-4)
            assert line.target_rank == (probs > probs[token]).sum()
            target_probs.append(probs[token])
        plot = app.screen.query_one(SetPlot)
        for lens in ("logit", "tuned"):  # the last row is the model's own
            mean, error = plot.curves[lens]
            assert mean[-1] == pytest.approx(np.mean(target_probs), rel=1e-4)
            assert error is not None
            assert error[-1] == pytest.approx(np.std(target_probs, ddof=1) / np.sqrt(3), rel=1e-3)
        assert "n = 3" in str(plot.border_title)


async def test_values_of_the_plot_follow_a_key(opened: Any, file: Path, tiny_model: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        plot = app.screen.query_one(SetPlot)
        seen = []
        for _ in range(5):
            seen.append(str(plot.border_title).partition(" · ")[0])
            await pilot.press("v")
        assert seen[0] == seen[4]
        assert len(set(seen)) == 4
        await pilot.press("V", "V")
        assert str(plot.border_title) == "mean KL from final, nats · n = 4"
        assert plot.curves["logit"][0][-1] == pytest.approx(0, abs=1e-6)
        await pilot.press("V")
        entropies = [-(p := final_probs(tiny_model, case["prompt"])[1]) @ np.log(p) for case in READ]
        assert plot.curves["tuned"][0][-1] == pytest.approx(np.mean(entropies), rel=1e-4)
        await pilot.press("V")
        ranks = [case.line.target_rank for case in table(app).shown if case.line.target_rank is not None]
        assert plot.curves["tuned"][0][-1] == np.median(ranks)


async def test_without_a_tuned_lens_there_is_one_column_less(opened: Any, file: Path) -> None:
    async with opened(lens=False) as (app, pilot):
        await go(app, pilot, file)
        assert [len(case.line.settles) for case in table(app).shown] == [1, 0, 1, 1, 1]
        assert set(app.screen.query_one(SetPlot).curves) == {"logit"}
        await pilot.press("C")
        assert screen_of(app).view.column == len(SORT_COLUMNS) - 2


# ── how it is shown ─────────────────────────────────────────────────────────────────────────────────────────


async def test_sorting_by_every_column(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        lines = [case.line for case in screen_of(app).run.cases]  # type: ignore[union-attr]
        wanted: list[Callable[[CaseLine], Any]] = [
            lambda line: line.number,
            lambda line: line.prompt,
            lambda line: line.final,
            lambda line: line.final_prob,
            lambda line: line.target,
            lambda line: line.target_prob,
            lambda line: line.target_rank,
            lambda line: line.settles[0],
            lambda line: line.settles[1],
        ]
        for column, key in enumerate(wanted):
            assert SORT_COLUMNS[column].name in str(screen_of(app).query_one("#set-list").border_subtitle)
            has_number = [
                line
                for line in lines
                if column < 2 or (line.settles and (line.target or column not in {4, 5, 6}))
            ]
            for reverse in (False, True):
                shown = [key(case.line) for case in table(app).shown[: len(has_number)]]
                assert shown == sorted(map(key, has_number), reverse=reverse), (column, reverse)
                await pilot.press("r")
            await pilot.press("c")
        assert screen_of(app).view == SetView()
        await pilot.press("C")
        assert screen_of(app).view.column == len(SORT_COLUMNS) - 1


async def test_what_is_highlighted_stays_so(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("down", "down", "j", "k")
        assert chosen(app) == 3
        await pilot.press("r")
        assert (chosen(app), numbers(app)) == (3, [5, 4, 3, 2, 1])
        await pilot.press("home")
        assert chosen(app) == 5
        await pilot.press("end")
        assert chosen(app) == 1
        await pilot.press("pageup")
        assert chosen(app) == 5
        await pilot.press("space")
        assert chosen(app) == 1


async def test_filter_and_groups(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("slash", *"GREET")
        assert numbers(app) == [1, 4]
        assert "2 shown" in said(app)
        await pilot.press("space", *"bye", "enter")
        assert numbers(app) == [4]
        assert app.focused is table(app)
        assert "n = 1" in str(app.screen.query_one(SetPlot).border_title)
        await pilot.press("escape")
        assert numbers(app) == [1, 2, 3, 4, 5]
        await pilot.press("slash", *"zzzz", "enter", "enter")
        assert "No prompt is shown" in notes(app)
        await pilot.press("slash", "escape")
        assert numbers(app) == [1, 2, 3, 4, 5]
        assert isinstance(app.screen, PromptSets)
        seen = []
        for _ in range(4):
            await pilot.press("g")
            seen.append(numbers(app))
        assert seen == [[1, 4], [2], [3, 5], [1, 2, 3, 4, 5]]
        await pilot.press("G")
        assert numbers(app) == [3, 5]
        mean = app.screen.query_one(SetPlot).curves["logit"][0][-1]
        assert mean == pytest.approx(table(app).shown[1].line.target_prob)  # the other has no target


async def test_where_it_is_small(opened: Any, file: Path) -> None:
    async with opened(size=(80, 24)) as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("down", "enter")
        assert "The prompt is empty." in notes(app)  # and cannot be opened
        assert "The prompt is empty." in table(app).render_line(2).text
        assert "The prompt is empty." in str(app.screen.query_one("#set-case", Static).render())
        await pilot.press("up")
        assert "Hello, you" in str(app.screen.query_one("#set-case", Static).render())
        plot = app.screen.query_one(SetPlot)
        assert not plot.display
        await pilot.press("v")
        assert "tab shows the plot" in notes(app)
        await pilot.press("tab")
        assert plot.display
        assert not app.screen.query_one("#set-list").display
        await pilot.press("tab")
        assert table(app).size.height
        assert app.focused is table(app)
        await pilot.resize_terminal(120, 40)
        await pilot.press("tab")
        assert "Both are shown" in notes(app)
        assert plot.size.height
        assert table(app).size.height


# ── while it is read ────────────────────────────────────────────────────────────────────────────────────────


async def test_prompts_are_answered_meanwhile_and_a_key_stops(opened: Any, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 3)
        assert "s stops" in said(app)
        await pilot.press("x")
        assert "still being read" in notes(app)
        await pilot.press("e")
        assert app.screen is app.explore
        await pilot.press("i", "end", *"!?", "enter")
        await until(pilot, lambda: app.explore.columns[-1:] == ("?",) and subtitle(app).endswith(" s"))
        assert screen_of(app).is_reading
        await pilot.press("e", "s")
        await until(pilot, lambda: not screen_of(app).is_reading)
        done = len(screen_of(app).run.cases)  # type: ignore[union-attr]
        assert 3 < done < 5000
        assert f"stopped at {done} of 5000" in said(app)
        assert table(app).shown[-1].line.number == done
        await pilot.press("s")
        assert "Nothing is being read." in notes(app)


async def test_escape_stops_first_and_leaves_then(opened: Any, file: Path, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 0)
        await pilot.press("escape")
        await until(pilot, lambda: not screen_of(app).is_reading)
        assert isinstance(app.screen, PromptSets)
        await pilot.press("escape")
        assert app.screen is app.explore
        await pilot.press("e")
        assert len(table(app).shown) > 0
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: screen_of(app).is_reading)
        await name(app, pilot, str(file))  # takes its place
        await until(pilot, lambda: not screen_of(app).is_reading)
        assert numbers(app) == [1, 2, 3, 4, 5]


async def test_another_model_stops_it(opened: Any, long_file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot)
        await name(app, pilot, str(long_file))
        await until(pilot, lambda: len(table(app).shown) > 0)
        app.load(app.start)
        await until(pilot, lambda: not screen_of(app).is_reading)
        assert OTHER_MODEL in said(app)
        run = screen_of(app).run
        assert run is not None
        assert run.end is SetEnd.STOPPED
        await until(pilot, lambda: run.is_stale)


async def test_browsed_while_a_lens_trains(opened: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (app, pilot):
        monkeypatch.setattr(type(app.training), "is_busy", property(lambda training: True))
        await go(app, pilot)
        await pilot.press("tab", "b")
        await until(pilot, lambda: isinstance(app.screen, OpenPrompts))
        box = app.screen.query_one(Input)
        box.focus()
        box.value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "5 prompts" in said(app))
        assert "through the one in use" in notes(app)


async def test_a_bad_file_is_told_and_nothing_is_lost(opened: Any, file: Path, tmp_path: Path) -> None:
    bad = {
        tmp_path / "none.txt": "There is no file",
        tmp_path: "is a folder",
        _written(tmp_path / "empty.txt", b"\n \n"): "There is no prompt in",
        _written(tmp_path / "bad.parquet", b"PAR1 no more"): "bad.parquet",
        _written(tmp_path / "bad.jsonl", b'{"promt": 1}\n'): "No line of",
        tmp_path / ("n" * 300): "No file can have this name",
    }
    async with opened(size=(240, 40)) as (app, pilot):
        await go(app, pilot, file)
        for path, complaint in bad.items():
            await name(app, pilot, str(path))
            await until(pilot, lambda complaint=complaint: complaint in said(app))
            assert screen_of(app).query_one("#set-said").has_class("-wrong")
            assert numbers(app) == [1, 2, 3, 4, 5]
            assert app.focused is app.screen.query_one("#set-file")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_no_model_and_nothing_read_are_said() -> None:
    app = LenstuiApp(Start(prompt="x", model="/no/such/folder"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, PromptSets))
        await pilot.press("enter")
        assert "No model is open" in said(app)
        await pilot.press("tab")
        for key in ("c", "C", "r", "g", "G", "x", "Y", "enter", "s"):
            app.clear_notifications()
            await pilot.press(key)
            await pilot.pause()
            assert notes(app).startswith("Nothing is"), key
        await pilot.press("escape")
        assert app.screen is app.explore


# ── out of it ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_reads_the_prompt_in_explore(opened: Any, file: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore._prompt == "Hello, you" and subtitle(app).endswith(" s"))
        await until(pilot, lambda: [pin.text for pin in app.explore.panel.pins] == ["q"])
        assert app.screen is app.explore
        await pilot.press("e")
        assert app.focused is table(app)
        await pilot.press("end", "enter")
        text = str(CASES[-1]["prompt"])
        await until(pilot, lambda: app.explore._prompt == text and subtitle(app).endswith(" s"))
        explore = app.explore
        assert [pin.text for pin in explore.panel.pins] == ["!"]  # in place of the other
        assert explore.panes.cursor.column == len(explore.columns) - 1
        assert app.focused in explore.grids.values()
        line = table(app).shown[-1].line
        await until(
            pilot, lambda: explore.grids["logit"].cells.pin_ranks[-1, -1].tolist() == [line.target_rank]
        )
        await pilot.press("i", "up")  # it is among the prompts that were read before
        assert app.explore.query_one("PromptBox").prompt == "Hello, you"  # type: ignore[attr-defined]


async def test_files_are_those_of_the_command(opened: Any, file: Path, tmp_path: Path) -> None:
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        await pilot.press("v", "r", "g")  # which change nothing about the files but the plotted value
        for form in ("csv", "parquet", "json", "md"):
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
    for form in ("csv", "parquet", "json", "md"):
        own = words[1:at] + (["--value", "rank"] if form == "md" else [])
        assert main([*own, "-o", str(tmp_path / "read" / f"set.{form}")]) == 0
        by_screen, by_command = (tmp_path / where / f"set.{form}" for where in ("screen", "read"))
        assert by_screen.read_bytes() == by_command.read_bytes(), form


async def write(app: LenstuiApp, pilot: Pilot[None], thing: str, path: Path) -> None:
    app.clear_notifications()
    await pilot.press("x")
    dialog = app.screen
    assert isinstance(dialog, TakeAway)
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
        said = app.screen.query_one("#takeaway-said", Label)
        await until(pilot, lambda: "No prompt could be read" in str(said.render()))
        assert not (tmp_path / "out.csv").exists()


# ── its parts ───────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=40), st.integers(2, 30))
def test_the_end_of_a_prompt_fills_its_column(text: str, width: int) -> None:
    from lenstui.export.printable import printable

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
    shown = SetView(6, descending, words, group).of(cases)
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
    commands = {command.title for command in still.get_system_commands(still.explore)}
    assert "Prompt set" in commands
