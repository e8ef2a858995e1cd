"""What is pasted is text, escape sequences included, however it comes; what is typed around it are keys."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Event, Key, Paste

from lenstui.tui.shared.textual_hacks import PasteParser
from tests.programs.forked import Forked
from tests.programs.pty_terminal import ESC, Terminal

BEGIN, END = "\x1b[200~", "\x1b[201~"
HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1bq\x1b\x1bq",
    "\x1b[" + "9" * 40 + "q",  # more than Textual knows any sequence to have
    "\x1b[A\x1b[<0;3;3M\x1b[I\x1b[200~again\x1b",
    "\x1b[20",
    "\x1b]52;c;cXVpdA==\x07",
)


def events(pieces: Iterable[str]) -> list[Event]:
    """All that comes of what a terminal sends, piece by piece, and that then ends."""
    parser = PasteParser()
    found = [event for piece in (*pieces, "") for event in parser.feed(piece)]
    return [event for event in found if isinstance(event, Event)]


def said(found: Sequence[Event]) -> list[str]:
    """The texts of pastes and the names of keys."""
    texts = []
    for event in found:
        assert isinstance(event, Paste | Key)
        texts.append(event.text if isinstance(event, Paste) else event.key)
    return texts


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_pasted_is_text(text: str) -> None:
    assert said(events([f"a{BEGIN}{text}{END}\x1b[Bz"])) == ["a", text, "down", "z"]


@given(
    st.text(st.sampled_from("\x1b[201~2ab"), max_size=12).filter(lambda text: END not in f"{text}{END}"[:-1]),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_a_paste_comes_in_pieces(text: str, places: list[int]) -> None:
    sent = f"j{BEGIN}x{text}y{END}k{BEGIN}two{END}\x1b[A"
    cuts = [0, *sorted(min(place, len(sent)) for place in places), len(sent)]
    pieces = [sent[one:two] for one, two in pairwise(cuts) if two > one]
    assert said(events(pieces)) == ["j", f"x{text}y", "k", "two", "up"]


def test_an_escape_alone_is_a_key_after_its_time() -> None:
    parser = PasteParser()
    assert not [*parser.feed(ESC)]
    time.sleep(0.15)
    assert said([event for event in parser.tick() if isinstance(event, Event)]) == ["escape"]


@pytest.fixture
def terminal(programs: Forked, tiny_model: Path, tmp_path: Path) -> Iterator[Terminal]:
    """The program on the tiny model, with the cursor behind its prompt."""
    programs.imports("lenstui.tui.app")
    terminal = Terminal(programs, ["so ", "--model", str(tiny_model)], tmp_path, width=120, height=40)
    terminal.until(" q Quit")
    terminal.press("i")
    yield terminal
    terminal.kill()


def test_a_paste_presses_no_keys(terminal: Terminal) -> None:
    text = "".join(part.replace(BEGIN, "") for part in HOSTILE)
    terminal.press(f"{BEGIN}{text}{END}")
    terminal.until(lambda: "so ␛[31mred" in terminal.text)
    terminal.press("!")  # it is in the prompt still
    terminal.until(lambda: "cXVpdA==␇!" in terminal.text)


def test_a_long_paste_of_sequences_is_soon_there(terminal: Terminal) -> None:
    sequences = "\x1b[31m" * 3000
    terminal.press(f"{BEGIN}{sequences}end{END}!")
    terminal.until(lambda: "␛[31mend!" in terminal.text)


@pytest.mark.parametrize("sent", [b"\xff", b"\xe9a\xc3(", b"\x80\x81\xfe", b"\xed\xa0\x80", b"\xf5\xf8"])
def test_bytes_that_are_no_text_are_read(terminal: Terminal, sent: bytes) -> None:
    """A terminal in another encoding sends them, and so does a line with noise."""
    os.write(terminal.ours, sent)
    terminal.press("!")
    terminal.until(lambda: re.search("so [^ ]*�[^ ]*!", terminal.text) is not None)
