"""Keys and clicks in bursts, through a real terminal: each does what it says, and none ends the program."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.programs.forked import Forked
from tests.programs.pty_terminal import ENTER, ESC, QUIT, TAB, Terminal

PROMPT = "Hello, you"
WIDTH, HEIGHT = 120, 40
PAGE_DOWN = "\x1b[6~"
# What opens something, and what then stands on the screen.
DIALOGS = {
    "/": "find a token among the columns",
    "g": "go to",
    "b": "enter applies",
    "B": "second prompt",
    "P": "pin a word",
    "F": "find the first row with a word on top",
    "G": "enter generates",
    "x": "enter exports",
    "m": "enter opens",
    "M": "enter opens",
    "?": "type to search",
    ":": "Search for actions",
}
SCREENS = {ENTER: "top ", "o": "tab scrolls", "t": "enter starts", "e": "Enter reads the examples"}
KEYS = [
    *"iIvVpPwW[]{}rRnNuUaGbBcCdeFfgGhjklLmMosStTxyY/:?<>+- 1qz@.", *[ENTER, TAB, ESC] * 3, "\x1b[Z", "\x7f",
    *(f"\x1b[{end}" for end in "ABCDHF"), "\x1b[5~", PAGE_DOWN, "the", "\n", "\x01", "\x0b",
]  # fmt: skip


@pytest.fixture(scope="module")
def begin(
    programs: Forked, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Terminal]]:
    """Start the program on the tiny model, in a folder of its own."""
    programs.imports("lenstui.tui.app")
    started: list[Terminal] = []

    def start(*arguments: str, width: int = WIDTH, height: int = HEIGHT) -> Terminal:
        words = arguments or (PROMPT, "--model", str(tiny_model), "--lens", str(tiny_model / "lens.pt"))
        folder = tmp_path_factory.mktemp("program")
        terminal = Terminal(programs, list(words), folder, width=width, height=height)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.kill()


@pytest.fixture(scope="module")
def running(begin: Callable[..., Terminal]) -> dict[str, Terminal]:
    """The program that these tests share, by one name."""
    return {"one": begin()}


@pytest.fixture
def terminal(running: dict[str, Terminal], begin: Callable[..., Terminal]) -> Terminal:
    """The program, with its grid in front. It is a new one where a test has ended the one before."""
    if running["one"].status() is not None:
        running["one"] = begin()
    begin_anew(running["one"])
    return running["one"]


def begin_anew(terminal: Terminal) -> None:
    """Have the grid in front, with the first prompt alone in it."""
    to_grid(terminal)
    if "beside" in terminal.text.splitlines()[0]:
        terminal.click(90, 8)  # the right side is the active one then
        terminal.calm()
        terminal.press("-")
        terminal.until(lambda: "beside" not in terminal.text.splitlines()[0])
    if not shows_prompt(terminal):
        terminal.press(f"i\x05\x15{PROMPT}\r")  # the old one is deleted from its end on
    terminal.until(lambda: shows_prompt(terminal) and is_read(terminal))


def shows_prompt(terminal: Terminal) -> bool:
    """Whether the box has the first prompt and nothing else."""
    return re.search(rf"│ {PROMPT} +│", terminal.text) is not None


def is_read(terminal: Terminal) -> bool:
    """Whether the prompt is read: its frame counts the tokens, and says nothing of more to come."""
    return re.search(r"\d tokens?(?!.*(reading|esc stops))[^\n]* ─╯", terminal.text) is not None


def to_grid(terminal: Terminal) -> None:
    """Leave whatever is in front of the grid."""
    terminal.until(lambda: bool(terminal.text.strip()))
    for _ in range(8):
        if shows_grid(terminal):
            return
        terminal.press(ESC)
        terminal.calm()
    raise AssertionError(f"esc does not leave this:\n{terminal.text}")


def shows_grid(terminal: Terminal) -> bool:
    """Whether Explore is on screen and no box is over it. The footer of the prompt has `esc`."""
    text = terminal.text
    over = any(words in text for words in ("esc closes", "🔎", "y yes · n no", "esc stay"))
    return "╭─ prompt" in text and "q Quit" in text.splitlines()[-1] and not over


# ── nothing is left twice ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", DIALOGS)
def test_enter_many_times_leaves_a_dialog_once(terminal: Terminal, key: str) -> None:
    for burst in (ENTER * 2, ENTER * 5):
        terminal.press(key)
        terminal.until(DIALOGS[key])
        terminal.press(burst)
        terminal.calm()
        begin_anew(terminal)
    terminal.press(key + ENTER * 3)  # before it is there
    terminal.calm()
    to_grid(terminal)


@pytest.mark.parametrize("key", [*DIALOGS, *SCREENS])
def test_esc_twice_leaves_one_screen_and_does_no_harm(terminal: Terminal, key: str) -> None:
    terminal.press(key)
    terminal.until((DIALOGS | SCREENS)[key])
    terminal.press(ESC * 2)
    terminal.until(lambda: shows_grid(terminal))
    terminal.calm()


def test_two_clicks_beside_the_palette_close_it(terminal: Terminal) -> None:
    terminal.press(":")
    terminal.until("Append")
    terminal.click(1, HEIGHT - 2, times=2)
    terminal.until(lambda: shows_grid(terminal))
    terminal.calm()


def test_the_palette_without_a_match_has_no_pages(terminal: Terminal) -> None:
    terminal.press(":qqqq")
    terminal.until("No matches found")
    terminal.press(PAGE_DOWN * 3 + "\x1b[5~\x1b[B\x1b[A" + ENTER)
    assert "No matches found" in terminal.calm()


@pytest.mark.parametrize("key", ["?", "m", "o", "x", ":", "ob", "\r", "e", "t"])
def test_a_list_that_is_not_there_yet_has_no_pages(terminal: Terminal, key: str) -> None:
    terminal.press(f"{key}{PAGE_DOWN}\x1b[5~{PAGE_DOWN}")
    terminal.calm()
    to_grid(terminal)


# ── what is typed goes into what was asked for ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["/", "P", "F", "m", "M", "?", ":", "ef\x15", "B"])
def test_words_typed_at_once_are_in_the_line_that_was_asked_for(terminal: Terminal, key: str) -> None:
    terminal.press(f"{key}quite a text")
    terminal.until("quite a text")
    terminal.press("\x15" if key.startswith("e") else b"")
    to_grid(terminal)


def test_what_is_typed_at_once_is_done(terminal: Terminal) -> None:
    terminal.press("g1\rv")
    terminal.until("column 1 ")
    terminal.until("lens · entropy")
    terminal.press("/y\r")
    terminal.until('"y" is in 1 of 10 columns')
    terminal.press("i and\rV")
    terminal.until("Hello, you and")
    terminal.until("14 tokens")
    assert "logit lens · probability" in terminal.calm()


def test_enter_in_the_palette_takes_what_the_typed_words_find(terminal: Terminal) -> None:
    terminal.press(":lenses\r")
    terminal.until("tab scrolls")


def test_esc_and_a_letter_in_one_are_two_keys(terminal: Terminal) -> None:
    terminal.press("i\x1bo")  # for a terminal the same as Alt and o
    terminal.until("tab scrolls")


def test_keys_while_a_model_loads_go_where_they_were_meant_to(terminal: Terminal, tiny_model: Path) -> None:
    for pause in (False, True):
        terminal.press(f"m{tiny_model}\r")
        if pause:
            terminal.until(b"wiring ok")
        terminal.press("i to train")
        terminal.until("you to train")
        terminal.until(b"wiring ok")
        terminal.calm()
        assert "you to train" in terminal.text
        terminal.press(" again\r")
        terminal.until(lambda: is_read(terminal) and "you to train again" in terminal.text)
        terminal.press(f"i\x15{PROMPT}\r")
        terminal.until("10 tokens")
        to_grid(terminal)


def test_the_prompt_that_was_asked_for_while_a_model_loads_keeps_the_focus(
    terminal: Terminal, tiny_model: Path
) -> None:
    terminal.press(f"m{tiny_model}\r")
    terminal.press("i")
    terminal.until(b"wiring ok")
    terminal.until(lambda: is_read(terminal))
    terminal.calm()
    terminal.press("to")  # would begin a training, and list the lenses
    terminal.until("Hello, youto")
    terminal.press("\x7f\x7f")
    to_grid(terminal)


def test_what_is_typed_before_the_first_paint_is_in_the_prompt(
    begin: Callable[..., Terminal], tiny_model: Path
) -> None:
    terminal = begin("Hello", "--model", str(tiny_model))
    terminal.until(terminal.is_taken)
    terminal.press(" to otters")
    terminal.until("Hello to otters")
    terminal.until("wiring ok")
    assert "Hello to otters" in terminal.calm()
    terminal.press("\r")
    terminal.until("15 tokens")
    terminal.press("q")
    assert terminal.end() == 0


# ── q ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", [*SCREENS, "x", "ob", "os", "b" + TAB, "eb"])
def test_q_leaves_what_is_in_front(terminal: Terminal, keys: str) -> None:
    terminal.press(keys[0])
    seen = (DIALOGS | SCREENS)[keys[0]]
    terminal.until(seen)
    if keys == "eb":
        terminal.press(TAB)
        terminal.calm()
    below = terminal.calm()
    if keys[1:]:
        terminal.press(keys[1:])
        terminal.calm()
    if keys == "os":
        terminal.press("\x1b[Z")  # from the name to the list
        terminal.calm()
    if keys == "e":
        terminal.press(TAB)  # from the line of the file to the table
        terminal.calm()
    terminal.press("q")
    if keys in {"ob", "os", "eb"}:
        terminal.until(lambda: terminal.text.splitlines()[2:] == below.splitlines()[2:])
        terminal.press("q")
    terminal.until(lambda: shows_grid(terminal))


def test_q_quits_from_explore_and_ctrl_q_from_anywhere(begin: Callable[..., Terminal]) -> None:
    for keys in ("q", "o" + QUIT, "m" + QUIT):
        terminal = begin()
        terminal.until(lambda terminal=terminal: is_read(terminal))
        to_grid(terminal)
        terminal.press(keys)
        assert terminal.end() == 0
        assert b"Traceback" not in terminal.received


# ── anything ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seed", "width", "height"), [(0, WIDTH, HEIGHT), (1, 80, 24)])
def test_no_burst_of_keys_ends_the_program(
    begin: Callable[..., Terminal], seed: int, width: int, height: int
) -> None:
    pick = random.Random(seed)
    terminal = begin(width=width, height=height)
    keys = [key for key in KEYS if key != "q"]
    terminal.until("wiring ok" if seed else terminal.is_taken)  # or while the model loads
    for _ in range(25):
        burst = "".join(pick.choices(keys, k=pick.choice([1, 2, 4, 8, 12])))
        terminal.press(burst)
        if pick.random() < 0.5:
            column, line = pick.randrange(width), pick.randrange(1, height - 1)
            terminal.click(column, line, times=pick.choice([1, 2]))
        terminal.read(pick.choice([0.0, 0.02, 0.2]))
        terminal.assert_alive()
    terminal.press(QUIT + "d")  # and discard the lens, if one is in training
    assert terminal.end() == 0
    assert b"Traceback" not in terminal.received
