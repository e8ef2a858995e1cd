"""The form that a fit begins with, key by key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Collapsible, Input

from lenstui.jobs.fit_messages import Phase
from lenstui.tui.shared.choice import Choice
from lenstui.tui.training.form import TrainForm
from lenstui.tui.training.screen import Train
from tests.tui.pilots.fit_pilot import (
    DOCUMENTS,
    few_stories,
    folder,
    open_form,
    set_fields,
    static,
    status,
    text,
)
from tests.tui.pilots.looking import until

__all__ = ["few_stories", "folder", "text"]


async def test_the_text_is_counted(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, steps=100)
        await pilot.press("tab")
        await until(pilot, lambda: f"{DOCUMENTS} documents" in static(app, "#size"))
        shown = static(app, "#size")
        assert "seen" in shown
        assert "100 steps" in shown
        set_fields(app, text, steps=1, max_samples=7)
        await pilot.press("tab")
        await until(pilot, lambda: "7 documents" in static(app, "#size"))


async def test_the_counting_is_said_and_given_up_for_another(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenstui.jobs.fit_text import FitTextJobs

    release, read = threading.Event(), FitTextJobs._read

    def slowly(self: FitTextJobs, request: Any, model: Any, stop: Callable[[], bool]) -> Any:
        while request.documents.max_samples == 9 and not stop():
            assert not release.wait(0.01)
        return read(self, request, model, stop)

    monkeypatch.setattr(FitTextJobs, "_read", slowly)
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, max_samples=9)
        await pilot.press("tab")
        await until(pilot, lambda: "counting" in static(app, "#size"))
        set_fields(app, text, max_samples=8)
        await pilot.press("tab")
        await until(pilot, lambda: "8 documents" in static(app, "#size"))


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("steps", "many", "whole number"),
        ("lr", "-1", "not negative"),
        ("seq_len", "1", "whole number from 2"),
        ("held_out", "2", "between 0 and 1"),
        ("epochs", "0", "whole number from 1"),
        ("seed", "1.5", "whole number"),
    ],
)
async def test_nonsense_is_told_beside_its_field(
    opened: Any, folder: Path, text: Path, field: str, typed: str, said: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, text, **{field: typed})
        app.screen.query_one("#start").focus()
        await pilot.press("enter")
        await until(pilot, lambda: said in static(app, f"#line-{field} .note"))
        assert not app.screen.query_one(Collapsible).collapsed
        assert status(app).phase is Phase.NONE


@pytest.mark.parametrize(
    ("data", "said"), [("none.txt", "There is no file none.txt"), ("'half", "quote"), ("/", "is a folder")]
)
async def test_files_that_are_none_are_told_under_theirs(
    opened: Any, folder: Path, data: str, said: str
) -> None:
    async with opened("Hello, you") as (app, pilot):
        await open_form(app, pilot, data)
        await pilot.press("tab")
        await until(pilot, lambda: said in static(app, "#size"))


async def test_another_preset_refills_what_nobody_edited(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        form = app.screen.query_one(TrainForm)
        form._line("seq_len").text = "48"
        form.query_one("#preset").focus()
        await pilot.press("right", "right", "right")
        assert form.query_one("#preset", Choice).value == "adam"
        await until(pilot, lambda: "small scripts" in static(app, "#about"))
        wanted = {"steps": "500", "lr": "0.001", "optimizer": "adam", "seq_len": "48"}
        assert {name: form._line(name).text for name in wanted} == wanted
        await pilot.press("left")
        await until(pilot, lambda: form._line("optimizer").text == "sgd")
        assert form._line("seq_len").text == "48"


async def test_browsing_adds_a_file(
    opened: Any, folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text.parent)
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t", "b")
        await until(pilot, lambda: not isinstance(app.screen, Train))
        app.screen.query_one(Input).value = str(text)
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Train))
        await until(pilot, lambda: f"{DOCUMENTS} documents" in static(app, "#size"))
        assert app.screen.query_one("#data", Input).value == str(text)


async def test_the_keyboard_alone_goes_through_the_form(opened: Any, folder: Path, text: Path) -> None:
    async with opened("Hello, you") as (app, pilot):
        await pilot.press("escape", "t")
        assert app.focused is app.screen.query_one("#start")
        await pilot.press("shift+tab")
        assert app.focused is app.screen.query_one("#preset")
        await pilot.press("up")
        assert app.focused is app.screen.query_one("#data")
        await pilot.press(*str(text)[:3])
        assert app.screen.query_one("#data", Input).value == str(text)[:3]
        app.screen.query_one("#data", Input).value = str(text)
        await pilot.press("enter")
        assert app.focused is app.screen.query_one("#start")
        await pilot.press("down", "enter")
        assert not app.screen.query_one(Collapsible).collapsed
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#field-steps")
        await pilot.press("escape")
        assert app.screen is app.explore
