"""A screen of this app, which it may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.screen import Screen, ScreenResultType

if TYPE_CHECKING:
    from lenstui.ui.app import LenstuiApp


class AppScreen(Screen[ScreenResultType]):
    """A screen that knows whose it is."""

    @property
    def _app(self) -> LenstuiApp:
        return cast("LenstuiApp", self.app)

    def _tell(self, text: str, *, seconds: float = 4) -> None:
        """Why a key did nothing, or what it found; only the last such message stays."""
        self.app.clear_notifications()
        self.notify(text, timeout=seconds, markup=False)
