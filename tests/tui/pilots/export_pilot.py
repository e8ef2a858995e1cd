"""The dialog that takes things away, by keyboard alone."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList

from lenstui.tui.app import LenstuiApp
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.grid import pins
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hello, you"


def hint(app: LenstuiApp) -> str:
    return str(app.screen.query_one("#export-said", Label).render())


async def choose(pilot: Pilot[None], thing: str) -> ExportDialog:
    """Open the dialog and go down to a thing."""
    await pilot.press("x")
    dialog = pilot.app.screen
    assert isinstance(dialog, ExportDialog)
    things = dialog.query_one(OptionList)
    while things.highlighted_option is None or things.highlighted_option.id != thing:
        await pilot.press("down")
    return dialog


async def taken(app: LenstuiApp, pilot: Pilot[None]) -> str:
    """Wait until it is; what is said then."""
    await until(pilot, lambda: app.screen is app.explore and said(app))
    return said(app)


async def write(app: LenstuiApp, pilot: Pilot[None], thing: str, path: Path) -> None:
    dialog = await choose(pilot, thing)
    dialog.query_one(Input).value = str(path)
    await pilot.press("enter")
    assert str(path) in (await taken(app, pilot))
    app.clear_notifications()


async def copy(app: LenstuiApp, pilot: Pilot[None], thing: str) -> str:
    app.clear_notifications()
    await choose(pilot, thing)
    await pilot.press("enter")
    assert (await taken(app, pilot)).startswith("Copied")
    return app.clipboard


async def pin(app: LenstuiApp, pilot: Pilot[None], *words: str) -> None:
    """Pin words of one byte each, and wait for their numbers."""
    app.explore.panel.pins = pins.with_tokens((), [(id_of(word), word) for word in words])
    await pilot.pause()

    def done() -> bool:
        cells = app.explore.grids[0].cells
        return bool(cells is not None and (cells.pin_ranks >= 0).all() and subtitle(app).endswith(" s"))

    await until(pilot, done)


def id_of(byte: str) -> int:
    """Its token in the byte tokenizer: behind two special ones, in the order of the alphabet."""
    from tokenizers import pre_tokenizers

    return 2 + sorted(pre_tokenizers.ByteLevel.alphabet()).index(byte)


def without_value(words: list[str]) -> list[str]:
    """For a form that holds every value, and takes none to show."""
    at = words.index("--value")
    return [*words[:at], *words[at + 2 :]]
