"""The export of what Explore shows: by a dialog, and by two keys that copy at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.export.clips import Clip, cell_text, column_text, row_text, table_text, top_line
from lenstui.export.names import proposed_path, shown_path
from lenstui.export.shape import ALL_VALUES, PINS, Shape
from lenstui.jobs.export import Order
from lenstui.jobs.export_things import COPIES, FILES, PIN_FILES, REPORT, THINGS, Thing
from lenstui.lens.names import key_of_model, keys_of
from lenstui.opening.side_facts import are_of_one_file
from lenstui.readout.cells import Cells
from lenstui.support.printable import printable
from lenstui.support.turns import text_of
from lenstui.tui.explore.cell_words import why_no_token
from lenstui.tui.shared.nothing_yet import NO_PROMPT
from lenstui.tui.shared.side_names import side_name, told_apart
from lenstui.tui.shared.textual_hacks import painted

if TYPE_CHECKING:
    from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
    from lenstui.opening.side_facts import SideFacts
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.explore.widgets import Widgets
    from lenstui.tui.export.dialog import ExportDialog
    from lenstui.tui.services import Services

ALONE = "{} is of one prompt, by one or two models, with edits of one alone: - removes {} first."
KEEPING = "Keeping the view …"  # until it is said that it is kept, or why not
KEEPING_SECONDS = 60.0
# Bytes that a terminal takes by OSC 52: xterm and others drop a sequence of more than 100,000 characters.
CLIPBOARD_LIMIT = 74_994
IN_TMUX = "In tmux this takes:  set -g set-clipboard on"
_SHOWN = 60  # characters of a copied text that are shown


def _keys_of_sides(sides: Sequence[SideFacts]) -> list[str]:
    """Return a key for each side: that of its lens, of several models with the name of its own."""
    models = {side.model_number for side in sides}
    keys, names = [""] * len(sides), told_apart(sides)
    for model in models:
        places = [place for place, side in enumerate(sides) if side.model_number == model]
        own = [sides[place] for place in places]
        lenses = [(side.kind, "edited" if side.edits else side.lens) for side in own]
        for place, key in zip(places, keys_of(lenses), strict=True):
            keys[place] = key if len(models) == 1 else key_of_model(key, names[place])
    return keys


class Export:
    """The part of Explore that writes what is on screen to files, or copies it; the dialog's `Giver`."""

    def __init__(self, state: ExploreState, widgets: Widgets, services: Services) -> None:
        self._state = state
        self._widgets = widgets
        self._services = services
        self._dialog: ExportDialog | None = None  # while the dialog is open
        self._orders = 0
        self._copied = False  # whether anything was copied, after which the hint about tmux is known

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self) -> None:
        """Open the dialog that asks which form to export, and to which file."""
        if reason := self.why_not_ask():
            self._services.tell(reason)
            return

        def closed(_: None) -> None:
            self._dialog = None

        self._dialog = self._services.choose_export(self, *self.things, closed)

    def why_not_ask(self) -> str:
        """Return why there is nothing to export; nothing where there is."""
        return "" if self._state.columns else NO_PROMPT

    def keep(self) -> None:
        """Keep the readout in the lab notebook."""
        if reason := self.why_not_keep():
            self._services.tell(reason)
            return
        self._services.tell(KEEPING, seconds=KEEPING_SECONDS)
        order = self._order(None)
        shape = replace(order.shape, format="md")
        self._services.exports.take(replace(order, shape=shape, is_kept=True), self._post)

    def why_not_keep(self) -> str:
        """Return why there is no readout to keep; nothing where there may be one."""
        return self._why_several("A kept view")

    def copy_cell(self) -> None:
        """Copy the likeliest tokens of the cell under the cursor, as many as each cell shows."""
        if reason := self.why_not_copy_cell():
            self._services.tell(reason)
            return
        panes = self._widgets.panes
        cursor, cells = panes.cursor, panes.grids[panes.shown].cells
        assert cells is not None
        line = top_line(cells, self._state.texts, cursor.row, cursor.column, self._depth_shown)
        self._copy(THINGS["cell"], line)

    def why_not_copy_cell(self) -> str:
        """Return why the cell under the cursor has no tokens to copy; nothing where it has."""
        panes = self._widgets.panes
        cursor, cells = panes.cursor, panes.grids[panes.shown].cells
        if cells is not None and cells.top_ids[cursor.row, cursor.column, 0] >= 0:
            return ""
        return why_no_token(self._state, panes) if self._state.columns else NO_PROMPT

    def copy_command(self) -> None:
        """Copy the command that repeats the readout."""
        if reason := self.why_no_command():
            self._services.tell(reason)
        else:
            self._services.exports.take_command(self._order(None), self._post)

    def why_no_command(self) -> str:
        """Return why no command repeats the readout; nothing where one may."""
        return self._why_several("A command")

    def _why_several(self, what: str) -> str:
        """Return that there is no prompt, or that no file can hold all that is on screen; else nothing."""
        if not self._state.columns:
            return NO_PROMPT
        sides = self._sides
        first_out = (n for n in range(len(sides)) if not are_of_one_file(sides[: n + 1]))
        if (n := next(first_out, None)) is None:
            return ""
        return ALONE.format(what, side_name(sides[n], self._state.sides))

    @property
    def things(self) -> tuple[Sequence[Thing], Sequence[Thing]]:
        """The forms that can be written to a file, and the forms that can be copied.

        While several prompts or more than two models are on screen, there is of these only a picture of the
        screen: no other form can hold them.
        """
        if not are_of_one_file(self._sides):
            return [THINGS["screen"], REPORT], []
        return (*FILES, *(PIN_FILES if self._widgets.panel.pins else ()), REPORT), COPIES

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Return the file that a form is written to, unless the user names another one."""
        assert self._state.model is not None
        if thing is REPORT:
            return proposed_path("lab notebook", "", thing.ending)
        part = "" if not thing.copies and thing.key != "screen" else thing.key
        return proposed_path(self._state.model.label, text_of(self._state.prompt), thing.ending, part)

    def take(self, thing: Thing, path: Path | None, remark: str | None = None) -> None:
        """Write a form to a file, or copy the form if `path` is None; the outcome is shown to the user."""
        order, exports = replace(self._order(path), remark=remark), self._services.exports
        if thing.key == "command":
            exports.take_command(order, self._post)
        elif thing is REPORT:
            exports.take_report(order, self._post)
        elif thing.key == "screen":
            exports.take(replace(order, text=self.picture(), is_picture=True), self._post)
        elif thing.key == "markdown" or not thing.copies:
            form = "md" if thing.copies else thing.key
            diff = order.shape.diff and form not in ALL_VALUES  # those forms have the numbers of both lenses
            shape = replace(order.shape, format=form, diff=diff)
            if thing in PIN_FILES:
                form = form.removeprefix("pins-")
                column = self._widgets.panes.cursor.column
                shape = replace(order.shape, format=form, diff=False, figure=PINS, column=column)
            exports.take(replace(order, shape=shape), self._post)
        elif text := self._clip(thing.key):
            if path is not None:
                exports.take(replace(order, text=text), self._post)
            else:
                self._copy(thing, text)

    def give_up(self) -> None:
        """Stop the export that is under way."""
        self._orders += 1
        self._services.exports.stop()

    def picture(self) -> str:
        """Return Explore as an SVG picture, without the dialogs and notifications over it."""
        from io import StringIO

        from rich.console import Console

        width, height = self._widgets.screen.app.size
        console = Console(
            width=width, height=height, file=StringIO(), force_terminal=True, color_system="truecolor",
            record=True, legacy_windows=False, safe_box=False,
        )  # fmt: skip  # as Textual's `export_screenshot` has it
        console.print(painted(self._widgets.screen))
        return console.export_svg(title="lenstui")

    def _post(self, message: Message) -> None:
        self._services.post_to(self._widgets.screen)(message)

    def _order(self, path: Path | None) -> Order:
        panes = self._widgets.panes
        self._orders += 1
        shape = Shape(output=path, value=panes.value.key, diff=panes.difference)
        serial, start = self._state.serial, self._services.start
        return Order(self._orders, serial, shape, start, self._depth_shown, places=self._places)

    @property
    def _sides(self) -> Sequence[SideFacts]:
        """The sides that are exported."""
        sides = self._state.sides
        return [sides[place] for place in self._places or range(len(sides))]

    @property
    def _places(self) -> tuple[int, ...]:
        """The places of the sides that are exported: the two of a difference on screen; empty for all.

        Where some sides are edited, they are those with the active one's edits.
        """
        panes, sides = self._widgets.panes, self._state.sides
        if panes.difference:
            return panes.pair
        run = sides[panes.active].edits.in_force
        same = tuple(place for place, side in enumerate(sides) if side.edits.in_force == run)
        return () if len(same) == len(sides) else same

    @property
    def _depth_shown(self) -> int:
        return max(self._widgets.grids[0].depth, 1)

    def _clip(self, part: str) -> str | None:
        """Return a part of the readout as text; None, and tell the user, if a column is not read yet."""
        state, panes, lenses = self._state, self._widgets.panes, dict[str, Cells]()
        keys = _keys_of_sides(state.sides)
        for place in self._places or range(len(keys)):
            grid = panes.grids[place]
            if grid.display and grid.cells is not None:
                lenses[keys[place]] = grid.cells
        pins = tuple(pin.name for pin in self._widgets.panel.pins)
        words_only = state.shown_reading.words_only
        other_rows = {keys[place]: rows for place, rows in state.other_rows.items()}
        clip = Clip(state.rows, state.columns, lenses, state.texts, panes.value, pins, words_only, other_rows)
        cursor = panes.cursor
        unread = clip.unread(cursor.column if part in {"column", "cell"} else None) if lenses else 0
        if unread is not None:
            self._fail(f"Column {unread} is not read yet: try again in a moment.")
            return None
        if part == "cell":
            return cell_text(clip, cursor.row, cursor.column)
        if part == "row":
            return row_text(clip, cursor.row)
        if part == "column":
            return column_text(clip, cursor.column)
        return table_text(clip, diff=panes.difference)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def show_progress(self, message: ExportProgress) -> None:
        """Show in the dialog how many columns an export has read."""
        if message.number == self._orders and self._dialog is not None:
            self._dialog.say(f"reading … {message.done} of {message.columns} columns · esc gives it up")

    def say_written(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self._close(message.number)
        text = printable(f"Written: {shown_path(message.path)}")
        self._services.notify(f"{message.remark} {text}" if message.remark else text, seconds=12)

    def copy_text(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        if message.number == self._orders:
            self._copy(message.thing, message.text)

    def say_failed(self, message: NotTaken) -> None:
        """Show why an export failed; the dialog stays open."""
        if message.number == self._orders:
            self._fail(message.text)

    def _fail(self, text: str) -> None:
        if self._dialog is not None:
            self._dialog.say(text, wrong=True)
        else:
            self._services.clear_notifications()
            self._services.notify(printable(text), severity="warning", seconds=8)

    def _close(self, number: int) -> None:
        if number == self._orders and self._dialog is not None:
            self._dialog.finish()

    def _copy(self, thing: Thing, text: str) -> None:
        """Copy a text by OSC 52; if the text is too long for many terminals, write it to a file instead."""
        size = len(text.encode())
        if size > CLIPBOARD_LIMIT:
            remark = f"{size / 1000:.0f} kB are more than many terminals copy."
            self.take(thing, self.proposed(thing), remark)
            return
        self._close(self._orders)
        self._services.copy(text)
        lines = text.rstrip("\n").split("\n")
        shown = lines[0].replace("\t", "  ")
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …"
        count = f" {len(lines)} lines" if len(lines) > 1 else ""
        hint = "" if self._copied or not os.environ.get("TMUX") else f"\n{IN_TMUX}"
        self._copied = True
        self._services.tell(f"Copied{count}: {shown}{hint}", seconds=6)
