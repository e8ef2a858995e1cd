"""A screen of this app: it may ask the app, and takes away nothing but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.await_complete import AwaitComplete
from textual.screen import Screen, ScreenResultType

if TYPE_CHECKING:
    from lenstui.ui.app import LenstuiApp


class AppScreen(Screen[ScreenResultType]):
    """A screen that knows whose it is. Every screen of ours is one, those of libraries too."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Leave this screen, if it is the one in front.

        Textual takes away whatever is in front: a second `dismiss` would take the screen below.
        """
        return super().dismiss(result) if self.is_active else AwaitComplete()

    @property
    def _app(self) -> LenstuiApp:
        return cast("LenstuiApp", self.app)

    def _tell(self, text: str, *, seconds: float = 4) -> None:
        """Why a key did nothing, or what it found; only the last such message stays."""
        self.app.clear_notifications()
        self.notify(text, timeout=seconds, markup=False)
