"""What is pasted into the prompt is in it once, with stand-ins for what a terminal must not get."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import ComposeResult

from lenstui.tui.explore.prompt_box import PromptBox
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
