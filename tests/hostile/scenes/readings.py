"""The prompt, and how its readout looks."""

from __future__ import annotations

import signal

from tests.hostile.scenes.user import CLEAR, DOWN, END, HOME, LEFT, RIGHT, SIZE, UP, User
from tests.programs.pty_terminal import ENTER, ESC


def prompt(user: User) -> None:
    """A few words, read, and some steps of the cursor."""
    user.read(user.words(user.pick.randrange(3, 14)))
    user.press(*user.pick.choices((UP, DOWN, LEFT, RIGHT, HOME, END), k=12))


def long_prompt(user: User) -> None:
    """Some hundred words, and pages of columns."""
    user.read(user.words(user.pick.randrange(60, 250)))
    user.press("}", "}", "{", HOME, END)
    user.read(user.words(5))


def history(user: User) -> None:
    """The prompt before this one."""
    earlier, later = user.words(4), user.words(4)
    user.read(earlier)
    user.read(later)
    user.press("i", UP)
    user.see(f"│ {earlier} ")
    user.press(ENTER)


def growth(user: User) -> None:
    """Tokens appended, generated, and taken back."""
    user.read(user.words(4))
    before = int(user.see(r"\d+(?= tokens ·)"))
    user.press("a")
    user.see(rf"\b{before + 1} tokens")
    user.press("G")
    user.see("─ generate ─")
    user.press(ENTER)
    user.gone("─ generate ─")
    user.terminal.until(lambda: int(user.see(r"\d+(?= tokens)")) > before + 2)
    user.terminal.calm()
    user.press("U", "U")
    user.read(user.words(3))


def turns(user: User) -> None:
    """The prompt as turns of a chat."""
    said = user.words(4)
    user.read(said)
    user.press("I")
    user.see(rf"0 +user +{said}")
    user.press("a")
    user.terminal.calm()
    user.type(user.words(3))
    user.press(ENTER)
    user.see(r"╭─ prompt · .*turns.*─╮", r"\d tokens · \d")
    user.press("z", "z", "I", "i")
    user.terminal.calm()
    user.press(END, CLEAR)
    user.type(said)
    user.press(ENTER)
    user.see("╭─ prompt ─", r"\d tokens · \d")


def values(user: User) -> None:
    """Every value that cells show, there and back."""
    seen = set()
    for key in [*"v" * 9, *"V" * 9]:
        user.press(key)
        user.terminal.calm()
        seen.add(user.see(r"╭─ logit lens · [^─╮]+"))
    assert len(seen) > 4, seen


def looks(user: User) -> None:
    """Heights and order of rows, numbers, marks, words only, rows of components."""
    for key, shows in (("s", r"\d\.mlp"), ("f", "words only"), ("c", ""), ("D", ""), ("r", ""), ("#", "")):
        user.press(key)
        if shows:
            user.see(shows)
        user.terminal.calm()
        user.press(key)
        if shows:
            user.gone(shows)
            user.terminal.calm()
    user.press("#", "]", "]", "[", "[")


def cell(user: User) -> None:
    """A cell in full, and those beside it."""
    user.press(ENTER)
    user.see("1000|sum|rank")
    user.terminal.until(lambda: not user.is_home)
    user.press("h", "j", "k", "l", DOWN, DOWN, END, HOME, ESC)


def pins(user: User) -> None:
    """A token pinned, a word pinned, the plots, the list, and unpinned."""
    user.press("P")
    user.see("Esc|esc closes")
    user.type("happy")
    user.press(ENTER)
    user.see(r"(?m)^ *pins ")
    for _ in range(3):
        user.press("R", UP)
        user.terminal.calm()
    user.unpin()


def places(user: User) -> None:
    """A column by its token, a column by its number, the first row of a word."""
    user.read("the dog saw a ball and the dog was happy")
    for key, typed in (("/", "dog"), ("g", "3"), ("F", "")):
        user.press(key)
        user.terminal.until(lambda: not user.is_home)
        user.type(typed)
        user.press(ENTER)
        user.home()
    user.press("n", "N")


def helps(user: User) -> None:
    """The list of keys, a search in it, the menu."""
    user.press("?")
    user.see("─ keys ─")
    user.type("csv")
    user.see("Export|export")
    user.press(ESC, ESC)
    user.home()
    user.press(" ")
    user.terminal.until(lambda: not user.is_home)
    user.press(ESC)


def theme(user: User) -> None:
    """Another theme, by the command palette, and the first one again."""
    for name in ("light", "dark"):
        user.press(":")
        user.see("Search for actions")
        user.type("Theme")
        user.terminal.calm()
        user.press(ENTER)
        user.see("Search for themes")
        user.type(name)
        user.terminal.calm()
        user.press(ENTER)
        user.home()


def sizes(user: User) -> None:
    """The window, larger and smaller."""
    for width, height in user.pick.sample(((200, 50), (80, 24), (60, 18), (160, 60), (20, 5)), k=3):
        user.terminal.resize(width, height)
        user.terminal.program.send(signal.SIGWINCH)
        user.terminal.calm()
        if width >= 80:
            user.see("╭─ prompt", "─╯")
    user.terminal.resize(*SIZE)
    user.terminal.program.send(signal.SIGWINCH)
    user.terminal.calm()
    user.see("╭─ prompt", " q Quit")


def mouse(user: User) -> None:
    """Clicks on cells, and the wheel."""
    for _ in range(8):
        user.terminal.click(user.pick.randrange(8, 50), user.pick.randrange(7, 15))
        user.terminal.read(0.1)
    user.press("\x1b[<65;30;12M", "\x1b[<64;30;12M")
