"""How many colours the screen is drawn in: as the user says, or as the terminal shows."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Textual's names of the depths.
_SYSTEMS = {"truecolor": "truecolor", "256": "256", "16": "standard"}
# What terminals call themselves that all show true colours; over SSH, this name comes along and nothing else.
_TRUE_TERMS = {"alacritty", "contour", "foot", "foot-extra", "wezterm", "xterm-ghostty", "xterm-kitty"}

# The cursor is kept and put back, to erase what a terminal may have printed that does not know a question.
_ASKED = b"\x1b7%b\x1b8\x1b[K"
# DECRQM, which is easy: may output be synchronised? Textual asks so too, and knows an answer that comes late.
_EASY, _EASY_ANSWER = _ASKED % b"\x1b[?2026$p", rb"\x1b\[\?2026;\d\$y"
# DECRQSS, which is not: after a background that no palette has, what is the background now?
_HARD = _ASKED % b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"
_HARD_ANSWER = rb"\x1bP\d?\$r([^\x1b]*)\x1b\\"
_TRUE_COLOUR = rb"48[:;]2[:;](\d*:)?1[:;]2[:;]3"

_PATIENCE = 0.1  # seconds to wait for a terminal that may never answer
_LIMIT = 2.0  # for one that has just answered: what came later would be taken for keys


def set_depth(depth: str) -> str:
    """Have Textual draw in a depth of colour, and return what is typed in the meantime.

    Textual reads the variables that are set here when it is imported, so that this has to come before.

    Args:
        depth: one of `settings.DEPTHS`; "auto" for what the terminal shows.
    """
    typed = ""
    if depth == "auto":
        depth, typed = _found(os.environ)
    if depth == "none":
        os.environ["NO_COLOR"] = "1"
    elif depth != "auto":
        os.environ.pop("NO_COLOR", None)  # which is said to all programs, the depth to this one
        os.environ["TEXTUAL_COLOR_SYSTEM"] = _SYSTEMS[depth]
    return typed


def _found(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the depth that the terminal shows, and what is typed while it is asked.

    The depth is "auto" where Textual knows as much by itself. Nothing is asked within tmux and screen: they
    do not answer, or not for the terminal around them.
    """
    term = environment.get("TERM", "")
    said = environment.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"}
    if said or environment.keys() & {"NO_COLOR", "TEXTUAL_COLOR_SYSTEM"}:
        return "auto", ""
    if term in _TRUE_TERMS or term.endswith("-direct"):
        return "truecolor", ""
    is_within = environment.keys() & {"TMUX", "STY"} or environment.get("TERM_PROGRAM") == "Apple_Terminal"
    if is_within or not term.startswith("xterm") or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "auto", ""
    shows_true, typed = _asked(sys.stdin.fileno(), sys.stdout.fileno())
    return "truecolor" if shows_true else "auto", typed


def _asked(keyboard: int, screen: int) -> tuple[bool, str]:
    """Ask the terminal whether it shows true colours; return the answer, and what was typed before it came.

    Only a terminal that answers the easy question is asked the hard one, and that answer is waited for.
    """
    with _unechoed(keyboard):
        os.write(screen, _EASY)
        received = _until_easy(keyboard, b"", _PATIENCE)
        if re.search(_EASY_ANSWER, received):
            os.write(screen, _HARD + _EASY)
            received = _until_easy(keyboard, re.sub(_EASY_ANSWER, b"", received), _LIMIT)
    answer = re.search(_HARD_ANSWER, received)
    typed = re.sub(_HARD_ANSWER, b"", re.sub(_EASY_ANSWER, b"", received))
    return bool(answer and re.search(_TRUE_COLOUR, answer[1])), typed.decode(errors="ignore")


def _until_easy(keyboard: int, received: bytes, patience: float) -> bytes:
    """Return what has been received when the easy question is answered, or when it is not in time."""
    end = time.monotonic() + patience
    while not re.search(_EASY_ANSWER, received):
        if not select.select([keyboard], [], [], max(0, end - time.monotonic()))[0]:
            break
        came = os.read(keyboard, 4096)
        if not came:
            break
        received += came
    return received


@contextmanager
def _unechoed(keyboard: int) -> Iterator[None]:
    """Have the terminal pass on each byte at once and show none, within the `with` block."""
    before = termios.tcgetattr(keyboard)
    now = termios.tcgetattr(keyboard)
    now[0] &= ~termios.ICRNL  # Enter is Enter
    now[3] &= ~(termios.ICANON | termios.ECHO)
    now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, now)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
