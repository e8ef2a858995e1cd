"""What is pasted into the prompt is in it once, with stand-ins for what a terminal must not get."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import ComposeResult

from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.still_input import StillInput
from lenstui.tui.shared.type_ahead import TypeAheadApp


class Box(TypeAheadApp):
    def compose(self) -> ComposeResult:
        yield PromptBox("so: ")


@pytest.mark.parametrize(
    ("pasted", "prompt", "shown"),
    [
        ("Hello, you", "so: Hello, you", "so: Hello, you"),
        ("one\r\ntwo\rthree\n", "so: one\ntwo\nthree\n", "so: one\ntwo\nthree\n"),
        ("a\x1b[31mb", "so: a\x1b[31mb", "so: a␛[31mb"),
    ],
)
async def test_it_is_there_once(pasted: str, prompt: str, shown: str) -> None:
    async with Box().run_test() as pilot:
        box = pilot.app.query_one(PromptBox)
        box.focus()
        await pilot.pause()
        pilot.app.post_message(events.Paste(pasted))
        await pilot.pause()
        assert box.prompt == prompt
        assert box.text == shown


async def test_it_takes_the_place_of_what_is_selected() -> None:
    async with Box().run_test() as pilot:
        box = pilot.app.query_one(PromptBox)
        box.focus()
        box.select_all()
        await pilot.pause()
        pilot.app.post_message(events.Paste("new"))
        await pilot.pause()
        assert box.prompt == "new"


async def test_ten_megabytes_are_refused_in_a_line_and_the_prompt_stays() -> None:
    async with Box().run_test(notifications=True) as pilot:
        box = pilot.app.query_one(PromptBox)
        box.focus()
        await pilot.pause()
        pilot.app.post_message(events.Paste("x" * 10_000_000))
        await pilot.pause()
        assert box.prompt == "so: "
        (said,) = pilot.app._notifications
        assert said.message.startswith("The text has 10,000,000 characters")
        await pilot.press("a")
        assert box.prompt == "so: a"


async def test_ten_megabytes_leave_a_line_as_it_was() -> None:
    class Line(TypeAheadApp):
        def compose(self) -> ComposeResult:
            yield StillInput("so: ")

    async with Line().run_test() as pilot:
        line = pilot.app.query_one(StillInput)
        line.focus()
        line.cursor_position = 4
        pilot.app.post_message(events.Paste("x" * 10_000_000))
        await pilot.pause()
        assert line.value == "so: "
