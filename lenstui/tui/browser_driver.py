"""The driver of the program in a browser: what Textual draws goes to the web server of `lenstui serve`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from textual import messages
from textual.app import App
from textual.drivers.web_driver import WebDriver


class BrowserDriver(WebDriver):
    """Textual's driver for browsers, which also ends the app when the web server is gone."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._served = app

    def write(self, data: str) -> None:
        """Write to the server; if it is gone, the input thread learns that and ends the app."""
        with suppress(BrokenPipeError):
            super().write(data)

    def write_meta(self, data: dict[str, object]) -> None:
        """Write a message to the server, as `write` does."""
        with suppress(BrokenPipeError):
            super().write_meta(data)

    def run_input_thread(self) -> None:
        """Take what the browser sends until the app or the server ends; then the app ends too."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._served.post_message(messages.ExitApp())
