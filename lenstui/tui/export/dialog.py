"""The dialog for the choice of what to export, to a file or to the clipboard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from rich.cells import set_cell_size
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from lenstui.export.names import is_there, shown_path, typed_path
from lenstui.jobs.export_things import COPIES, FILES, Thing
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError
from lenstui.support.paths import made
from lenstui.support.printable import printable
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.question import Question
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import ONE_LINE, StillInput

_NAME = 19  # cells that the name of a thing takes


class Giver(Protocol):
    """A screen from which things can be exported."""

    def proposed(self, thing: Thing) -> Path:
        """Return the path of a file that a thing might go to."""

    def take(self, thing: Thing, path: Path | None) -> None:
        """Export a thing to a file, or to the clipboard where the path is None."""

    def give_up(self) -> None:
        """Stop the export under way."""


class ExportDialog(BoxScreen[None]):
    """A list of what can be exported, and the file that it goes to, until that is done or given up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="export.close"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="export.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="export.up"),
        Binding("down", "list('cursor_down')", show=False),
        Binding("up", "list('cursor_up')", show=False),
        Binding(
            "f", "to_file", "To a file", tooltip="A text to a file, not to the clipboard, or back",
            id="export.to_file",
        ),
    ]  # fmt: skip
    DEFAULT_CSS = """
    ExportDialog {
        Box { width: 90; max-width: 98%; max-height: 100%; border-subtitle-color: $text-muted; padding: 0 1; }
        OptionList, OptionList:focus {
            border: none; height: auto; max-height: 63vh; padding: 0; background: $surface;
            scrollbar-size: 1 1; background-tint: $surface;
        }
        #export-place { height: 1; margin: 1 0; padding: 0 1; }
        #export-to { width: 6; color: $text-muted; }
        Input { width: 1fr; }
        #export-clipboard { width: 1fr; }
        #export-said { width: 1fr; height: 2; padding: 0 1; color: $text-muted; }
        #export-said.-wrong { color: $error; }
    }
    """

    def __init__(
        self, giver: Giver, files: Sequence[Thing] = FILES, copies: Sequence[Thing] = COPIES
    ) -> None:
        super().__init__()
        self._giver = giver
        self._files, self._copies = files, copies
        self._things = {thing.key: thing for thing in (*files, *copies)}
        self._thing = files[0]
        self._to_file = False  # whether a text goes to a file, not to the clipboard
        self._proposed = ""
        self._busy = False
        self._done = False

    def compose(self) -> ComposeResult:
        """Yield the list, the file or the clipboard that the export goes to, and a line for remarks."""
        with Box("export", "enter exports · tab file name · f file or clipboard · esc closes"):
            yield LineList(*_options(self._files, self._copies), compact=True)
            with Horizontal(id="export-place"):
                yield Label("to", id="export-to")
                yield StillInput(select_on_focus=False, restrict=ONE_LINE)
                yield Label(Text("the clipboard"), id="export-clipboard")
            yield Label(id="export-said")

    def on_mount(self) -> None:
        """Highlight the first thing of the list, and focus the list."""
        things = self.query_one(OptionList)
        things.highlighted = things.get_option_index(self._thing.key)
        things.focus()
        self._choose(self._thing)
        self.watch(self.query_one(Input), "scroll_x", self._show_place, init=False)

    # ── what is chosen ───────────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionHighlighted)
    def highlight(self, message: OptionList.OptionHighlighted) -> None:
        """Choose the highlighted thing, and show where it would go."""
        if message.option_id in self._things:
            self._choose(self._things[message.option_id])

    def _choose(self, thing: Thing) -> None:
        before, name = self._thing, self.query_one(Input)
        self._thing = thing
        proposed = shown_path(self._giver.proposed(thing))
        if name.value == self._proposed:
            name.value = proposed
        elif name.value.endswith(before.ending):  # the name was edited: it stays, but for the ending
            name.value = name.value.removesuffix(before.ending) + thing.ending
        self._proposed = proposed
        self.call_after_refresh(self._show_end)
        self._show_place()

    def _show_end(self) -> None:
        """Move the cursor to the end of the file's name, where the name is edited."""
        name = self.query_one(Input)
        name.cursor_position = 0
        name.cursor_position = len(name.value)

    @property
    def goes_to_file(self) -> bool:
        """Whether the chosen thing is written to a file, not copied to the clipboard."""
        return self._to_file or not self._thing.copies

    def _show_place(self) -> None:
        name, to_file = self.query_one(Input), self.goes_to_file
        if not to_file and name.has_focus:
            self.query_one(OptionList).focus()
        name.display = to_file
        self.query_one("#export-clipboard").display = not to_file
        cut = " …" if name.scroll_x > 0 else ""  # right before the part of the name that is seen
        self.query_one("#export-to", Label).update(f"file{cut}" if to_file else "to")
        if not self._busy:
            self.say(clipboard_remark() if not to_file else "")

    def action_list(self, action: str) -> None:
        """Move in the list, wherever the focus is."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_to_file(self) -> None:
        """Send the chosen text to a file instead of the clipboard, or back."""
        if not self._thing.copies:
            self.say(f"{self._thing.label}: it goes to a file. The texts below it go to either.")
            return
        self._to_file = not self._to_file
        self._show_place()

    # ── what is done ─────────────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def take(self) -> None:
        """Begin to export the chosen thing, after a question where its file is there already."""
        if self._busy:
            return
        if not self.goes_to_file:
            self._begin(None)
            return
        try:
            path = typed_path(self.query_one(Input).value)
            if not (there := is_there(path)) and not path.suffix:
                path = path.with_name(path.name + self._thing.ending)
                there = is_there(path)
            made(path.parent)
            check_place(path)
        except LensError as error:
            self.say(str(error), wrong=True)
            return
        if there:
            text = printable(f"{shown_path(path)} is there already. Overwrite it?")
            question = Question("overwrite?", text)
            self.app.push_screen(question, lambda yes: self._begin(path) if yes else None)
        else:
            self._begin(path)

    def _begin(self, path: Path | None) -> None:
        self._busy = True
        self.say("working … · esc gives it up")
        self._giver.take(self._thing, path)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a remark; where it says what is `wrong`, the user may choose again."""
        said = self.query_one("#export-said", Label)
        said.set_class(wrong, "-wrong")
        said.update(shown(text))
        if wrong:
            self._busy = False

    def finish(self) -> None:
        """Note that the export is done, and close as soon as nothing else is over the dialog."""
        self._done = True
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        """Close the dialog, if the export is done and nothing is over the dialog any more."""
        if self._done and self.is_current:
            self.dismiss()

    def action_leave(self) -> None:
        """Close the dialog, and give up an export that is under way."""
        if self._busy:
            self._giver.give_up()
        self.dismiss()


def clipboard_remark() -> str:
    """Return a remark on what it takes for a copied text to reach the clipboard."""
    if os.environ.get("TMUX"):
        return (
            "In tmux it arrives only with: set -g set-clipboard on (in each tmux on the way). f: to a file."
        )
    if os.environ.get("STY"):
        return "GNU screen passes no clipboard on (OSC 52): f puts it into a file instead."
    return "By OSC 52, which most terminals obey, also over SSH; if yours does not, f puts it into a file."


def _options(files: Sequence[Thing], copies: Sequence[Thing]) -> list[Option | None]:
    def option(thing: Thing) -> Option:
        return Option(
            Text.assemble((set_cell_size(thing.label, _NAME), "bold"), " ", (thing.does, "dim")), id=thing.key
        )

    def heading(text: str) -> Option:
        return Option(Text(text, style="italic"), disabled=True)

    to_clipboard = [heading("to the clipboard"), *map(option, copies)] if copies else []
    return [heading("to a file"), *map(option, files), *to_clipboard]
