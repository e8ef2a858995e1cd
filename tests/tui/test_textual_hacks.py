"""What `lenstui.tui.shared.textual_hacks` makes of Textual, apart from any screen of lenstui."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual.app import App, ComposeResult
from textual.drivers import web_driver
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Key
from textual.widgets import Static

from lenstui.support import paths
from lenstui.tui.browser_driver import BrowserDriver
from lenstui.tui.shared.textual_hacks import (
    CarefulParser,
    LoggingApp,
    Piece,
    PieceScreen,
    key_events,
    reading_anything,
)
from lenstui.tui.shared.type_ahead import TypeAheadApp


class Sized(PieceScreen[None]):
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (40, "-high")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        self.take_size()
        self.at_once = set(self.classes)
        yield Static("text")

    def written(self, pieces: Iterable[Piece], console: Console) -> str:
        return "".join(f"{x},{y}:{strip.text}\n" for x, y, strip in pieces)


class Recorder(App[None]):
    """Keeps what a screen would send."""

    def on_mount(self) -> None:
        self.sent = ""
        self.push_screen(Sized())

    def _display(self, screen: object, renderable: object) -> None:
        if isinstance(self.screen, Sized) and screen is self.screen and renderable is not None:
            self.sent += renderable.render_segments(self.console)  # type: ignore[attr-defined]
        super()._display(screen, renderable)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "classes"),
    [((80, 24), {"-narrow", "-low"}), ((120, 24), {"-wide", "-low"}), ((120, 50), {"-wide", "-high"})],
)
async def test_a_screen_has_the_classes_of_its_size_at_once(size: tuple[int, int], classes: set[str]) -> None:
    """And they are those that Textual gives it later."""
    app = Recorder()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, Sized)
        assert app.screen.at_once == classes
        assert classes <= set(app.screen.classes)


async def test_a_screen_writes_its_pieces_itself() -> None:
    app = Recorder()
    async with app.run_test(size=(20, 3)) as pilot:
        await pilot.pause()
        assert f"0,0:{'text':20}\n" in app.sent
        app.sent = ""
        app.screen.query_one(Static).update("other")
        await pilot.pause()
        assert app.sent == f"0,0:{'other':20}\n"


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("", []),
        ("q?", ["q", "question_mark"]),
        ("é\r\x1b[A\x1b", ["é", "enter", "up", "escape"]),
    ],
)
def test_keys_from_before_the_program_runs(typed: str, keys: list[str]) -> None:
    assert [event.key for event in key_events(typed) if isinstance(event, Key)] == keys


@pytest.mark.parametrize("later", ["", "cd"])
async def test_they_come_first(later: str) -> None:
    class Typed(TypeAheadApp):
        def on_mount(self) -> None:
            self.keys = ""
            for character in later:
                self.post_message(Key(character, character))

        def on_key(self, event: Key) -> None:
            self.keys += event.key

    app = Typed()
    app.type_first("ab")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.keys == f"ab{later}"


async def test_a_driver_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    class FailingDriver(HeadlessDriver):
        def run_input_thread(self) -> None:
            raise ZeroDivisionError

    app = LoggingApp()
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            driver: Any = reading_anything(FailingDriver)(app)
            driver.run_input_thread()
            await pilot.pause()
    assert app.failure is not None
    assert "ZeroDivisionError" in app.failure
    assert "ZeroDivisionError" in paths.log().read_text()


def test_a_driver_for_a_browser_reads_as_carefully() -> None:
    assert issubclass(reading_anything(BrowserDriver), BrowserDriver)
    assert vars(web_driver)["XTermParser"] is CarefulParser
    assert vars(web_driver)["getincrementaldecoder"]("utf-8")().decode(b"a\xff") == "a\ufffd"


def test_a_driver_without_a_terminal_stays_as_it_is() -> None:
    assert reading_anything(HeadlessDriver) is HeadlessDriver
