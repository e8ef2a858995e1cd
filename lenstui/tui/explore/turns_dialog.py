"""The dialog of the turns of a chat: a list to add, order and remove them, and a box with what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Label, OptionList, TextArea
from textual.widgets.option_list import Option

from lenstui.model.tokens import visible
from lenstui.support.cell_width import clip
from lenstui.support.errors import LensError
from lenstui.support.turns import ASSISTANT, ROLES, Conversation, Turn
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.shown import shown

PLAIN = ""  # the result where a text is to be typed in place of turns
LIST_KEYS = "enter reads · a add · e edit · r role · x remove · esc closes"
TEXT_KEYS = "enter reads · ctrl+j new line · esc back to the list"
NO_SWITCH = "this chat template has no thinking switch"
_SWITCH = {None: "as the template has it", True: "on", False: "off"}
_FIRST = 3 + 11  # cells of the number and the role of a turn in the list


class TurnsDialog(BoxScreen[Conversation | str | None]):
    """A dialog to write the turns of a chat. Returns them; `PLAIN` for a text in their place; or None."""

    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read", id="turns.read", tooltip="Read the turns"),
        Binding("escape", "dismiss", "Close", id="turns.close", tooltip="Leave the prompt as it was"),
        Binding("a", "add", "Add", id="turns.add", tooltip="Add a turn behind this one"),
        Binding("e", "edit", "Edit", id="turns.edit", tooltip="Edit what is said in the turn"),
        Binding("r", "next_role", "Role", id="turns.role", tooltip="The next role: user, assistant, system"),
        Binding("x,delete", "remove", "Remove", id="turns.remove", tooltip="Remove the turn"),
        Binding("J", "move(1)", "Down", id="turns.down", tooltip="Move the turn down"),
        Binding("K", "move(-1)", "Up", id="turns.up", tooltip="Move the turn up"),
        Binding("c", "close_last", "End", id="turns.end", tooltip="End the last turn, or let it go on"),
        Binding("t", "switch_thinking", "Thinking", id="turns.thinking", tooltip="The thinking switch"),
        Binding("u", "undo", "Undo", id="turns.undo", tooltip="Take the last change of the list back"),
        Binding("i", "plain", "Text", id="turns.plain", tooltip="Type a text in place of the turns"),
        Binding("tab", "app.focus_next", "List or text", id="turns.other", tooltip="From the list to it"),
        Binding("j", "list('cursor_down')", show=False),
        Binding("k", "list('cursor_up')", show=False),
    ]
    DEFAULT_CSS = """
    TurnsDialog {
        Box { width: 108; height: 94%; max-height: 34; padding: 0 1; }
        OptionList, OptionList:focus {
            border: none; height: auto; max-height: 50%; padding: 0; background: $surface;
            background-tint: $surface; scrollbar-size: 1 1;
        }
        OptionList > .option-list--option { padding: 0; }
        PromptBox, PromptBox:focus { height: 1fr; max-height: 100%; background: $surface; }
        Label { width: 1fr; padding: 0 1; color: $text-muted; }
        #turns-wrong { color: $error; display: none; }
    }
    """

    def __init__(self, prompt: str | Conversation, *, has_switch: bool) -> None:
        """Prepare the dialog.

        Args:
            prompt: the turns to begin with; a text is one turn of the user.
            has_switch: whether the chat template has a thinking switch.
        """
        super().__init__()
        self._turns: tuple[Turn, ...] = (Turn("user", prompt),) if isinstance(prompt, str) else prompt.turns
        self._thinking = None if isinstance(prompt, str) else prompt.thinking
        self._ends = not isinstance(prompt, str) and prompt.closed
        self._has_switch = has_switch
        self._before: list[tuple[Sequence[Turn], int]] = []  # for undo, the oldest first, each with its place

    def compose(self) -> ComposeResult:
        """Yield the list, the box with what is said, what comes behind the turns, and what is wrong."""
        with Box("turns", LIST_KEYS):
            yield LineList()
            said = PromptBox("")
            said.placeholder = "What is said in this turn"
            yield said
            yield Label(id="turns-behind")
            yield Label(id="turns-wrong")

    def on_mount(self) -> None:
        """Show the turns, with the last one highlighted."""
        self._show(len(self._turns) - 1)

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    @property
    def _text(self) -> PromptBox:
        return self.query_one(PromptBox)

    @property
    def _place(self) -> int:
        """The place of the highlighted turn."""
        return min(self._list.highlighted or 0, len(self._turns) - 1)

    def _show(self, place: int) -> None:
        """Show the turns, with one of them highlighted, and what it says in the box."""
        width = max(self._list.size.width or self.app.size.width - 10, 20)
        self._list.set_options([Option(_line(*each, width)) for each in enumerate(self._turns)])
        self._list.highlighted = place
        self._show_text()
        self._say_behind()

    @on(OptionList.OptionHighlighted)
    def _show_text(self) -> None:
        """Show what the highlighted turn says."""
        turn = self._turns[self._place]
        if self._text.prompt != turn.content:
            self._text.show(turn.content)
        self._text.border_title = f"turn {self._place} · {turn.role}"

    def _say_behind(self) -> None:
        """Say what comes behind the turns, and how the thinking switch is."""
        if self._ends:
            behind = "nothing, the last turn ends"
        elif self._turns[-1].role == ASSISTANT:
            behind = "the assistant goes on with the last turn"
        else:
            behind = "the assistant's turn begins"
        switch = f"{_SWITCH[self._thinking]} · t switches" if self._has_switch else NO_SWITCH
        keys = "J K move a turn · u takes a change back · i a text in place of turns"
        text = f"behind them: {behind} · c changes\nthinking: {switch}\n{keys}"
        self.query_one("#turns-behind", Label).update(shown(text))

    def _say_wrong(self, text: str = "") -> None:
        wrong = self.query_one("#turns-wrong", Label)
        wrong.update(shown(text))
        wrong.display = bool(text)

    def on_resize(self) -> None:
        """Show as much of the turns as the new width has room for."""
        self.call_after_refresh(lambda: self._show(self._place))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Write the keys of what has the focus on the frame."""
        at_list = isinstance(event.widget, OptionList)
        self.query_one(Box).border_subtitle = shown(LIST_KEYS if at_list else TEXT_KEYS)

    # ── the box with what is said ────────────────────────────────────────────────────────────────────────

    @on(TextArea.Changed)
    def take_text(self) -> None:
        """Take what is typed as what the highlighted turn says."""
        said, place = self._text.prompt, self._place
        if isinstance(said, str) and said != self._turns[place].content:
            self._turns = _with(self._turns, place, replace(self._turns[place], content=said))
            width = max(self._list.size.width, 20)
            self._list.replace_option_prompt_at_index(place, _line(place, self._turns[place], width))
            self._say_wrong()

    @on(PromptBox.Submitted)
    def submit(self, message: PromptBox.Submitted) -> None:
        """Read the turns, from the box."""
        message.stop()
        self.action_read()

    @on(PromptBox.Left)
    def leave_text(self, message: PromptBox.Left) -> None:
        """Go from the box to the list."""
        message.stop()
        self._list.focus()

    @on(OptionList.OptionSelected)
    def choose(self) -> None:
        """Read the turns, from the list."""
        self.action_read()

    # ── keys of the list ─────────────────────────────────────────────────────────────────────────────────

    def action_read(self) -> None:
        """Close the dialog with the turns, or show why they are none."""
        try:
            self.dismiss(Conversation(self._turns, self._thinking, self._ends))
        except LensError as error:
            self._say_wrong(str(error))
            empty = next((i for i, turn in enumerate(self._turns) if not turn.content.strip()), None)
            if empty is not None:
                self._list.highlighted = empty

    def action_list(self, action: str) -> None:
        """Move in the list."""
        getattr(self._list, f"action_{action}")()

    def action_add(self) -> None:
        """Add a turn behind the highlighted one, of whom it is to speak next, and type what is said."""
        place = self._place + 1
        role = ASSISTANT if self._turns[self._place].role == "user" else "user"
        self._change((*self._turns[:place], Turn(role, ""), *self._turns[place:]), place)
        self._text.focus()

    def action_edit(self) -> None:
        """Edit what the highlighted turn says."""
        self._text.focus()

    def action_next_role(self) -> None:
        """Give the highlighted turn to the next role."""
        turn = self._turns[self._place]
        role = ROLES[(ROLES.index(turn.role) + 1) % len(ROLES)]
        self._change(_with(self._turns, self._place, replace(turn, role=role)), self._place)

    def action_remove(self) -> None:
        """Remove the highlighted turn; the only one is emptied."""
        place = self._place
        left = (*self._turns[:place], *self._turns[place + 1 :])
        self._change(left or (Turn("user", ""),), max(min(place, len(left) - 1), 0))

    def action_move(self, by: int) -> None:
        """Move the highlighted turn in the list."""
        place, other = self._place, self._place + by
        if 0 <= other < len(self._turns):
            turns = list(self._turns)
            turns[place], turns[other] = turns[other], turns[place]
            self._change(turns, other)

    def action_close_last(self) -> None:
        """End the last turn, or let the assistant speak behind it or go on with it."""
        self._ends = not self._ends
        self._say_behind()

    def action_switch_thinking(self) -> None:
        """Switch thinking: as the template has it, on, off."""
        if not self._has_switch:
            self._tell(f"There is nothing to switch: {NO_SWITCH}.")
            return
        states = list(_SWITCH)
        self._thinking = states[(states.index(self._thinking) + 1) % len(states)]
        self._say_behind()

    def action_undo(self) -> None:
        """Take the last change of the list back."""
        if self._before:
            turns, place = self._before.pop()
            self._turns = tuple(turns)
            self._show(place)
        else:
            self._tell("No change is left to take back.")

    def action_plain(self) -> None:
        """Close the dialog, to type a text in place of the turns."""
        self.dismiss(PLAIN)

    def _change(self, turns: Sequence[Turn], place: int) -> None:
        self._before.append((self._turns, self._place))
        self._turns = tuple(turns)
        self._say_wrong()
        self._show(place)


def _with(turns: Sequence[Turn], place: int, turn: Turn) -> tuple[Turn, ...]:
    return (*turns[:place], turn, *turns[place + 1 :])


def _line(place: int, turn: Turn, width: int) -> Text:
    """Return a turn on one line of the list."""
    said = visible(turn.content).replace("·", " ") or "(empty)"
    style = "" if turn.content.strip() else "dim"
    return Text.assemble(
        (f"{place:>2} ", "dim"), (f"{turn.role:<11}", "bold"), (clip(said, width - _FIRST), style)
    )
