"""Prompt sets, evaluations and scans of texts."""

from __future__ import annotations

from tests.hostile.scenes.user import CLEAR, DOWN, END, RIGHT, User
from tests.programs.pty_terminal import ENTER, ESC


def prompt_set(user: User) -> None:
    """The examples, read, sorted, plotted, and one of them opened."""
    user.press("e")
    user.see("(?m)^ file")
    user.press("f", CLEAR, END, CLEAR, ENTER)
    user.terminal.calm()  # the table takes keys once the file is open
    user.see(r"50 prompts · \d")
    user.press("c", "c", "r", "v", "v", "R", DOWN, DOWN, DOWN, DOWN, DOWN)
    user.terminal.calm()
    user.press(ENTER)
    user.terminal.until(lambda: user.is_home)
    user.see(r"\d tokens · \d")
    user.terminal.calm()
    user.unpin()


def evaluation(user: User) -> None:
    """The lenses on a text."""
    user.press("E")
    user.terminal.until(lambda: not user.is_home)
    user.terminal.calm()
    if "─ evaluate lenses" not in user.terminal.text:
        user.press("e")
    user.see("─ evaluate lenses")
    user.press(ENTER)
    user.gone("─ evaluate lenses")
    user.see(r"[\d,]+ tokens in [\d.]+ s")
    user.press("v", "v", RIGHT, RIGHT, "V", "q")


def scan(user: User) -> None:
    """A text scanned, its records searched, and a position opened."""
    user.press("C")
    user.see("known-and-lost")
    user.press("n")
    user.see("─ scan a text")
    user.press(DOWN, CLEAR, END, CLEAR)
    user.type(str(user.pick.randrange(1500, 3000)))
    user.press(DOWN, DOWN, END, CLEAR)
    user.type("scan-" + user.words(0))
    user.press(ENTER)
    user.gone("─ scan a text")
    user.terminal.calm()
    for key in "12340":
        user.press(key)
        user.terminal.calm()
    for key in "vvvvcr":
        user.press(key)
        user.terminal.calm()
    user.press("V", "V", "V", "V", ENTER)
    user.see("tokens as")
    user.press(ESC)
    user.see("known-and-lost")
    user.press("q")
    user.home()
    user.read(user.words(4))
