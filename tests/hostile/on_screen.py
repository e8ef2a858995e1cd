"""Which screen is in front, by what stands there, in a window with room for it."""

from __future__ import annotations

import re

_DIALOG = re.compile(r"[^\n╮]╭─ ")

_MARKS = {
    "models": r"where +size",
    "form of a fit": r"╭─ train a ",
    "fit": r"· (trained|training) ─",
    "lenses": r"╭─ lenses · ",
    "evaluation": r"╭─ measures by row|by row: ",
    "ask for an evaluation": r"╭─ evaluate lenses",
    "scan": r"known-and-lost",
    "ask for a scan": r"╭─ scan a text",
    "open a scan": r"╭─ open a scan",
    "prompt set": r"^ file",
    "why": r"╭─ the strongest",
    "ask for a trace": r"╭─ causal trace",
    "trace": r"recovered|rows? in ",
    "edits": r"╭─ edits of",
    "turns": r"╭─ turns ─",
    "second prompt": r"╭─ second prompt",
    "reading": r"╭─ reading ─",
    "generate": r"╭─ generate ─",
    "export": r"╭─ export ─",
    "keys": r"╭─ keys ─",
    "menu": r"enter does it, or its key",
    "palette": r"Search for ",
    "quit": r"╭─ quit\?",
    "question": r"y yes · n no",
    "pins": r"╭─ pins ",
    "word": r"enter \w+ · esc closes",
}
SCREENS = {name: re.compile(mark, re.MULTILINE) for name, mark in _MARKS.items()}
"""What shows that a screen other than Explore is there."""


def is_home(text: str) -> bool:
    """Whether Explore is in front, and nothing before it."""
    return "╭─ prompt" in text and " q Quit" in text and _DIALOG.search(text) is None


def seen(text: str) -> list[str]:
    """Return the names of the screens that are there."""
    return [*(name for name, mark in SCREENS.items() if mark.search(text)), *["Explore"] * is_home(text)]
