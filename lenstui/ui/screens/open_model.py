"""Ask for a model: a hub id or a folder."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label


class OpenModelScreen(ModalScreen[str | None]):
    """One line to type a model's name into. Hands back the name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Close", id="model.close")]
    DEFAULT_CSS = """
    OpenModelScreen {
        align: center middle;
        background: $background 60%;
        #model-box {
            width: 72;
            max-width: 96%;
            height: auto;
            border: round $border;
            background: $surface;
            padding: 1 2;
        }
        Input { border: none; height: 1; margin-bottom: 1; background: $panel; }
        Label { color: $text-muted; }
    }
    """

    def compose(self) -> ComposeResult:
        """The line, and what may be typed."""
        with Vertical(id="model-box") as box:
            box.border_title = "open a model"
            box.border_subtitle = "enter opens · esc closes"
            name = Input(placeholder="OWNER/NAME, or a folder", compact=True)
            name.cursor_blink = False
            yield name
            yield Label(
                "A Hugging Face id such as EleutherAI/pythia-70m, or a folder.\nEmpty: the bundled model."
            )

    @on(Input.Submitted)
    def submit(self, message: Input.Submitted) -> None:
        """Hand the name back."""
        self.dismiss(message.value.strip())
