"""What Explore does to take away what it shows: a dialog, and two keys that copy at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lenstui.export.clips import Clip, cell_text, column_text, row_text, table_text, top_line
from lenstui.export.names import proposed_path, shown_path
from lenstui.export.shape import ALL_VALUES, Shape
from lenstui.jobs.export import Order
from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import COPIES, FILES, THINGS, Thing
from lenstui.lens.names import keys_of
from lenstui.opening.side_facts import are_of_one_prompt
from lenstui.readout.cells import Cells
from lenstui.support.printable import printable
from lenstui.tui.explore.growth import ExploreGrowth
from lenstui.tui.explore.pins import ExplorePins
from lenstui.tui.shared.side_names import side_name
from lenstui.tui.shared.textual_hacks import painted

if TYPE_CHECKING:
    from lenstui.tui.export.dialog import ExportDialog

ALONE = "A command is of one model and prompt, and other sides are on screen: - takes {} away first."
NOTHING = "Nothing is read yet: there is nothing to take away."
# Bytes that a terminal takes by OSC 52: xterm and others drop a sequence of more than 100,000 characters.
CLIPBOARD_LIMIT = 74_994
IN_TMUX = "In tmux this takes:  set -g set-clipboard on"
_SHOWN = 60  # characters of a copied text that are shown


class ExploreExport(ExploreGrowth, ExplorePins):
    """Explore with ways out for what it shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "x", "export", "Export", show=False, id="explore.export",
            tooltip="Take it away: to a file, or to the clipboard",
        ),
        Binding(
            "y", "copy_cell", "Copy tokens", show=False, id="explore.copy_cell",
            tooltip="Copy the cell's likeliest tokens",
        ),
        Binding(
            "Y", "copy_command", "Copy command", show=False, id="explore.copy_command",
            tooltip="Copy the command that reads the same",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._exports: ExportDialog | None = None  # the dialog, while it is open
        self._orders = 0
        self._copied = False  # anything: then it is known what it takes

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_export(self) -> None:
        """Ask what, and where to."""
        if not self.columns:
            self._tell(NOTHING)
            return
        from lenstui.tui.export.dialog import ExportDialog  # which the first paint can do without

        def closed(_: None) -> None:
            self._exports = None

        self._exports = ExportDialog(self, *self.things)
        self.app.push_screen(self._exports, closed)

    def action_copy_cell(self) -> None:
        """Copy what the cell under the cursor shows."""
        cursor, cells = self.panes.cursor, self.grids[self.panes.shown].cells
        if cells is None or cells.top_ids[cursor.row, cursor.column, 0] < 0:
            self._tell(self._why_no_token if self.columns else NOTHING)
            return
        line = top_line(cells, self._texts, cursor.row, cursor.column, self._depth_shown)
        self._copy(THINGS["cell"], line)

    def action_copy_command(self) -> None:
        """Copy the command that reads the same."""
        if not self.columns:
            self._tell(NOTHING)
        elif not are_of_one_prompt(self.sides):
            first = self.sides[0]
            other = next(side for side in self.sides if not are_of_one_prompt((first, side)))
            self._tell(ALONE.format(side_name(other, self.sides)))
        else:
            self._app.exports.take_command(self._order(None))

    @property
    def things(self) -> tuple[Sequence[Thing], Sequence[Thing]]:
        """What can be taken: to files, and to the clipboard.

        Of several models or prompts there is a picture: every other file is of one model and one prompt.
        """
        return (FILES, COPIES) if are_of_one_prompt(self.sides) else ([THINGS["screen"]], [])

    # ── what the dialog asks for ─────────────────────────────────────────────────────────────────────────

    def proposed(self, thing: Thing) -> Path:
        """Where a thing might go."""
        assert self._model is not None
        part = "" if not thing.copies and thing.key != "screen" else thing.key
        return proposed_path(self._model.name, self._prompt, thing.ending, part)

    def take(self, thing: Thing, path: Path | None, remark: str | None = None) -> None:
        """Export a thing to a file, or to the clipboard if `path` is None; a message reports the outcome."""
        order, exports = replace(self._order(path), remark=remark), self._app.exports
        if thing.key == "command":
            exports.take_command(order)
        elif thing.key == "screen":
            exports.take(replace(order, text=self.picture(), is_picture=True))
        elif thing.key == "markdown" or not thing.copies:
            form = "md" if thing.copies else thing.key
            diff = order.shape.diff and form not in ALL_VALUES  # which have the numbers of both lenses
            exports.take(replace(order, shape=replace(order.shape, format=form, diff=diff)))
        elif text := self._clip(thing.key):
            if path is not None:
                exports.take(replace(order, text=text))
            else:
                self._copy(thing, text)

    def give_up(self) -> None:
        """Stop what is under way."""
        self._orders += 1
        self._app.exports.stop()

    def picture(self) -> str:
        """Explore as an SVG picture, without what is over it."""
        from io import StringIO

        from rich.console import Console

        width, height = self.app.size
        console = Console(
            width=width, height=height, file=StringIO(), force_terminal=True, color_system="truecolor",
            record=True, legacy_windows=False, safe_box=False,
        )  # fmt: skip  # as Textual's `export_screenshot` has it
        console.print(painted(self))
        return console.export_svg(title="lenstui")

    def _order(self, path: Path | None) -> Order:
        self._orders += 1
        shape = Shape(output=path, value=self.panes.value.key, diff=self.panes.difference)
        return Order(
            self._orders, self.serial, shape, self._app.start, self._depth_shown, places=self._places
        )

    @property
    def _places(self) -> tuple[int, ...]:
        """The sides that are taken: of a difference its two; empty for all."""
        return self.panes.pair if self.panes.difference else ()

    @property
    def _depth_shown(self) -> int:
        return max(self.grids[0].depth, 1)

    def _clip(self, part: str) -> str | None:
        """A part of what is on screen as text; None if it is not read yet, which is said."""
        lenses: dict[str, Cells] = {}
        keys = keys_of([(side.kind, side.lens) for side in self.sides])
        for place in self._places or range(len(keys)):
            grid = self.grids[place]
            if grid.display and grid.cells is not None:
                lenses[keys[place]] = grid.cells
        pins = tuple(pin.text for pin in self.panel.pins)
        clip = Clip(self.rows, self._columns, lenses, self._texts, self.panes.value, pins)
        cursor = self.panes.cursor
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
        return table_text(clip, diff=self.panes.difference)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────

    def on_export_progress(self, message: ExportProgress) -> None:
        """How far it is."""
        if message.number == self._orders and self._exports is not None:
            self._exports.say(f"reading … {message.done} of {message.columns} columns · esc gives it up")

    def on_file_taken(self, message: FileTaken) -> None:
        """Say where it is."""
        self._close(message.number)
        text = printable(f"Written: {shown_path(message.path)}")
        self.notify(f"{message.remark} {text}" if message.remark else text, timeout=12, markup=False)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put it into the clipboard."""
        if message.number == self._orders:
            self._copy(message.thing, message.text)

    def on_not_taken(self, message: NotTaken) -> None:
        """Say why; the dialog stays."""
        if message.number == self._orders:
            self._fail(message.text)

    def _fail(self, text: str) -> None:
        if self._exports is not None:
            self._exports.say(text, wrong=True)
        else:
            self.app.clear_notifications()
            self.notify(printable(text), severity="warning", timeout=8, markup=False)

    def _close(self, number: int) -> None:
        if number == self._orders and self._exports is not None:
            self._exports.finish()

    def _copy(self, thing: Thing, text: str) -> None:
        """To the clipboard by OSC 52; what is too much for that, to a file."""
        size = len(text.encode())
        if size > CLIPBOARD_LIMIT:
            remark = f"{size / 1000:.0f} kB are more than many terminals copy."
            self.take(thing, self.proposed(thing), remark)
            return
        self._close(self._orders)
        self.app.copy_to_clipboard(text)
        lines = text.rstrip("\n").split("\n")
        shown = lines[0].replace("\t", "  ")
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …"
        count = f" {len(lines)} lines" if len(lines) > 1 else ""
        hint = "" if self._copied or not os.environ.get("TMUX") else f"\n{IN_TMUX}"
        self._copied = True
        self.app.clear_notifications()
        self.notify(f"Copied{count}: {shown}{hint}", timeout=6, markup=False)
