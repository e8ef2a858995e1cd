"""Fits, the list of lenses, and other models."""

from __future__ import annotations

from tests.hostile.scenes.user import CLEAR, DOWN, END, HOME, LEFT, RIGHT, UP, User
from tests.programs.pty_terminal import ENTER, ESC, TAB


def form(user: User, kind: str) -> None:
    """Go to the form of a fit, of a kind of lens."""
    user.press("t")
    user.terminal.until(lambda: not user.is_home)
    user.terminal.calm()
    if "n another fit" in user.terminal.text.lower():
        user.press("n")
    user.see("kind of lens", "Start")
    user.press(DOWN, DOWN)  # from the button over the end to the kind of lens
    user.see("⏎ Start")
    user.press(RIGHT if kind == "Jacobian" else LEFT)
    user.see(f"train a {kind} lens")


def tuned(user: User) -> None:
    """A tuned lens, fitted and kept."""
    form(user, "tuned")
    user.press(ENTER)
    user.see("done .*100%|─ a worse lens")
    user.terminal.calm()
    if "─ a worse lens" in user.terminal.text:
        user.press("y")
        user.see("done .*100%")


def jacobian(user: User) -> None:
    """A Jacobian lens of a few prompts, fitted and kept."""
    form(user, "Jacobian")
    user.press(DOWN, DOWN, CLEAR, END, CLEAR)
    user.type(str(user.pick.randrange(5, 12)))
    user.press(ENTER, ENTER)
    user.see("done .*100%")


def discarded(user: User) -> None:
    """A fit begun, paused, watched from Explore, and discarded."""
    form(user, "tuned")
    user.press(ENTER)
    user.gone("kind of lens")
    user.press("p")
    user.see("paused")
    user.press(ESC)
    user.home()
    user.press("t")
    user.see("paused +━")
    user.press("x")
    user.see("discard the lens")
    user.press("y")
    user.see("discarded|kind of lens")


def lenses(user: User) -> None:
    """The list of lenses and their cards; another one put to use."""
    user.press("o")
    user.see("─ lenses · KL", "─ card: ")
    user.press(DOWN, DOWN, DOWN, UP, "K", "K", TAB, DOWN, TAB)
    user.terminal.calm()
    user.press(HOME, ENTER)
    user.home()


def instant(user: User) -> None:
    """An instant lens."""
    user.press("O")
    user.terminal.calm()


def again(user: User) -> None:
    """The same model opened again."""
    user.restored()


def other_model(user: User) -> None:
    """The bundled model, and back."""
    user.open("the bundled")
    user.see("lenstui  bundled model", r"\d tokens · \d")
    user.press("v", "V", UP, LEFT)
    user.restored()


def no_model(user: User) -> None:
    """A name that is no model."""
    user.open("no-such/model-" + user.words(0))
    user.see("(?i)not|no ")
    user.terminal.calm()
    user.restored()
