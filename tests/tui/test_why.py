"""Why on screen: the map, the list, what a head read, another token, and taking a part away."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from lenstui.export.names import typed_path
from lenstui.jobs.export_things import WHY_FILES
from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.why.part_map import PartMap, contribution_text
from lenstui.tui.why.screen import TAKEN_AWAY, Why
from tests.programs.calls import status
from tests.tui.pilots.beside_pilot import ONE, titles
from tests.tui.pilots.looking import said, subtitle, until


async def open_why(app: LenstuiApp, pilot: Pilot[None]) -> Why:
    await pilot.press("w")
    await until(pilot, lambda: isinstance(app.screen, Why) and bool(lines(app)))
    assert isinstance(app.screen, Why)
    return app.screen


def lines(app: LenstuiApp) -> list[list[str]]:
    """The list of parts: a name and a number each."""
    options = app.screen.query_one(OptionList)
    prompts = (str(options.get_option_at_index(i).prompt) for i in range(options.option_count))
    return [prompt.replace(TAKEN_AWAY, " ").split()[:2] for prompt in prompts]


def text(app: LenstuiApp, name: str) -> str:
    return str(app.screen.query_one(f"#why-{name}", Static).render())


def number(shown: str) -> float:
    return float(shown.replace("−", "-"))


def logit_less_the_mean(folder: Path, *, minus: int | None = None) -> tuple[int, float]:
    """The likeliest token behind the prompt, and its logit less the mean over the tokenizer's tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer))
    with torch.no_grad():
        logits = model(**tokenizer(ONE, return_tensors="pt")).logits[0, -1]
    token = int(logits.argmax())
    less = logits[: len(tokenizer)].mean() if minus is None else logits[minus]
    return token, float(logits[token] - less)


async def test_the_parts_add_up_to_the_logit(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_why(app, pilot)
        _, logit = logit_less_the_mean(tiny_model)
        parts = {name: number(shown) for name, shown in lines(app)}
        heads = {f"{block}.{head}" for block in range(3) for head in range(4)}
        assert set(parts) == {"emb", "bias", *heads, *(f"{block}.mlp" for block in range(3))}
        assert sum(parts.values()) == pytest.approx(logit, abs=0.005 * len(parts))
        sizes = [abs(size) for size in parts.values()]
        assert sizes == sorted(sizes, reverse=True)
        assert f"{logit:.3f}".replace("-", "−") in text(app, "title")
        growth = text(app, "growth").split("\n")[1].split()
        assert growth[0] == "2"
        assert number(growth[1]) == pytest.approx(logit, abs=0.006) == number(growth[2])
        await pilot.press("w")
        assert app.screen is app.explore


async def test_map_and_list_show_the_same_part(opened: Any) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        screen = await open_why(app, pilot)
        names = [name for name, _ in lines(app)]
        place = next(i for i, name in enumerate(names) if name == "1.2")
        screen.query_one(OptionList).highlighted = place
        await pilot.pause()
        assert str(screen.query_one("#why-sources").border_title).startswith("1.2 · ")
        screen.query_one(PartMap).focus()
        await pilot.press("up")
        assert str(screen.query_one("#why-sources").border_title).startswith("2.2 · ")
        assert names[screen.query_one(OptionList).highlighted or 0] == "2.2"
        await pilot.press("end")
        assert "An MLP reads its own column alone." in text(app, "sources")
        await pilot.press("home")
        assert "All of its attention heads together." in text(app, "sources")


async def test_a_head_shows_what_it_read(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        screen = await open_why(app, pilot)
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation="eager")
        tokenizer = AutoTokenizer.from_pretrained(tiny_model)
        with torch.no_grad():
            weights = model(**tokenizer(ONE, return_tensors="pt"), output_attentions=True).attentions
        names = [name for name, _ in lines(app)]
        screen.query_one(OptionList).highlighted = names.index("0.1")
        await pilot.pause()
        shown = [line.split() for line in text(app, "sources").strip().split("\n")[1:]]
        found = {int(line[0]): float(line[-3] if "█" in line[-1] else line[-2]) for line in shown}
        assert len(found) == len(ONE)
        for column, weight in found.items():
            assert weight == pytest.approx(float(weights[0][0, 1, -1, column]), abs=6e-4)


async def test_another_token_and_one_minus_another(opened: Any, tiny_model: Path) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_why(app, pilot)
        from transformers import AutoTokenizer

        (other,) = AutoTokenizer.from_pretrained(tiny_model)("z", add_special_tokens=False)["input_ids"]
        await pilot.press("minus")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        app.screen.query_one(Input).value = "z"
        await pilot.press("enter")
        _, logit = logit_less_the_mean(tiny_model, minus=other)
        await until(pilot, lambda: isinstance(app.screen, Why) and 'minus "z"' in text(app, "title"))
        assert f"{logit:.3f}".replace("-", "−") in text(app, "title")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, AskWord))
        app.screen.query_one(Input).value = "z"
        await pilot.press("enter")
        await until(pilot, lambda: "less itself is nothing" in text(app, "message"))


async def test_a_part_is_taken_away_and_restored(opened: Any) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_why(app, pilot)
        name = next(name for name, _ in lines(app) if name not in {"emb", "bias"})
        place = [part for part, _ in lines(app)].index(name)
        app.screen.query_one(OptionList).highlighted = place
        await pilot.press("a")
        await until(pilot, lambda: any(side.edits for side in app.explore.sides))
        assert str(app.screen.query_one(OptionList).highlighted_option.prompt).startswith(f"✗{name}")
        await pilot.press("escape")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert titles(app)[1] == f"logit lens · ablate {name} · probability"
        await pilot.press("tab")
        await open_why(app, pilot)  # the edited run: what is taken away adds nothing
        assert dict(lines(app))[name] in {"0.00", "+0.00", "−0.00"}
        app.screen.query_one(OptionList).highlighted = [part for part, _ in lines(app)].index(name)
        await pilot.press("a")
        await until(pilot, lambda: not any(side.edits for side in app.explore.sides))


async def test_another_token_after_a_part_was_taken_away(opened: Any) -> None:
    """The edits have the prompt read anew behind the screen, which goes on explaining its cell."""
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await open_why(app, pilot)
        before = text(app, "title")
        await pilot.press("down", "a")
        await until(pilot, lambda: subtitle(app).endswith(" s") and len(app.explore.sides) == 2)
        for word in ("z", ""):
            await pilot.press("t")
            await until(pilot, lambda: isinstance(app.screen, AskWord))
            app.screen.query_one(Input).value = word
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, Why))
            if word:
                await until(pilot, lambda: '"z" minus' in text(app, "title"))
        await until(pilot, lambda: text(app, "title") == before)  # the clean run, as at first


async def test_the_command_says_the_same(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await pilot.press("tab", "down")
        await open_why(app, pilot)
        parts = dict(lines(app))
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui why"))
        command = shlex.split(app.clipboard)
    capsys.readouterr()
    assert status(*command[1:], "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["lens"] == "tuned"
    again = {each["name"]: each["contribution"] for each in content["heads"]}
    assert {name: contribution_text(size) for name, size in again.items()}.items() <= parts.items()


@pytest.mark.parametrize("is_edited", [False, True])
async def test_a_file_is_what_the_command_line_writes(
    opened: Any, is_edited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        if is_edited:
            screen = await open_why(app, pilot)
            screen.query_one(OptionList).highlighted = [name for name, _ in lines(app)].index("0.mlp")
            await pilot.press("a")
            await until(pilot, lambda: any(side.edits for side in app.explore.sides))
            await pilot.press("escape")
            await until(pilot, lambda: subtitle(app).endswith(" s"))
            await pilot.press("tab")
        await pilot.press("down")
        screen = await open_why(app, pilot)
        screen.query_one(OptionList).highlighted = [name for name, _ in lines(app)].index("1.2")
        await pilot.pause()
        files = [await exported(app, pilot, thing.key) for thing in WHY_FILES]
        files.append(await exported(app, pilot, "table", to_file=True))
        script = await exported(app, pilot, "command", to_file=True)
    assert [file.suffix for file in files] == [".html", ".svg", ".pdf", ".md", ".csv", ".json", ".txt"]
    assert files[0].name.startswith("tiny-Hello-you-why")
    command = shlex.split(script.read_text(encoding="utf-8"))
    assert command[:2] == ["lenstui", "why"] and "--head=1.2" in command
    assert ("--edit" in command) == is_edited
    forms = ["html", "svg", "pdf", "md", "csv", "json", "table"]
    monkeypatch.chdir(tmp_path)
    for form, file in zip(forms, files, strict=True):
        assert status(*command[1:], "--format", form, "-o", file.name) == 0
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), form


async def exported(app: LenstuiApp, pilot: Pilot[None], key: str, *, to_file: bool = False) -> Path:
    """Export a thing from Why to the file that is proposed."""
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, ExportDialog))
    things = app.screen.query_one(OptionList)
    things.highlighted = things.get_option_index(key)
    await pilot.press(*(["f"] if to_file else []))
    await pilot.pause()
    path = typed_path(app.screen.query_one(Input).value)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Why))
    assert path.is_file()
    return path


async def test_the_table_and_the_command_are_copied(opened: Any) -> None:
    async with opened(ONE, size=(80, 24)) as (app, pilot):
        await open_why(app, pilot)
        for key, begins in (("table", "row 2 · column 9"), ("command", "lenstui why -p ")):
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ExportDialog))
            things = app.screen.query_one(OptionList)
            things.highlighted = things.get_option_index(key)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, Why))
            assert app.clipboard.startswith(begins), app.clipboard[:80]


async def test_a_row_of_a_part_is_refused(opened: Any) -> None:
    async with opened(ONE, size=(160, 40)) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: "2.mlp" in app.explore.state.rows and subtitle(app).endswith(" s"))
        await pilot.press("down", "w")
        assert "not taken apart any more" in said(app)
        assert app.screen is app.explore


@pytest.mark.parametrize(
    ("size", "shown"),
    [(1.234, "+1.23"), (-0.004, "0.00"), (-12.34, "−12.3"), (123.4, "+123"), (0.0, "0.00"), (9.996, "+10.0")],
)
def test_contributions_take_five_cells(size: float, shown: str) -> None:
    assert contribution_text(size) == shown
    assert len(contribution_text(float(np.float32(size)))) <= 5
