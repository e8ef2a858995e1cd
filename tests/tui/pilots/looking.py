"""What can be read off any screen, and waiting until it is there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from textual.binding import Binding
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widgets import Footer

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.keys import KEYS
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.help.commands import all_keys
from lenstui.tui.help.key import Key

LIMIT = 60.0  # seconds that anything may take on a busy machine


class Over(BaseException):
    """Ends a thread that works for an app whose test has ended."""


async def until(pilot: Pilot[None], happened: Callable[..., object], limit: float = LIMIT) -> None:
    """Wait until something is true, or fail; what asks a widget that is not there yet is not true yet."""
    for _ in range(int(limit / 0.02)):
        with suppress(NoMatches):
            if happened():
                await pilot.pause()
                return
        await pilot.pause(0.02)
    raise AssertionError("it never happened")


def subtitle(app: LenstuiApp) -> str:
    """What the prompt's frame says about the reading."""
    return str(app.explore.query_one(PromptBox).border_subtitle or "")


def said(app: LenstuiApp) -> str:
    return " ".join(str(note.message) for note in app._notifications)


def footer(app: LenstuiApp) -> str:
    return " ".join(str(key.render()) for key in app.screen.query_one(Footer).query("FooterKey"))


def place(lens: str) -> int:
    """The side on which a lens is at first; the left side, or the right one."""
    return ("logit", "tuned").index(lens)


def keys_of(app: LenstuiApp) -> list[Key]:
    """The lines of the list of keys."""
    return all_keys(LenstuiApp, app.get_key_display, app.program.keys)


async def do(app: LenstuiApp, key: str) -> None:
    """Do what a key of Explore does, by its id, wherever the focus is."""
    binding = next(each for each in KEYS if isinstance(each, Binding) and each.id == f"explore.{key}")
    await app.run_action(binding.action, default_namespace=app.explore)
