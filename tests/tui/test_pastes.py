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
from textual.events import Event, Key, MouseDown, Paste

from lenstui.tui.shared.textual_hacks import CarefulParser
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
    parser = CarefulParser()
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


@pytest.mark.parametrize(
    "answer",
    [
        "\x1bP1$r0;48:2::1:2:3m\x1b\\",  # DECRQSS, as `colour_depth` asks
        "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        "\x1b]52;c;cXVpdA==\x07",
        "\x1b_Gi=31;OK\x1b\\",
        "\x1b[?62;4;22c",
        "\x1b[>41;354;0c",
    ],
)
def test_a_late_answer_is_no_key(answer: str) -> None:
    assert said(events([f"a{answer}\x1b[Bz"])) == ["a", "down", "z"]


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[97;1:3u",  # the release of a key
        "\x1b[999999999u",
        "\x1b[1282048u",
        "\x1b[99999999932S",
        "\x1b[32;256;1114112D",
        "\x1b[128;;256637432026Q",
    ],
)
def test_what_textual_cannot_read_is_passed_over(sequence: str) -> None:
    found = said(events([f"a{sequence}bc\x1b[Bz"]))
    assert (found[0], found[-4:]) == ("a", ["b", "c", "down", "z"])


@given(st.lists(st.sampled_from([*"\x1b[];:<?019999uMm~PcR$yt", "\x1b[<0;9;9M", "\x1b[48;0;0;0;0t"])))
def test_nothing_that_comes_fails(parts: list[str]) -> None:
    (*_, last) = events(["".join([*parts, "\x1b[A"]), "z"])
    assert isinstance(last, Key)
    assert last.key == "z"


@pytest.mark.parametrize("size", ["40;120;0;0", "0;0;800;600", "0;0;0;0"])
def test_the_mouse_is_where_it_is_in_a_window_without_pixels(size: str) -> None:
    found = events([f"\x1b[48;{size}t\x1b[<0;10;7M"])
    (pressed,) = (event for event in found if isinstance(event, MouseDown))
    assert (pressed.x, pressed.y) == (9, 6)


def test_what_is_typed_is_written_to_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [*CarefulParser(debug=True).feed("secret")]
    assert not [*tmp_path.iterdir()]


def test_an_escape_alone_is_a_key_after_its_time() -> None:
    parser = CarefulParser()
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
