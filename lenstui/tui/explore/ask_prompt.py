"""Ask for a second prompt."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Label

from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.session.history import History
from lenstui.tui.shared.box import Box, BoxScreen

HINT = """\
The active side reads it (L: another lens), or from the first side the second one. What prompts \
begin and end with alike stands in the same columns. - takes it away."""


class AskPrompt(BoxScreen[str | None]):
    """A box to type a prompt into. Hands it back, or None."""

    DEFAULT_CSS = """
    AskPrompt {
        Box { width: 92; }
        PromptBox, PromptBox:focus { border: none; padding: 0; margin-bottom: 1; background: $panel; }
        Label { width: 1fr; color: $text-muted; }
    }
    """

    def __init__(self, prompt: str, history: History | None = None) -> None:
        """Ask.

        Args:
            prompt: to begin with.
            history: prompts that were read before.
        """
        super().__init__()
        self._prompt, self._history = prompt, history

    def compose(self) -> ComposeResult:
        """The box, and what becomes of it."""
        with Box("second prompt", "enter reads · esc closes"):
            yield PromptBox(self._prompt, self._history)
            yield Label(Text(HINT))

    @on(PromptBox.Submitted)
    def submit(self, message: PromptBox.Submitted) -> None:
        """Hand the prompt back; nothing typed is no prompt."""
        self.dismiss(message.text or None)

    @on(PromptBox.Left)
    def close(self) -> None:
        """No second prompt."""
        self.dismiss(None)
