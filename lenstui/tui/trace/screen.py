"""The screen Trace: a causal trace as a map that fills row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from lenstui.edits.trace_options import METRICS, WHATS
from lenstui.export.names import proposed_path
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import TRACE_COPIES, TRACE_FILES, Thing
from lenstui.jobs.trace import TraceOrder
from lenstui.jobs.trace_messages import FoundTrace, TraceAsked, TraceEnd, TraceEnded, TraceGrown
from lenstui.readout.alignment import aligned
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.tui.screen_export import ScreenExport
from lenstui.tui.services import Services, TraceHome
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.trace.ask_trace import AskTrace
from lenstui.tui.trace.trace_map import TraceMap, scale_of
from lenstui.tui.trace.words import MAP_WORDS, METRIC_WORDS, cell_text, patches_of

NOTHING = "Nothing is traced yet."
NO_SIDE = "Noise is on no side: a patch needs a corrupted prompt. e takes one."
APPENDED = "The clean prompt has appended or scanned tokens, which an edit cannot name."
OF_TURNS = "The clean prompt is of turns, and an edit names a prompt by its text."
_LONG = 60.0  # seconds from which on the user is told how long a trace takes

_Item = TypeVar("_Item")


class Trace(LeanScreen[TraceAsked], AppScreen[TraceAsked]):
    """A causal trace: rows by columns, or blocks by attention heads, by the share that each restores."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    AUTO_FOCUS = "TraceMap"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="trace.help"),
        Binding(
            "p", "next_what", "Patched", id="trace.what",
            tooltip="Patch the next: residual stream, attention, MLP, attention heads",
        ),
        Binding(
            "v", "next_metric", "Metric", id="trace.metric",
            tooltip="Measure by the next: logit difference, log-probability, −KL",
        ),
        Binding("e", "change", "Change", id="trace.change", tooltip="Ask anew: corruption, window, tokens"),
        Binding(
            "s", "stop", "Stop", show=False, id="trace.stop", tooltip="Stop tracing; the rows that came stay"
        ),
        Binding("enter", "go_to_cell", "Cell", id="trace.go_to", tooltip="Go to this cell in Explore"),
        Binding(
            "a", "patch", "Patch", id="trace.patch",
            tooltip="Add this patch to the edits of the corrupted side, or take it back",
        ),
        Binding("x", "export", "Export", id="trace.export", tooltip="Export the trace to a file, or copy it"),
        Binding(
            "K", "keep", "Keep", show=False, id="trace.keep",
            tooltip="Keep the view in the notebook of lenstui report",
        ),
        Binding(
            "Y", "copy_command", "Copy command", show=False, id="trace.copy_command",
            tooltip="Copy the command that makes the same trace",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="trace.commands",
        ),
        Binding("escape,q,T", "leave", "Back", key_display="esc q", id="trace.back"),
        Binding(
            "f", "estimate", "First order", id="trace.estimate",
            tooltip="Estimate all patches at once, to first order, or make them again",
        ),
    ]  # fmt: skip

    def __init__(
        self,
        asked: TraceAsked,
        services: Services,
        home: TraceHome,
        *,
        columns: Sequence[str],
        clean_is: str,
    ) -> None:
        """Prepare the screen; nothing is traced yet.

        Args:
            asked: what is traced.
            services: the services of the program.
            home: the part of Explore that asks.
            columns: display texts of the clean prompt's tokens.
            clean_is: which prompt the clean one is, in a few words.
        """
        super().__init__()
        self._asked, self._services, self._home = asked, services, home
        self._columns, self._clean_is = columns, clean_is
        self._number = 0  # of the request under way, or the last one
        self._found: FoundTrace | None = None
        self._is_tracing = False
        self._is_from_dialog = True  # whether what is asked was typed: refused, it goes back there
        self._has_cursor = False  # whether the cursor was put anywhere on the map yet
        self._has_told = False  # how long the trace takes
        self._kept: dict[TraceAsked, tuple[FoundTrace, str]] = {}  # finished, and what was said
        self._export = ScreenExport(services, TRACE_FILES, TRACE_COPIES)

    def compose(self) -> ComposeResult:
        """Yield the title, the prompts, the map, how far it is, and the patch under the cursor."""
        yield Static(id="trace-title")
        yield Static(id="trace-prompts")
        yield Static(id="trace-message")
        with Vertical(id="trace-frame"):
            yield TraceMap()
        yield Static(id="trace-progress")
        yield Static(id="trace-cell")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin to trace."""
        self._trace(self._asked)

    # ── tracing ──────────────────────────────────────────────────────────────────────────────────────────

    def _trace(self, asked: TraceAsked, *, is_from_dialog: bool = True) -> None:
        """Trace what is asked, unless it was traced before."""
        self._asked, self._is_from_dialog = asked, is_from_dialog
        self._number += 1
        self._found, self._has_told = None, False
        self.query_one("#trace-title", Static).update(self._title, layout=False)
        self.query_one("#trace-prompts", Static).update(self._prompts, layout=False)
        if kept := self._kept.get(asked):
            self._services.traces.stop()
            self._is_tracing = False
            self._show(kept[0])
            self._say(kept[1])
            return
        self._is_tracing = True
        self._show_message("running the clean and the corrupted prompt …")
        post = self._services.post_to(self)
        self._services.traces.trace(self._number, asked, self._services.start, post)

    def on_trace_grown(self, message: TraceGrown) -> None:
        """Show the rows that have come, how far the trace is, and how long it still takes."""
        if message.number != self._number:
            return
        self._show(message.found)
        if not self._is_tracing:
            return
        of, left = message.found.traced.trace, message.left
        if left is not None and left > _LONG and not self._has_told:
            self._has_told = True
            said = f"The trace takes about {duration(left)}: s stops it, f estimates it at once."
            self._services.notify(said, seconds=8)
        said = f"{of.done} of {len(of.rows)} rows · "
        said += "" if left is None else f"about {duration(left)} left · "
        self._say(f"{said}s stops")

    def on_trace_ended(self, message: TraceEnded) -> None:
        """Show how the trace ended; what was refused goes back to the dialog, with the reason."""
        if message.number != self._number:
            return
        self._is_tracing = False
        if self._found is None:
            self._show_message(f"{message.text or 'Stopped.'} {_ANEW}")
            if message.end is TraceEnd.FAILED and self._is_from_dialog and self.is_current:
                self._ask(message.text)
            return
        of = self._found.traced.trace
        if message.end is TraceEnd.DONE:
            said = f"{len(of.rows)} rows in {message.seconds:.1f} s"
            if of.options.approximate:
                said += " · estimated, not patched: f patches them"
            self._kept[self._asked] = self._found, said
        else:
            said = f"{of.done} of {len(of.rows)} rows · {message.text or 'stopped'}"
        self._say(said)

    @property
    def _title(self) -> Text:
        """What is measured: the metric, and what it is in the clean and in the corrupted run."""
        said = METRIC_WORDS[self._asked.metric] if self._found is None else self._found.traced.metric
        return Text.assemble(("trace ", "bold"), shown(said))

    @property
    def _prompts(self) -> Text:
        asked = self._asked
        if not asked.by_noise:
            corrupted = asked.corrupted.on_a_line
        elif self._found is None:
            corrupted = f"noise on columns {asked.noise}"
        else:
            corrupted = self._found.traced.corruption.partition(": ")[2]
        lines = (("clean      ", asked.clean.on_a_line), ("corrupted  ", corrupted))
        return Text("\n", no_wrap=True, overflow="ellipsis").join(
            Text.assemble((name, "dim"), printable(text)) for name, text in lines
        )

    def _show(self, found: FoundTrace) -> None:
        """Show a trace, as far as it is; the cursor is at first where the model speaks."""
        is_first = self._found is None
        self._found, traced = found, found.traced
        self.remove_class("-empty")
        self.query_one("#trace-title", Static).update(self._title, layout=False)
        self.query_one("#trace-prompts", Static).update(self._prompts, layout=False)
        options, end = traced.trace.options, f"{scale_of(traced).hi:g}"
        of = f", {options.window} together" if options.window > 1 else ""
        of += "" if options.column is None else f", in column {options.column}"
        how = "recovered to first order" if options.approximate else "recovered"
        title = f"{MAP_WORDS[options.what]}{of} · {how}, −{end} … {end}"
        frame = self.query_one("#trace-frame")
        if str(frame.border_title) != title:
            frame.border_title = shown(title)
        trace_map = self.query_one(TraceMap)
        trace_map.show(traced)
        if self.focused is None:
            trace_map.focus()
        row, column = trace_map.cursor
        if is_first:
            last = traced.trace.recovered.shape[1] - 1
            trace_map.put_cursor(row, column if self._has_cursor else last)
            self._has_cursor = True
        self._show_cell()

    def _show_message(self, text: str) -> None:
        """Show a sentence in place of the map."""
        self.add_class("-empty")
        self.query_one("#trace-message", Static).update(shown(text))

    def _say(self, text: str) -> None:
        """Write below the map how far the trace is; on its frame it would have the map painted anew."""
        self.query_one("#trace-progress", Static).update(shown(text), layout=False)

    @on(TraceMap.Moved)
    def _show_cell(self) -> None:
        """Show the patch under the cursor in words."""
        if self._found is not None:
            row, column = self.query_one(TraceMap).cursor
            words = shown(cell_text(self._found.traced, row, column))
            self.query_one("#trace-cell", Static).update(words, layout=False)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_next_what(self) -> None:
        """Patch the next: residual stream, attention, MLP, attention heads."""
        self._trace(replace(self._asked, what=_next(WHATS, self._asked.what)), is_from_dialog=False)

    def action_next_metric(self) -> None:
        """Measure by the next metric."""
        self._trace(replace(self._asked, metric=_next(METRICS, self._asked.metric)), is_from_dialog=False)

    def action_estimate(self) -> None:
        """Estimate all patches at once, to first order (attribution patching), or make them again."""
        self._trace(replace(self._asked, approximate=not self._asked.approximate), is_from_dialog=False)

    def action_change(self) -> None:
        """Ask what to trace."""
        self._ask()

    def _ask(self, wrong: str = "") -> None:
        def answered(asked: TraceAsked | None) -> None:
            if asked is not None:
                self._trace(asked)

        history = self._services.history
        dialog = AskTrace(self._asked, self._columns, self._clean_is, history=history, wrong=wrong)
        self._services.ask(dialog, answered)

    def action_stop(self) -> None:
        """Stop the trace; the rows that came stay."""
        if self._is_tracing:
            self._services.traces.stop()
        else:
            self._services.tell("Nothing is being traced: there is nothing to stop.")

    def action_go_to_cell(self) -> None:
        """Go to the cell under the cursor in Explore."""
        if self._found is None:
            self._services.tell(NOTHING)
            return
        of = self._found.traced.trace
        row, column = self.query_one(TraceMap).cursor
        if of.options.what == "head":
            at = len(of.ids) - 1 if of.options.column is None else of.options.column
        else:
            at = column
        clean_column = aligned(of.ids, of.clean_ids).get(at)
        label = f"{of.rows[row]}.attn" if of.options.what == "head" else of.rows[row]
        if of.options.what in {"attn", "mlp"}:
            label = f"{label}.{of.options.what}"
        if clean_column is None:
            self._services.tell("The clean prompt has no such column: there is no cell to go to.")
        elif reason := self._home.go_to(self._asked, label, clean_column):
            self._services.tell(reason)
        else:
            self.action_leave()

    def action_patch(self) -> None:
        """Add the patch under the cursor to the edits of the corrupted side, or take it back."""
        if self._found is None:
            self._services.tell(NOTHING)
            return
        traced, (row, column) = self._found.traced, self.query_one(TraceMap).cursor
        if self._asked.by_noise:
            self._services.tell(NO_SIDE)
        elif not isinstance(self._asked.clean.prompt, str):
            self._services.tell(OF_TURNS)
        elif self._asked.clean.tail or self._asked.clean.ids:
            self._services.tell(APPENDED)
        elif np.isnan(traced.trace.recovered[row, column]):
            self._services.tell(printable(cell_text(traced, row, column)))
        else:
            said = self._home.put_patches(self._asked, patches_of(traced, row, column))
            # In the place of the cell, until the cursor moves: other sides take notifications away.
            self.query_one("#trace-cell", Static).update(shown(said), layout=False)

    def action_export(self) -> None:
        """Open the dialog that exports the trace, as far as it is."""
        if self._found is None:
            self._services.tell(NOTHING)
        else:
            self._export.ask(partial(_file_of, self._found), partial(self._write, self._found))

    def action_keep(self) -> None:
        """Keep the trace, as far as it is, in the lab notebook."""
        if self._found is None:
            self._services.tell(NOTHING)
        else:
            self._export.keep(partial(self._write, self._found))

    def _write(self, found: FoundTrace, number: int, thing: Thing, path: Path | None) -> None:
        self._services.traces.write(TraceOrder(number, found, thing, path), self._services.post_to(self))

    def action_copy_command(self) -> None:
        """Copy the command that makes the same trace."""
        if self._found is None:
            self._services.tell(NOTHING)
        elif self._found.no_command:
            self._services.tell(self._found.no_command)
        else:
            command = self._found.command()
            self._services.copy(command)
            self._services.tell(printable(f"Copied: {command}"), seconds=6)

    def action_leave(self) -> None:
        """Go back to Explore; a trace under way ends."""
        if self._is_tracing:
            self._services.traces.stop()
        self.dismiss(self._asked)

    # ── what becomes of an export ────────────────────────────────────────────────────────────────────────

    def on_file_taken(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self._export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        self._export.copy(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why an export failed."""
        self._export.say_failed(message)


_ANEW = "e asks anew, esc goes back."


def _file_of(found: FoundTrace, thing: Thing) -> Path:
    traced = found.traced
    return proposed_path(traced.source.model, f"trace {traced.clean.text}", thing.ending)


def _next(items: Sequence[_Item], item: _Item) -> _Item:
    return items[(items.index(item) + 1) % len(items)]
