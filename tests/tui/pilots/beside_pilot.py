"""Something put beside what is open, and the titles of both."""

from __future__ import annotations

from rich.text import Text
from textual.pilot import Pilot

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.grid.pane import Pane
from tests.tui.pilots.looking import place, subtitle, until

ONE, OTHER = "Hello, you", "Hello and you"


def title(app: LenstuiApp, lens: str) -> str:
    name = lens if lens == "difference" else place(lens)
    return Text.from_markup(str(app.explore.query_one(f"#pane-{name}", Pane).border_title)).plain


def titles(app: LenstuiApp) -> list[str]:
    return [title(app, lens) for lens in ("logit", "tuned")]


async def put_beside(app: LenstuiApp, pilot: Pilot[None], text: str) -> None:
    await pilot.press("B")
    await until(pilot, lambda: isinstance(app.screen, AskPrompt))
    app.screen.query_one(PromptBox).show(text)
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is app.explore)
    await until(pilot, lambda: app.explore.is_compared and " and " in subtitle(app))
    await until(pilot, lambda: subtitle(app).endswith(" s"))
