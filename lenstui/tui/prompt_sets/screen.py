"""Prompt sets: many prompts read at their ends, as a table, and means over them by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Footer, Input, Label, Static

from lenstui.jobs.set_messages import ReadCase
from lenstui.readout.sets.mean_values import shown_means
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.printable import printable
from lenstui.tui.prompt_sets.export import SetExport
from lenstui.tui.prompt_sets.plot import SetPlot
from lenstui.tui.prompt_sets.reading import SetRun
from lenstui.tui.prompt_sets.table import SetTable
from lenstui.tui.prompt_sets.view import SetView, sort_columns
from lenstui.tui.shared.status_bar import StatusBar, short_name
from lenstui.tui.shared.still_input import ONE_LINE, StillInput

NOTHING = "Nothing is read yet: f names a file of prompts, Enter reads it."
NO_GROUPS = "These prompts are in no groups."


class PromptSets(SetExport):
    """A file of prompts, the cases read from it, and means over those shown. The screen keeps its state."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#set-file"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="prompts.help"),
        Binding(
            "enter", "jump", "Open", key_display="enter", tooltip="Read this prompt in Explore",
            id="prompts.open",
        ),
        Binding(
            "B", "beside", "Beside", show=False, id="prompts.beside",
            tooltip="This prompt beside the one in Explore",
        ),
        Binding(
            "slash", "filter", "Filter", key_display="/", id="prompts.filter",
            tooltip="Only prompts in which these words occur",
        ),
        Binding("c", "sort(1)", "Sort", tooltip="Sort by the next column", id="prompts.sort"),
        Binding(
            "C", "sort(-1)", "Sort back", show=False, tooltip="Sort by the column before",
            id="prompts.sort_back",
        ),
        Binding(
            "r", "reverse", "Reverse", show=False, tooltip="The largest first, or the smallest",
            id="prompts.reverse",
        ),
        Binding("g", "group(1)", "Group", tooltip="Only the next group, or all", id="prompts.group"),
        Binding(
            "G", "group(-1)", "Group back", show=False, tooltip="Only the group before, or all",
            id="prompts.group_back",
        ),
        Binding("v", "value(1)", "Means", tooltip="Plot the means of the next value", id="prompts.value"),
        Binding(
            "V", "value(-1)", "Means back", show=False, tooltip="Plot the means of the value before",
            id="prompts.value_back",
        ),
        Binding(
            "x", "export", "Export", id="prompts.export",
            tooltip="Take all that was read away: to a file",
        ),
        Binding(
            "f", "name_file", "File", show=False, id="prompts.file",
            tooltip="Name a file of prompts, then Enter reads it",
        ),
        Binding(
            "tab", "other_part", "Table or plot", show=False, id="prompts.other",
            tooltip="The plot in place of the table, or back",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="prompts.commands",
        ),
        Binding(
            "q,e", "leave", "Explore", show=False, id="prompts.leave",
            tooltip="Back to Explore; reading goes on",
        ),
        Binding(
            "escape", "back", "Back", key_display="esc", id="prompts.back",
            tooltip="Stop reading; else back to Explore",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._view = SetView()
        self._plotted = 0

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """The file, how far it is, and what was read."""
        yield StatusBar()
        with Horizontal(id="set-line"):
            yield Label("file", id="set-label")
            yield StillInput(EXAMPLES, restrict=ONE_LINE, id="set-file")
        yield Static(id="set-said")
        with Container(id="set-parts"):
            with Vertical(id="set-list") as part:
                part.border_title = "prompts"
                yield SetTable()
                yield StillInput(restrict=ONE_LINE, placeholder="words to find", id="set-filter")
                yield Static(id="set-case")
            yield SetPlot()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Nothing is read yet."""
        self._say(f"Enter reads the {EXAMPLES}; or type a file: text (tab, target), JSON lines, Parquet")
        self._draw()

    @property
    def _table(self) -> SetTable:
        return self.query_one(SetTable)

    @property
    def view(self) -> SetView:
        """How it is looked at."""
        return self._view

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, run: SetRun) -> None:
        """Show a new run, sorted and filtered as before; a group that it does not have is dropped."""
        columns = sort_columns(_lenses(run))
        if self._view.column >= len(columns):
            self._view = replace(self._view, column=0)
        if self._view.group not in run.groups:
            self._view = replace(self._view, group=None)
        if not self._is_naming:
            self._table.focus()

    def _draw(self) -> None:
        run, table = self._run, self._table
        source = None if run is None else run.source
        rows = () if source is None else source.heading.rows
        shown = [] if run is None else self._view.of(run.cases)
        table.show(shown, self._view, rows, () if source is None else source.lenses)
        means = None
        if shown:
            from lenstui.readout.sets.means import mean_over  # the model thread has imported torch by now

            means = mean_over([case.readout for case in shown])
        self.query_one(SetPlot).show(means, shown_means()[self._plotted], rows, self._about())
        self._title(run)

    def _about(self) -> list[str]:
        """Which of them are shown, if not all."""
        words = self._view.words.strip()
        return [
            *([self._view.group] if self._view.group is not None else []),
            *([f"“{words}”"] if words else []),
        ]

    def _title(self, run: SetRun | None) -> None:
        """Write the title: file, filter, and how the prompts are read if not by default."""
        parts = ["prompts" if run is None else printable(Path(run.name).name)]
        parts += self._about()
        mark = ""
        if run is not None and run.source is not None:
            mark = run.source.reading.mark
            parts += [short_name(run.source.heading.source.model)] if run.is_stale else []
        part = self.query_one("#set-list")
        part.border_title = Text.assemble(" · ".join(parts), (f" · {mark}" if mark else "", "bold"))
        columns = sort_columns(_lenses(run))
        by = columns[min(self._view.column, len(columns) - 1)].name  # of fewer lenses than before
        part.border_subtitle = f"by {by}" if run is not None and run.cases else ""

    def _counts_shown(self) -> list[str]:
        read = 0 if self._run is None else len(self._run.cases)
        shown = len(self._table.shown)
        return [f"{shown} shown"] if shown != read else []

    @on(SetTable.Moved)
    def show_case(self) -> None:
        """The highlighted prompt as far as it has room, or why it could not be read."""
        case = self._table.chosen
        text = Text(overflow="ellipsis")
        if case is not None:
            line = case.line
            group = "" if line.group is None else f" · {line.group}"
            text.append(f"{line.number}{group}  ", "bold").append(line.prompt)
            if line.reason is not None:
                text = Text(f"{line.number}{group}  ", "bold").append(line.reason, "not bold")
        self.query_one("#set-case", Static).update(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A slash is a letter of what is typed; the footer does not know that."""
        return action != "filter" or not isinstance(self.focused, Input)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, view: SetView) -> None:
        self._view = view
        self._show()

    def _with_cases(self) -> SetRun | None:
        """What is shown, if there is anything."""
        if self._run is not None and self._run.cases:
            return self._run
        self._tell(NOTHING)
        return None

    def action_sort(self, step: int) -> None:
        """By another column."""
        if (run := self._with_cases()) is not None:
            columns = len(sort_columns(_lenses(run)))
            self._look(replace(self._view, column=(self._view.column + step) % columns))

    def action_reverse(self) -> None:
        """The other way round."""
        if self._with_cases() is not None:
            self._look(replace(self._view, descending=not self._view.descending))

    def action_group(self, step: int) -> None:
        """Another group, or all of them."""
        if (run := self._with_cases()) is None:
            return
        if not run.groups:
            self._tell(NO_GROUPS)
            return
        choices = [None, *run.groups]
        here = choices.index(self._view.group)
        self._look(replace(self._view, group=choices[(here + step) % len(choices)]))

    def action_value(self, step: int) -> None:
        """Plot other means."""
        self._plotted = (self._plotted + step) % len(shown_means())
        self._draw()
        if not self.query_one(SetPlot).size:
            self._tell(f"{shown_means()[self._plotted].plotted}: tab shows the plot.")

    @property
    def _value(self) -> str:
        return shown_means()[self._plotted].key

    def action_other_part(self) -> None:
        """The plot instead of the table, where there is room for one; from a line to the table."""
        if self.focused is not self._table and not self.has_class("-plot"):
            self._table.focus()
        elif self.has_class("-tall") or self.has_class("-wide"):
            self._tell("Both are shown: the table and the plot.")
        else:
            self.app.clear_notifications()
            self.toggle_class("-plot")
            self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        """Give the table the focus if no widget has it, as after a widget with the focus was hidden."""
        if self.focused is None:
            self._table.focus()

    def action_filter(self) -> None:
        """Type words that have to occur."""
        words = self.query_one("#set-filter", Input)
        self.remove_class("-plot")
        words.display = True
        words.focus()

    @on(Input.Changed, "#set-filter")
    def find(self, message: Input.Changed) -> None:
        """Show what has them."""
        if message.value != self._view.words:
            self._look(replace(self._view, words=message.value))

    @on(Input.Submitted, "#set-filter")
    def found(self) -> None:
        """Go to what was found."""
        words = self.query_one("#set-filter", Input)
        self._table.focus()
        words.display = bool(words.value.strip())

    def action_back(self) -> None:
        """Out of a line, from the plot to the table; stop reading; else back to Explore."""
        words = self.query_one("#set-filter", Input)
        if self.focused is words:
            words.value = ""
            self.found()
        elif self.focused is not self._table and self._run is not None:
            self._table.focus()
        elif self.is_reading:
            self.action_stop()
        elif words.value:
            words.value = ""
            self.found()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Back to Explore; what is being read goes on."""
        self.dismiss()

    @on(SetTable.Chosen)
    def action_jump(self) -> None:
        """Read the highlighted prompt in Explore, with its target pinned."""
        run, case = self._run, self._highlighted()
        if run is None or case is None:
            return
        pin = getattr(case.readout, "target", None)  # none in a case that could not be read
        target = None if pin is None or run.is_stale else (pin.id, run.texts[pin.id])
        self.action_leave()
        self._app.explore.read_case(case.readout.case.text, target)

    def action_beside(self) -> None:
        """Read the highlighted prompt beside the one that Explore shows."""
        case = self._highlighted()
        if case is None:
            return
        if reason := self._app.explore.no_second_prompt:
            self._tell(reason)
            return
        self.action_leave()
        self._app.explore.put_prompt_beside(case.readout.case.text)

    def _highlighted(self) -> ReadCase | None:
        """What Explore is to read; None where there is nothing, which is said."""
        case = self._table.chosen
        if self._with_cases() is None:
            return None
        if case is None:
            self._tell("No prompt is shown: esc ends the filter.")
        elif not case.readout.case.text:
            self._tell("The prompt is empty.")
        else:
            return case
        return None


def _lenses(run: SetRun | None) -> Sequence[str]:
    """The keys of the lenses that a set is read through; none while that is not known."""
    return () if run is None or run.source is None else run.source.lenses
