"""The depth of colour of the screen: as the user says, or as a terminal answers, through a real one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lenstui.cli import main
from lenstui.support.settings import DEPTHS
from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import QUIT, SYNC_QUERY, SYNC_REPLY, Terminal

PROMPT = "Hello, you"
EASY = b"\x1b7\x1b[?2026$p\x1b8\x1b[K"
HARD = b"\x1bP$qm\x1b\\\x1b[m\x1b8\x1b[K" + EASY
TRUE = [b"\x1bP1$r0;48:2::1:2:3m\x1b\\", b"\x1bP1$r48;2;1;2;3m\x1b\\"]
NOT_TRUE = [b"\x1bP1$r0;48;5;16m\x1b\\", b"\x1bP0$r\x1b\\"]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    """Start the program in a terminal; it has no model to load."""
    for name in ("NO_COLOR", "TMUX", "STY", "TERM_PROGRAM", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    started: list[Terminal] = []

    def start(*options: str, answers: Sequence[bytes] = (), **environment: str) -> Terminal:
        words = [PROMPT, "--model", str(tmp_path / "nowhere"), "--no-restore", *options]
        told = {SYNC_QUERY: b"", HARD: answers[1]} if len(answers) > 1 else {SYNC_QUERY: b""}
        terminal = Terminal(Fresh(), words, tmp_path, environment=environment, answers=told)
        started.append(terminal)
        if answers:  # before it is asked for, so that a busy machine answers in time
            terminal.press(answers[0])
        return terminal

    yield start
    for terminal in started:
        terminal.kill()


def depth_of(terminal: Terminal) -> str:
    """What the screen is painted in, once all of it is there."""
    terminal.until("No such folder")
    terminal.calm()
    painted = terminal.received.replace(b"\x1b[48;2;1;2;3m", b"")  # which only asks
    true = set(re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", painted))
    indexed = set(map(int, re.findall(rb"[34]8;5;(\d+)", painted)))
    if all(len(set(parts)) == 1 for parts in true) and indexed <= {16, 231, *range(232, 256)}:
        return "none" if true or indexed else "16"
    return "truecolor" if true else "256"


@pytest.mark.parametrize("depth", DEPTHS[1:])
def test_as_it_is_said(depth: str, begin: Callable[..., Terminal]) -> None:
    assert depth_of(begin("--colour", depth, COLORTERM="truecolor" if depth != "truecolor" else "")) == depth


def test_it_is_said_in_the_settings_and_by_the_option_before_that(
    begin: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "lenstui").mkdir()
    (tmp_path / "lenstui" / "config.toml").write_text("colour = 256\n")
    assert depth_of(begin()) == "256"
    assert depth_of(begin("--colour", "truecolor", NO_COLOR="1")) == "truecolor"


def test_no_color_holds_where_nothing_else_is_said(begin: Callable[..., Terminal]) -> None:
    terminal = begin(NO_COLOR="1", COLORTERM="")
    assert depth_of(terminal) == "none"
    assert EASY not in terminal.received


def test_a_terminal_that_says_it_in_its_environment_is_not_asked(begin: Callable[..., Terminal]) -> None:
    terminal = begin(COLORTERM="24bit")
    assert depth_of(terminal) == "truecolor"
    assert EASY not in terminal.received


@pytest.mark.parametrize("term", ["alacritty", "xterm-direct"])
def test_some_names_say_it(term: str, begin: Callable[..., Terminal]) -> None:
    assert depth_of(begin(COLORTERM="", TERM=term)) == "truecolor"


@pytest.mark.parametrize(
    "environment", [{"TERM": "tmux-256color"}, {"TMUX": "/tmp/tmux,1,0"}, {"STY": "1.x"}]
)
def test_within_tmux_nothing_is_asked(environment: dict[str, str], begin: Callable[..., Terminal]) -> None:
    terminal = begin(COLORTERM="", **environment)
    assert depth_of(terminal) == "256"
    assert EASY not in terminal.received


@pytest.mark.parametrize("answer", [*TRUE, *NOT_TRUE, b""])
def test_as_the_terminal_answers(answer: bytes, begin: Callable[..., Terminal]) -> None:
    terminal = begin(COLORTERM="", answers=[SYNC_REPLY, answer + SYNC_REPLY])
    assert depth_of(terminal) == ("truecolor" if answer in TRUE else "256")
    assert HARD in terminal.received
    assert_prompt_is_untouched(terminal)


def test_one_that_answers_nothing_is_asked_no_more_and_a_late_answer_is_no_key(
    begin: Callable[..., Terminal],
) -> None:
    terminal = begin(COLORTERM="")
    assert depth_of(terminal) == "256"
    assert EASY in terminal.received
    assert HARD not in terminal.received
    terminal.press(SYNC_REPLY)
    assert_prompt_is_untouched(terminal)


def test_one_that_has_answered_is_waited_for(begin: Callable[..., Terminal]) -> None:
    terminal = begin(COLORTERM="", answers=[SYNC_REPLY])
    terminal.until(HARD)
    terminal.read(0.5)
    terminal.press(TRUE[0] + SYNC_REPLY)
    assert depth_of(terminal) == "truecolor"
    assert_prompt_is_untouched(terminal)


def test_what_is_typed_meanwhile_is_typed(begin: Callable[..., Terminal]) -> None:
    answers = [b"a" + SYNC_REPLY + b"b", "é".encode() + TRUE[0] + b"c" + SYNC_REPLY + b"d"]
    terminal = begin(COLORTERM="", answers=answers)
    assert depth_of(terminal) == "truecolor"
    terminal.until(f"{PROMPT}abécd ")


def test_the_terminal_is_as_before_when_it_ends(begin: Callable[..., Terminal]) -> None:
    terminal = begin(COLORTERM="", answers=[SYNC_REPLY, TRUE[0] + SYNC_REPLY])
    terminal.until("No such folder")
    terminal.calm()
    terminal.press(QUIT)
    assert terminal.end() == 0
    assert terminal.settings() == terminal.before


def assert_prompt_is_untouched(terminal: Terminal) -> None:
    """No answer has been taken for keys: the prompt is as it was, and takes the next letter at its end."""
    terminal.calm()
    terminal.press("i")
    terminal.until("To the grid")
    terminal.press("z")
    terminal.until(f"{PROMPT}z ")


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--colour", "mauve"], "argument --colour: invalid choice: 'mauve'"),
        (["x", "--colour", "256"], "--colour is for the screen: standard output is no terminal"),
    ):
        with pytest.raises(SystemExit) as leaving:
            main(words)
        assert leaving.value.code == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
