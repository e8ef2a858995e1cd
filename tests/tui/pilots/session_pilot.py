"""The program as it begins where another has ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lenstui.support.request import Start
from lenstui.support.settings import Settings
from lenstui.tui.app import LenstuiApp
from lenstui.tui.session.session import Session, depth_of
from tests.tui.pilots.looking import subtitle, until


def begun(start: Start, path: Path, settings: Settings | None = None) -> LenstuiApp:
    """The program as it starts where the last session ended."""
    session = Session(path)
    start, look = session.resume(start)
    start = replace(start, top_k=depth_of(look) or start.top_k)
    app = LenstuiApp(start, settings, session=session, look=look)
    app.show_theme(session.theme(settings or Settings()))
    return app


async def read(app: LenstuiApp, pilot: Any) -> None:
    await until(pilot, lambda: subtitle(app).endswith(" s"))
