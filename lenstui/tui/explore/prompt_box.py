"""The prompt box: a small text box in which Enter reads the prompt."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from lenstui.tui.session.history import History, Walk
from lenstui.tui.shared.hidden import shield, unshield


class PromptBox(TextArea):
    """The text box of the prompt. It shows stand-ins for hidden characters, which are read as they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read the prompt", id="prompt.read", priority=True),
        Binding("escape", "leave", "To the grid", id="prompt.leave"),
        Binding("ctrl+u", "clear", "Clear", tooltip="Empty the prompt", id="prompt.clear"),
        Binding("ctrl+j,alt+enter", "newline", "New line", show=False, id="prompt.newline"),
    ]
    DEFAULT_CSS = """
    PromptBox {
        height: auto;
        max-height: 6;
        border: round $border-blurred;
        background: $background;
        padding: 0 1;
        scrollbar-size: 1 1;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &:focus { border: round $border; border-title-color: $foreground; }
    }
    """

    class Submitted(Message):
        """The message that the user wants a prompt read."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Entered(Message):
        """The message that the prompt box has got the focus."""

    class Left(Message):
        """The message that the user wants to go to the grid."""

    def __init__(self, text: str, history: History | None = None) -> None:
        self._stand_ins: dict[str, str] = {}
        self._walk = Walk(history or History())
        super().__init__(
            self._shielded(text),
            soft_wrap=True,
            highlight_cursor_line=False,
            placeholder="Type a text for the model to read, then Enter",
        )
        self.cursor_blink = False  # a blinking cursor costs 3 kB/s over SSH
        self.border_title = "prompt"
        self.move_cursor(self.document.end)

    @property
    def prompt(self) -> str:
        """The typed prompt, with its hidden characters instead of the stand-ins."""
        return unshield(self.text, self._stand_ins)

    def show(self, text: str) -> None:
        """Put another text into the box, with the cursor at its end."""
        self.text = self._shielded(text)
        self.move_cursor(self.document.end)

    def _shielded(self, text: str) -> str:
        shown, stand_ins = shield(text)
        self._stand_ins.update(stand_ins)
        return shown

    def action_read(self) -> None:
        """Ask for the prompt to be read."""
        self.post_message(self.Submitted(self.prompt))

    def action_leave(self) -> None:
        """Ask for the focus to go to the grid."""
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """Empty the prompt."""
        self.clear()

    def action_newline(self) -> None:
        """Put a line break into the prompt."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """Go a line up; from the first line, go to the previous prompt of the history."""
        if select or not self.navigator.is_first_wrapped_line(self.cursor_location) or not self._go(1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Go a line down; from the last line, go to the next prompt of the history."""
        if select or not self.navigator.is_last_wrapped_line(self.cursor_location) or not self._go(-1):
            super().action_cursor_down(select)

    def _go(self, back: int) -> bool:
        """Show an earlier prompt of the history (1) or a later one (-1), and return whether there is one."""
        prompt = self._walk.step(back, self.prompt)
        if prompt is None:
            return False
        self.replace(self._shielded(prompt), (0, 0), self.document.end)
        self.move_cursor(self.document.end)
        return True

    def on_focus(self, event: events.Focus) -> None:
        """Post `Entered`, unless the focus comes back with that of the terminal."""
        if not event.from_app_focus:
            self.post_message(self.Entered())

    def on_paste(self, event: events.Paste) -> None:
        """Put stand-ins for hidden characters into a pasted text, which Textual's handler inserts next."""
        event.text = self._shielded(event.text.replace("\r\n", "\n").replace("\r", "\n"))
