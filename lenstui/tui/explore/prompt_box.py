"""The prompt box: a small text box in which Enter reads the prompt, which may be turns, shown in brief."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from lenstui.tui.session.history import History, Walk
from lenstui.tui.shared.hidden import shield, unshield

if TYPE_CHECKING:
    from lenstui.support.turns import Conversation


class PromptBox(TextArea):
    """The text box of the prompt. It shows stand-ins for hidden characters, which are read as they are.

    It may hold the turns of a chat, in brief, until something is typed: that is a text in their place.
    """

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
        &.-turns { color: $foreground 80%; }
    }
    """

    class Submitted(Message):
        """The message that the user wants a prompt read: a text, or turns."""

        def __init__(self, prompt: str | Conversation) -> None:
            self.prompt = prompt
            super().__init__()

        @property
        def text(self) -> str:
            """The prompt as text; of turns a line for each."""
            return self.prompt if isinstance(self.prompt, str) else self.prompt.text

    class Entered(Message):
        """The message that the prompt box has got the focus."""

    class Left(Message):
        """The message that the user wants to go to the grid."""

    def __init__(
        self, prompt: str | Conversation, history: History | None = None, *, takes_turns: bool = False
    ) -> None:
        """Make the box.

        Args:
            prompt: the prompt to begin with.
            history: the prompts that were read before.
            takes_turns: whether turns among them can be gone back to.
        """
        self._stand_ins: dict[str, str] = {}
        self._walk = Walk(history or History(), takes_turns=takes_turns)
        self._turns = None if isinstance(prompt, str) else prompt
        super().__init__(
            self._shielded(_shown(prompt)),
            classes="-text" if self._turns is None else "-turns",
            soft_wrap=True,
            highlight_cursor_line=False,
            placeholder="Type a text for the model to read, then Enter",
        )
        self.cursor_blink = False  # a blinking cursor costs 3 kB/s over SSH
        self.border_title = "prompt"
        self.move_cursor(self.document.end if self._turns is None else (0, 0))

    @property
    def prompt(self) -> str | Conversation:
        """The turns, or the typed prompt, with its hidden characters instead of the stand-ins."""
        return unshield(self.text, self._stand_ins) if self._turns is None else self._turns

    def show(self, prompt: str | Conversation) -> None:
        """Put another prompt into the box, with the cursor at the end of a text, but before turns."""
        self.text = self._shielded(_shown(prompt))
        self._hold(None if isinstance(prompt, str) else prompt)
        self.move_cursor(self.document.end if self._turns is None else (0, 0))

    def _hold(self, turns: Conversation | None) -> None:
        self._turns = turns
        self.set_class(turns is None, "-text")
        self.set_class(turns is not None, "-turns")

    def edit(self, edit: Edit) -> EditResult:
        """Edit the text; what is typed where turns are is a text in their place."""
        if self._turns is None:
            return super().edit(edit)
        self._hold(None)
        result = super().edit(replace(edit, from_location=(0, 0), to_location=self.document.end))
        self.history.clear()  # undone, the turns would come back as a text
        return result

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
        if self._turns is None and isinstance(prompt, str):
            self.replace(self._shielded(prompt), (0, 0), self.document.end)
            self.move_cursor(self.document.end)
        else:
            self.show(prompt)
        return True

    def on_focus(self, event: events.Focus) -> None:
        """Post `Entered`, unless the focus comes back with that of the terminal."""
        if not event.from_app_focus:
            self.post_message(self.Entered())

    def on_paste(self, event: events.Paste) -> None:
        """Put stand-ins for hidden characters into a pasted text, which Textual's handler inserts next."""
        event.text = self._shielded(event.text.replace("\r\n", "\n").replace("\r", "\n"))


def _shown(prompt: str | Conversation) -> str:
    return prompt if isinstance(prompt, str) else prompt.brief
