"""What the screen of one cell shows."""

from __future__ import annotations

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.token_list import TokenList
from tests.tui.pilots.looking import place


def lines(app: LenstuiApp, lens: str) -> list[list[str]]:
    """What a list shows under its heading, word by word."""
    tokens = app.screen.query_one(f"#tokens-{place(lens)}", TokenList)
    drawn = ["".join(segment.text for segment in tokens.render_line(y)) for y in range(1, tokens.size.height)]
    return [line.split() for line in drawn if line.strip()]
