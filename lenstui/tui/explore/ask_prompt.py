"""The dialog that asks for a second prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Label

from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.box import Box, BoxScreen

if TYPE_CHECKING:
    from lenstui.tui.session.history import History

HINT = """\
The active side reads it (L: another lens), or from the first side the second one. What prompts \
begin and end with alike stands in the same columns. - removes it."""
BESIDE_TURNS = " Beside turns it is one turn of the user."


class AskPrompt(BoxScreen[str | None]):
    """A dialog to type a second prompt into. Returns the prompt, or None."""

    DEFAULT_CSS = """
    AskPrompt {
        Box { width: 92; }
        PromptBox, PromptBox:focus { border: none; padding: 0; margin-bottom: 1; background: $panel; }
        Label { width: 1fr; color: $text-muted; }
    }
    """

    def __init__(self, prompt: str, history: History | None = None, *, beside_turns: bool = False) -> None:
        """Prepare the dialog.

        Args:
            prompt: the text to begin with.
            history: the prompts that were read before.
            beside_turns: whether the first prompt is turns.
        """
        super().__init__()
        self._hint = HINT + BESIDE_TURNS * beside_turns
        self._prompt, self._history = prompt, history

    def compose(self) -> ComposeResult:
        """Yield the prompt box, and a line about which side will read the prompt."""
        with Box("second prompt", "enter reads · esc closes"):
            yield PromptBox(self._prompt, self._history)
            yield Label(Text(self._hint))

    @on(PromptBox.Submitted)
    def submit(self, message: PromptBox.Submitted) -> None:
        """Close the dialog with the typed prompt; an empty one counts as None."""
        self.dismiss(message.text or None)

    @on(PromptBox.Left)
    def close(self) -> None:
        """Close the dialog without a prompt."""
        self.dismiss(None)
