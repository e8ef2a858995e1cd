"""The dialog that asks how the prompt is read: what it says, refuses, and looks like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lenstui.model.rows import parse_rows
from lenstui.readout.reading import Reading
from lenstui.tui.app import LenstuiApp
from tests.tui.pilots.looking import do, keys_of, said, subtitle, until
from tests.tui.pilots.reread_pilot import TEXT, ask, cells, check, ids_of, mark, probs, wrong
from tests.tui.pilots.still import SIZES, Silent, show, still

__all__ = ["still"]


@pytest.mark.parametrize(
    ("rows", "words", "why"),
    [
        ("x", {}, "'x' is no row"),
        ("7", {}, "There is no row 7: this model has rows emb, 0 … 2."),
        ("2-0", {}, "runs downwards"),
        (None, {"chat": "on"}, "This tokenizer has no chat template."),
    ],
)
async def test_what_cannot_be_is_told_and_the_dialog_stays(
    opened: Any, rows: str | None, words: dict[str, str], why: str
) -> None:
    async with opened(TEXT) as (app, pilot):
        serial = app.explore.state.serial
        screen = await ask(pilot, rows, words=words)
        assert why in wrong(screen)
        assert app.screen is screen
        if rows is not None:
            screen.query_one("#reading-rows", Input).focus()
            await pilot.press("0")
            await pilot.pause()
            assert wrong(screen) == ""
        await pilot.press("escape")
        assert (app.explore.state.serial, app.explore.reading) == (serial, Reading())


async def test_a_model_without_a_final_norm_says_so(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        model = app.explore.model
        app.explore.state.model = replace(model, allowed=replace(model.allowed, final_norm=False, bos=False))
        for words, why in (({"final_norm": "off"}, "no final norm"), ({"bos": "with"}, "no BOS token")):
            assert why in wrong(await ask(pilot, words=words))
            await pilot.press("escape")


async def test_escape_and_no_change_read_nothing(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        serial = app.explore.state.serial
        await ask(pilot, "0", words={"final_norm": "off"}, apply=False)
        await pilot.press("escape")
        assert app.screen is app.explore
        await ask(pilot)
        await pilot.pause()
        assert (app.explore.state.serial, app.explore.reading, mark(app)) == (serial, Reading(), "prompt")


async def test_nothing_read_yet_is_read_so_later(opened: Any, tiny_model: Path) -> None:
    async with opened("") as (app, pilot):
        await pilot.press("escape")
        await do(app, "reading")
        await pilot.press("ctrl+u", "0", "enter")
        assert mark(app) == "prompt · rows 0"
        await pilot.press("i", "h", "i", "enter")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        check(cells(app), probs(tiny_model, ids_of(tiny_model, "hi"))[[1, 3]])


async def test_without_a_model_it_says_so(still: LenstuiApp) -> None:
    async with still.run_test() as pilot:
        await pilot.press("escape", "b")
        await pilot.pause()
        assert "No model is open yet" in said(still)


async def test_nothing_is_appended_while_the_columns_are_not_known(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        app.program.prompts = Silent()
        await ask(pilot, "0")
        for key in ("a", "G", "backspace"):
            await pilot.press(key)
            await pilot.pause()
            assert "is being read anew" in said(app)
            app.clear_notifications()


async def test_its_key_is_listed_and_in_the_palette(opened: Any) -> None:
    async with opened(TEXT) as (app, _):
        assert "b" in {key.keys for key in keys_of(app) if not key.place}
        assert "Reading" in {command.title for command in app.get_system_commands(app.screen)}


# how it looks


@pytest.mark.parametrize("size", SIZES)
def test_how_it_asks(still: LenstuiApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        still.explore.prompt_line.show_reading(Reading(parse_rows("emb,0-last"), final_norm=False, bos=False))
        await pilot.press("b", "down", "right", "down")
        await pilot.pause()

    assert snap_compare(still, terminal_size=size, run_before=look)


def test_how_a_wrong_row_is_told(still: LenstuiApp, snap_compare: Any) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        await pilot.press("b", "ctrl+u", "9", "enter")
        await pilot.pause()

    assert snap_compare(still, terminal_size=(80, 24), run_before=look)
