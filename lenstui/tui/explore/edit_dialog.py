"""The dialog with the edits of a side: a list to switch, order and remove them, and a line to type one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from lenstui.edits.language import EditError, parse_edit
from lenstui.support.printable import printable
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import StillInput

if TYPE_CHECKING:
    from lenstui.edits.edit_list import EditList, Entry
    from lenstui.tui.services import Services

FORMS = """\
ablate COMPONENT [@COLUMNS] [zero | mean]
patch COMPONENT [@COLUMNS] "PROMPT" [COMPONENT] [@COLUMNS]
steer WORD [@COLUMNS] rows 3-6 by 2
steer "PROMPT" -> "PROMPT" [@COLUMNS] rows 3-6 by 2
swap WORD WORD [@COLUMNS] rows 3-6
cut 4.7 9<-2    column 9 may not read column 2 by head 7 of block 4

COMPONENT  4.attn  4.mlp  4.7 (head)  4.mlp.812 (neuron)  row 4  emb
COLUMNS    3  3-6  3,5  last; without any, all of them"""
_ON, _OFF = "●", "○"


class EditDialog(BoxScreen[None]):
    """A dialog that changes the edits of a side. Each change takes effect at once."""

    AUTO_FOCUS = "StillInput"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="edits.close"),
        Binding("space", "switch", "On or off", id="edits.switch", tooltip="Switch the edit on or off"),
        Binding("e,enter", "change", "Change", id="edits.change", tooltip="Type the edit anew"),
        Binding("x,delete", "remove", "Remove", id="edits.remove", tooltip="Remove the edit"),
        Binding("J", "move(1)", "Down", id="edits.down", tooltip="Move the edit down"),
        Binding("K", "move(-1)", "Up", id="edits.up", tooltip="Move the edit up"),
        Binding("u", "undo", "Undo", id="edits.undo", tooltip="Take the last change back"),
        Binding(
            "tab", "app.focus_next", "List or line", id="edits.other", tooltip="From the list to the line"
        ),
        Binding("j", "list('cursor_down')", show=False),
        Binding("k", "list('cursor_up')", show=False),
    ]
    DEFAULT_CSS = """
    EditDialog {
        Box { width: 92; }
        OptionList, OptionList:focus {
            border: none; height: auto; max-height: 10; padding: 0; margin-bottom: 1; background: $surface;
            background-tint: $surface; scrollbar-size: 1 1;
        }
        OptionList > .option-list--option { padding: 0; }
        Label { width: 1fr; color: $text-muted; }
        #edits-wrong { color: $error; margin-bottom: 1; }
    }
    """

    def __init__(
        self, edits: EditList, name: str, services: Services, put: Callable[[EditList], None]
    ) -> None:
        """Prepare the dialog.

        Args:
            edits: the edits of the side.
            name: the name of the side, for the title.
            services: the services of the program.
            put: has other edits done on the side.
        """
        super().__init__()
        self._edits, self._side, self._services, self._put = edits, name, services, put
        self._before: list[EditList] = []  # for undo, the oldest first
        self._changed: int | None = None  # the place of the edit that is typed anew; None for a new one

    def compose(self) -> ComposeResult:
        """Yield the list, the line to type an edit into, what is wrong with it, and the forms of edits."""
        with Box(f"edits of the {self._side}", ""):
            yield LineList()
            yield StillInput(placeholder="an edit, such as: ablate 4.attn @3", select_on_focus=False)
            yield Label(id="edits-wrong")
            yield Label(Text(FORMS))

    def on_mount(self) -> None:
        """Show the edits, and follow them as they change."""
        self._show()

    def show_edits(self, edits: EditList) -> None:
        """Show the edits that the side has now; a change that was refused is gone with that."""
        self._edits = edits
        self._show()

    def _show(self) -> None:
        lines, entries = self.query_one(OptionList), self._edits.entries
        place = lines.highlighted or 0
        lines.set_options([Option(_line(entry)) for entry in entries])
        lines.display = bool(entries)
        if entries:
            lines.highlighted = min(place, len(entries) - 1)
        self._say_keys()

    def _say_keys(self) -> None:
        at_list = isinstance(self.focused, OptionList)
        keys = "space on/off · e change · x remove · u undo · tab line · esc closes"
        line = "enter adds" if self._changed is None else "enter changes"
        other = " · tab list" if self._edits else ""
        self.query_one(Box).border_subtitle = shown(keys if at_list else f"{line}{other} · esc closes")

    def on_descendant_focus(self) -> None:
        """Write the keys of what has the focus on the frame."""
        self._say_keys()

    @on(Input.Changed)
    def forget_error(self) -> None:
        """Remove the error of an edit that is typed on."""
        self.query_one("#edits-wrong", Label).update("")

    @on(Input.Submitted)
    def submit(self, message: Input.Submitted) -> None:
        """Add the typed edit, or change the chosen one to it; show what is wrong with it."""
        if not message.value.strip():
            return
        try:
            edit = parse_edit(message.value)
        except EditError as error:
            self.query_one("#edits-wrong", Label).update(_pointing(error))
            return
        self._apply(self._edits.with_edit(edit, self._changed))
        self._changed = None
        message.input.value = ""
        self._say_keys()

    @on(OptionList.OptionSelected)
    def change_chosen(self) -> None:
        """Type the highlighted edit anew."""
        self.action_change()

    # ── keys of the list ─────────────────────────────────────────────────────────────────────────────────

    def action_list(self, action: str) -> None:
        """Move in the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_switch(self) -> None:
        """Switch the highlighted edit on or off."""
        if (place := self._place) is not None:
            self._apply(self._edits.switched(place))

    def action_change(self) -> None:
        """Put the highlighted edit into the line, to be typed anew."""
        if (place := self._place) is not None:
            line = self.query_one(StillInput)
            self._changed = place
            line.value = self._edits.entries[place].edit.text
            line.focus()

    def action_remove(self) -> None:
        """Remove the highlighted edit."""
        if (place := self._place) is not None:
            self._apply(self._edits.without(place))
            if not self._edits:
                self.query_one(StillInput).focus()

    def action_move(self, by: int) -> None:
        """Move the highlighted edit in the list."""
        if (place := self._place) is not None:
            self._apply(self._edits.moved(place, by))
            self.query_one(OptionList).highlighted = max(0, min(place + by, len(self._edits.entries) - 1))

    def action_undo(self) -> None:
        """Take the last change back."""
        if not self._before:
            self._services.tell("No change is left to take back.")
            return
        edits = self._before.pop()
        self._put(edits)
        self.show_edits(edits)

    @property
    def _place(self) -> int | None:
        """The place of the highlighted edit; None where there is none."""
        return self.query_one(OptionList).highlighted if self._edits else None

    def _apply(self, edits: EditList) -> None:
        self._before.append(self._edits)
        self._put(edits)
        self.show_edits(edits)


def _line(entry: Entry) -> Text:
    text = printable(entry.edit.text)
    return Text.assemble(f"{_ON if entry.is_on else _OFF} ", (text, "" if entry.is_on else "dim"))


def _pointing(error: EditError) -> Text:
    """Return what is wrong with a typed edit, under the place where it is."""
    width = max(1, error.stop - error.start)
    pointer = " " * len(printable(error.text[: error.start])) + "^" * width
    return Text(f"{printable(error.text)}\n{pointer}\n{error.reason}")
