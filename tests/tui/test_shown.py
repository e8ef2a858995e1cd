"""Text that is not ours on the screen: no escape sequence and no markup, wherever it comes from."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.color import Color
from textual.strip import Strip
from textual.widgets import Static

from lenstui.jobs.messages import LensSaved, LoadStage
from lenstui.lens import TunedLens, save_lens
from lenstui.tui.app import LenstuiApp
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.shared.shown import Unprintable, shown
from tests.programs.forked import Forked
from tests.programs.pty_terminal import Terminal
from tests.tui.pilots.lenses_pilot import TEXT, folder, go, hint, notes, status
from tests.tui.pilots.looking import until

__all__ = ["folder"]

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e [red]not red[/red]"
VISIBLE = r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202e [red]not red[/red]"
BLACK = Color(0, 0, 0)


def painted(app: LenstuiApp) -> str:
    """All cells of the screen on top."""
    screen = app.screen
    return "\n".join(
        "".join(strip.text for strip in line) if not isinstance(line, Strip) else line.text
        for line in screen._compositor.render_strips()
    )


def harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@given(st.text())
def test_a_shown_text_is_printable_and_unstyled(text: str) -> None:
    assert harmless(shown(text).plain)
    assert shown(text).spans == []


@given(st.lists(st.text()))
def test_what_is_painted_is_printable_and_keeps_its_cells(texts: list[str]) -> None:
    segments = Unprintable().apply([Segment(text) for text in texts], BLACK)
    assert [cell_len(segment.text) for segment in segments] == [cell_len(text) for text in texts]
    for segment in segments:
        assert segment.text.replace("\xa0", " ").isprintable() or all(
            c.isprintable() or c.isspace() for c in segment.text
        )
        assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e" for c in segment.text)


async def test_whatever_a_widget_paints_is_harmless(opened: Any) -> None:
    """Past every other door: raw in a text, in a frame, in a plain string."""
    async with opened(TEXT) as (app, pilot):
        for raw in (Text(HOSTILE), "\x1b[2Jplain"):
            widget = Static(raw, markup=False)
            widget.border_title = Text(HOSTILE)
            widget.styles.border = ("round", "white")
            widget.styles.dock = "top"
            await app.screen.mount(widget)
        await pilot.pause()
        assert "owned" in painted(app)
        assert "plain" in painted(app)
        assert harmless(painted(app))


async def test_messages_quote_and_do_not_obey(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT) as (app, pilot):
        app.explore.notify(HOSTILE, title=HOSTILE)
        app.explore.post_message(LoadStage(f"opening {HOSTILE}"))
        await pilot.pause()
        assert VISIBLE in notes(app)
        assert f"opening {VISIBLE}" in status(app)
        assert all(note.markup is False for note in app._notifications)
        app.explore.remark(HOSTILE)
        await pilot.pause()
        assert VISIBLE in str(app.explore.query_one("#notice", Static).render())
        app.explore.panes.say(HOSTILE)
        await pilot.pause()
        assert harmless(painted(app))


async def test_names_of_files_in_the_list_of_lenses(opened: Any, folder: Path) -> None:
    (folder / f"{HOSTILE.replace('/', '|')}.pt").write_bytes(b"no lens")
    async with opened(TEXT) as (app, pilot):
        await go(app, pilot)
        await until(pilot, lambda: "Not listed" in hint(app))
        assert r"\x1b]0;owned\x07" in hint(app)
        assert "[red]not red[|red]" in hint(app)
        app.screen.post_message(LensSaved(Path(HOSTILE), HOSTILE))
        await until(pilot, lambda: VISIBLE in notes(app))
        assert isinstance(app.screen, Lenses)
        assert harmless(painted(app))


@pytest.fixture
def hostile(programs: Forked, tiny_model: Path, tmp_path: Path) -> Iterator[Terminal]:
    """The program in a terminal, with a lens whose file would take it over."""
    programs.imports("lenstui.tui.app")
    lens = TunedLens(torch.zeros(3, 32, 32), torch.zeros(3, 32), remarks=(HOSTILE,))
    save_lens(lens, tmp_path / "lenstui" / "lenses" / "mine.pt")
    words = ["Hello, you", "--model", str(tiny_model), "--lens", str(tmp_path / "lenstui/lenses/mine.pt")]
    terminal = Terminal(programs, words, tmp_path)
    try:
        yield terminal
    finally:
        if terminal.status() is None:
            terminal.program.send(signal.SIGKILL)
            terminal.program.status()


def test_remarks_of_a_lens_file_never_reach_the_terminal_raw(hostile: Terminal) -> None:
    hostile.until(b"tokens \xc2\xb7 0.")
    assert rb"\x1b]0;owned" in hostile.received
    hostile.until(b"owned")
    everything = hostile.received
    hostile.press(b"o")
    hostile.until(b"KL held out")
    hostile.until(b"mine")
    everything += hostile.received
    hostile.press(b"\r")
    hostile.until(b"tuned lens")
    hostile.until(b"owned")
    everything += hostile.received
    everything = everything.replace(b"\x1b]22;default\x07", b"")  # Textual's own: the pointer's shape
    for raw in (b"\x1b]0;", b"\x1b[2J", b"\x07", "\x9b31m".encode(), "\u202e".encode()):
        at = everything.find(raw)
        assert at < 0, everything[max(0, at - 60) : at + 40]
