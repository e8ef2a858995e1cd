"""Error analysis on screen: opened, awaited, and read off."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, Label, Static

from lenstui.tui.app import LenstuiApp
from lenstui.tui.scan.ask_scan import AskScan
from lenstui.tui.scan.open_scan import OpenScan
from lenstui.tui.scan.screen import Scan
from lenstui.tui.scan.table import ScanTable
from tests.tui.pilots.looking import until


async def open_screen(app: LenstuiApp, pilot: Pilot[None]) -> Scan:
    """Go to the screen, where nothing is open yet."""
    await pilot.press("escape", "C")
    await until(pilot, lambda: isinstance(app.screen, Scan | OpenScan))
    screen = app.program.scan
    assert screen is not None
    return screen


async def open_folder(app: LenstuiApp, pilot: Pilot[None], folder: Path) -> Scan:
    """Go to the screen, and open the records in a folder by its name."""
    screen = await open_screen(app, pilot)
    if app.screen is screen:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, OpenScan))
    app.screen.query_one(Input).value = str(folder)
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is screen)
    return screen


async def searched(screen: Scan, pilot: Pilot[None]) -> None:
    """Wait until nothing more is found."""
    await until(pilot, lambda: screen.state.folder is not None and not screen.state.is_searching)


async def ask_for_scan(app: LenstuiApp, pilot: Pilot[None], **values: object) -> AskScan:
    """Open the form, and type into its lines by their names."""
    await pilot.press("n")
    await until(pilot, lambda: isinstance(app.screen, AskScan))
    assert isinstance(app.screen, AskScan)
    fill(app.screen, **values)
    await pilot.pause()
    return app.screen


def fill(dialog: AskScan, **values: object) -> None:
    for name, value in values.items():
        dialog.query_one(f"#ask-scan-{name}", Input).value = str(value)


def hint(dialog: AskScan) -> str:
    return str(dialog.query_one("#ask-scan-hint", Label).render())


def text(screen: Scan, name: str) -> str:
    return str(screen.query_one(f"#scan-{name}", Static).render())


def title(screen: Scan) -> str:
    return str(screen.query_one("#scan-frame").border_title)


def subtitle_of(screen: Scan) -> str:
    return str(screen.query_one("#scan-frame").border_subtitle)


def lines(screen: Scan) -> list[str]:
    """The lines of the table on screen, its heads first."""
    table = screen.query_one(ScanTable)
    drawn = [table.render_line(y).text.rstrip() for y in range(table.size.height)]
    return [line for line in drawn if line]


def places(screen: Scan) -> list[str]:
    """Block and column of each match on screen."""
    return [line.split()[0] for line in lines(screen)[1:]]
