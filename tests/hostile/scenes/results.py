"""What is kept and taken away, and a second terminal."""

from __future__ import annotations

from tests.hostile.scenes.user import User, start
from tests.programs.pty_terminal import ENTER


def export(user: User) -> None:
    """One of the forms, to a file or the clipboard; of the notebook, too, which has something then."""
    user.press("K")
    user.see("(?i)kept")
    user.press("x")
    user.see("─ export ─")
    for _ in range(user.pick.randrange(15)):
        user.press("j")
    user.press(ENTER)
    user.gone("─ export ─")
    user.terminal.calm()


def kept(user: User) -> None:
    """A view into the notebook, and texts into the clipboard."""
    user.press("K")
    user.see("(?i)kept")
    user.press("y", "Y")


def second_terminal(user: User) -> None:
    """The program once more in another terminal, with the same folders, and quit."""
    other = start(user.folder, user.model)
    try:
        other.until(other.is_taken)
        other.until(" q Quit")
        other.calm()
        other.press("q")
        assert other.end() == 0
    finally:
        other.kill()
