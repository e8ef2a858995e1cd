"""The box in which everything is asked, over what was on screen, which is dimmed."""

from __future__ import annotations

from textual.containers import Vertical
from textual.screen import ModalScreen, ScreenResultType

from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown


class Box(Vertical):
    """A frame with a question or a title above, and the keys that answer below."""

    DEFAULT_CSS = """
    Box {
        width: 72;
        max-width: 96%;
        height: auto;
        border: round $border;
        background: $surface;
        padding: 1 2;
    }
    """

    def __init__(self, title: str, keys: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = shown(title)
        self.border_subtitle = shown(keys)


class BoxScreen(ModalScreen[ScreenResultType], AppScreen[ScreenResultType]):
    """A screen with one box, in the middle."""

    DEFAULT_CSS = "BoxScreen { align: center middle; }"
