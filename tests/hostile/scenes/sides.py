"""What stands side by side, what if, and why."""

from __future__ import annotations

from tests.hostile.scenes.user import BACK_TAB, CLEAR, DOWN, END, RIGHT, User
from tests.programs.pty_terminal import ENTER, ESC, TAB


def sides(user: User) -> None:
    """Another lens on a side, the difference, one more side, and a second prompt."""
    user.press("L")
    user.terminal.calm()
    user.press("d")
    user.see(" − ")
    user.press("d", TAB, "+")
    user.terminal.calm()
    user.press("-")
    beside = user.words(4)
    user.press("B")
    user.see("─ second prompt ─")
    user.press(CLEAR, END, CLEAR)
    user.type(beside)
    user.press(ENTER)
    user.see("beside: ")
    user.restored()


def beside(user: User) -> None:
    """The model in another dtype on a side, and taken off again."""
    user.press("M")
    user.see("a model beside", "where +size")
    user.type(str(user.model))
    user.terminal.calm()
    user.press(BACK_TAB, ENTER)
    user.gone("─ a model beside")
    user.see("beside: ")
    user.terminal.calm()
    user.press("d", "v", "d")
    user.restored()


def edits(user: User) -> None:
    """An edit, its effect, and without it again."""
    user.press("W")
    user.see("─ edits of")
    user.type(user.pick.choice(("ablate 3.mlp", "ablate 2.1", 'patch 1.attn "a big dog"', "cut 4.7 2<-1")))
    user.press(ENTER)
    user.see("● (ablate|patch|cut)")
    user.home()
    user.see("edited")
    user.press("d")
    user.see("edited − clean| − logit lens")
    user.press("d")
    user.restored()


def why(user: User) -> None:
    """Why a cell says so, part by part, and with a part taken away."""
    user.read(user.words(6))
    user.press("w")
    user.see("the strongest", "direct effects")
    user.press(DOWN, DOWN, TAB, DOWN, RIGHT, TAB, "a")
    user.see("✗")
    user.press(ESC)
    user.home()
    user.restored()


def trace(user: User) -> None:
    """A causal trace of two prompts, of two kinds of part."""
    user.read("the dog saw a big ball")
    user.press("T")
    user.see("─ causal trace ─")
    user.type("the dog was a very")
    user.press(ENTER)
    user.gone("─ causal trace ─")
    user.see(r"rows? in|clean")
    user.terminal.calm()
    user.press("p")
    user.terminal.calm()
    user.press("v", "f")
    user.terminal.calm()
    user.press(ESC)
