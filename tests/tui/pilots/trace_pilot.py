"""A causal trace on screen: asked for, awaited, and read off."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Input, Label, Static

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.choice import Choice
from lenstui.tui.trace.ask_trace import AskTrace
from lenstui.tui.trace.screen import Trace
from lenstui.tui.trace.trace_map import TraceMap
from tests.tui.pilots.looking import until


async def ask_for_trace(app: LenstuiApp, pilot: Pilot[None]) -> AskTrace:
    await pilot.press("T")
    await until(pilot, lambda: isinstance(app.screen, AskTrace) and app.screen.focused)
    assert isinstance(app.screen, AskTrace)
    return app.screen


def fill(dialog: AskTrace, corrupted: str | None = None, **values: str) -> None:
    """Choose and type into the dialog, by the names of its lines."""
    if corrupted is not None:
        dialog.query_one(PromptBox).show(corrupted)
    for name, value in values.items():
        field = dialog.query_one(f"#ask-{name}")
        assert isinstance(field, Choice | Input)
        field.value = value


def hint(dialog: AskTrace) -> str:
    return str(dialog.query_one("#ask-hint", Label).render())


async def start(app: LenstuiApp, pilot: Pilot[None]) -> Trace:
    """Press Enter in the dialog, and wait until all rows are there."""
    await pilot.press("enter")
    return await traced(app, pilot)


async def traced(app: LenstuiApp, pilot: Pilot[None]) -> Trace:
    await until(pilot, lambda: isinstance(app.screen, Trace) and " rows in " in progress(app))
    assert isinstance(app.screen, Trace)
    return app.screen


def progress(app: LenstuiApp) -> str:
    """What is said below the map, unless there is no map."""
    return "" if app.screen.has_class("-empty") else text(app, "progress")


def text(app: LenstuiApp, name: str) -> str:
    return str(app.screen.query_one(f"#trace-{name}", Static).render())


def shown_map(app: LenstuiApp) -> list[list[str]]:
    """The words on the lines of the map, the heads of the columns first."""
    trace_map = app.screen.query_one(TraceMap)
    strips = map(trace_map.render_line, range(trace_map.size.height))
    return [words for strip in strips if (words := strip.text.split())]
