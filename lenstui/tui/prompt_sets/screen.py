"""The screen of prompt sets: a table of many prompts, read in their last columns, and means over them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Input, Label, Static

from lenstui.jobs.fit_messages import BUSY, FitStatus
from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel
from lenstui.jobs.set_messages import (
    CasesRead,
    ReferenceRead,
    SetEnded,
    SetNotWritten,
    SetOpened,
    SetStarted,
    SetWritten,
    SideOpening,
)
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.tui.prompt_sets.against import NO_SECOND, SetAgainst
from lenstui.tui.prompt_sets.export import SetExport
from lenstui.tui.prompt_sets.first_rows import SetFirstRows
from lenstui.tui.prompt_sets.menu import menu_of, why_no_cases, why_no_groups, why_not_beside, why_not_open
from lenstui.tui.prompt_sets.outliers import NO_REFERENCE, SetOutliers
from lenstui.tui.prompt_sets.painter import SetPainter, SetWidgets
from lenstui.tui.prompt_sets.plot import SetPlot
from lenstui.tui.prompt_sets.reading import SetReader
from lenstui.tui.prompt_sets.state import SetState
from lenstui.tui.prompt_sets.table import SetTable
from lenstui.tui.prompt_sets.view import SetView
from lenstui.tui.services import Services, Target
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.shared.still_input import ONE_LINE, StillInput


class PromptSets(LeanScreen[None], AppScreen[None]):
    """The screen of a file of prompts: a table of cases, and means over those shown. It keeps its state."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#set-file"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="prompts.help"),
        Binding("space", "menu", "Menu", tooltip="What can be done with this prompt", id="prompts.menu"),
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
        Binding(
            "g", "group(1)", "Group", show=False, tooltip="Only the next group, or all",
            id="prompts.group",
        ),
        Binding(
            "G", "group(-1)", "Group back", show=False, tooltip="Only the group before, or all",
            id="prompts.group_back",
        ),
        Binding(
            "R", "rows", "Rows", show=False, id="prompts.rows",
            tooltip="The last columns: where the top-1 settles, where the target leads, where p > x",
        ),
        Binding(
            "a", "above", "Above x", show=False, id="prompts.above",
            tooltip="First row where the target's probability is above x: name x",
        ),
        Binding(
            "o", "outliers", "Outliers", show=False, id="prompts.outliers",
            tooltip="Outlier scores against a reference set, a file",
        ),
        Binding(
            "O", "browse_reference", "Reference…", show=False, id="prompts.browse_reference",
            tooltip="Choose the file of the reference set from any folder",
        ),
        Binding(
            "d", "against", "Two sides", show=False, id="prompts.against",
            tooltip="A second model, lens or edits to compare",
        ),
        Binding(
            "n", "normal", "Normal group", show=False, id="prompts.normal",
            tooltip="This prompt's group is the normal one, from which AUROC tells the others",
        ),
        Binding("v", "value(1)", "Means", tooltip="Plot the means of the next value", id="prompts.value"),
        Binding(
            "V", "value(-1)", "Means back", show=False, tooltip="Plot the means of the value before",
            id="prompts.value_back",
        ),
        Binding(
            "x", "export", "Export", id="prompts.export",
            tooltip="Export all that was read to a file",
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
        Binding(
            "K", "keep", "Keep", show=False, id="prompts.keep",
            tooltip="Keep the view in the notebook of lenstui report",
        ),
        Binding(
            "Y", "copy_command", "Copy command", show=False, id="prompts.copy_command",
            tooltip="Copy the command that reads the same set",
        ),
        Binding(
            "b", "browse", "Browse…", show=False, id="prompts.browse",
            tooltip="Choose a file of prompts from any folder",
        ),
        Binding(
            "s", "stop", "Stop", show=False, id="prompts.stop", tooltip="Stop reading; what was read stays"
        ),
    ]  # fmt: skip

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self.state = state = SetState()
        self.widgets = widgets = SetWidgets(
            StatusBar(),
            StillInput(EXAMPLES, restrict=ONE_LINE, id="set-file"),
            Static(id="set-said"),
            Vertical(id="set-list"),
            SetTable(),
            StillInput(restrict=ONE_LINE, placeholder="words to find", id="set-filter"),
            Static(id="set-case"),
            Static(id="set-areas"),
            Horizontal(id="set-reference-line"),
            StillInput(restrict=ONE_LINE, placeholder=NO_REFERENCE, id="set-reference"),
            Horizontal(id="set-against-line"),
            StillInput(restrict=ONE_LINE, placeholder=NO_SECOND, id="set-against"),
            SetPlot(),
        )
        post = services.post_to(self)
        self.painter = SetPainter(state, widgets)
        self.reader = SetReader(state, widgets, services, self.painter, post)
        self.outliers = SetOutliers(state, widgets, services, self.painter, self.reader)
        self.against = SetAgainst(state, widgets, services, self.painter, self.reader)
        self.first_rows = SetFirstRows(state, services, self.painter)
        self.export = SetExport(state, services, post)

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield the line of the file, the line about the progress, the table, and the plot."""
        widgets = self.widgets
        yield widgets.status
        with Horizontal(id="set-line"):
            yield Label("file", id="set-label")
            yield widgets.file
        with widgets.reference_line:
            yield Label("reference", id="set-reference-label")
            yield widgets.reference
        with widgets.against_line:
            yield Label("against", id="set-against-label")
            yield widgets.against
        yield widgets.said
        with Container(id="set-parts"):
            with widgets.part:
                widgets.part.border_title = "prompts"
                yield widgets.table
                yield widgets.words
                yield widgets.case
                yield widgets.areas
            yield widgets.plot
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show how to begin, and subscribe to signals."""
        signals = self._services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.show_lens)
        signals.fit_changed.subscribe(self, self.show_fit)
        self.widgets.status.stage = self._services.loading
        self.show_fit(self._services.training.status)
        self.painter.say_what_to_do()
        self.painter.draw_cases()

    def on_screen_resume(self) -> None:
        """Show the model that is open now, which may have changed while the screen was not in front."""
        self.widgets.status.model = self._services.model

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the filter's key while an input has the focus, where a slash is a letter like any other."""
        return action != "filter" or not isinstance(self.focused, Input)

    # ── how it is looked at ──────────────────────────────────────────────────────────────────────────────

    def _look(self, view: SetView) -> None:
        self.state.view = view
        self.painter.draw()

    def action_sort(self, step: int) -> None:
        """Sort the table by the next column (1), or by the previous one (-1)."""
        if reason := why_no_cases(self.state):
            self._tell(reason)
        else:
            view, columns = self.state.view, len(self.state.columns)
            self._look(replace(view, column=(view.column + step) % columns))

    def action_reverse(self) -> None:
        """Reverse the order of the table."""
        if reason := why_no_cases(self.state):
            self._tell(reason)
        else:
            self._look(replace(self.state.view, descending=not self.state.view.descending))

    def action_group(self, step: int) -> None:
        """Show the next group alone (1), or the previous one (-1), or, between last and first, all groups."""
        if reason := why_no_groups(self.state):
            self._tell(reason)
            return
        assert self.state.run is not None
        choices = [None, *self.state.run.groups]
        here = choices.index(self.state.view.group)
        self._look(replace(self.state.view, group=choices[(here + step) % len(choices)]))

    def action_value(self, step: int) -> None:
        """Plot the means of the next value (1), or of the previous value (-1)."""
        keys = [mean.key for mean in self.state.means]
        self.state.plotted = keys[(keys.index(self.state.mean.key) + step) % len(keys)]
        self.painter.draw_cases()
        if not self.widgets.plot.size:
            self._tell(f"{self.state.mean.plotted}: tab shows the plot.")

    def action_rows(self) -> None:
        """Show other rows in the last columns: where the top-1 settles, the target leads, or p > x."""
        self.first_rows.next()

    def action_above(self) -> None:
        """Ask for the x of the first row where the target's probability is above x."""
        self.first_rows.ask_limit()

    def action_other_part(self) -> None:
        """Go from an input to the table; from the table, switch to the plot if there is no room for both."""
        if self.focused is not self.widgets.table and not self.has_class("-plot"):
            self.widgets.table.focus()
        elif self.has_class("-tall") or self.has_class("-wide"):
            self._tell("Both are shown: the table and the plot.")
        else:
            self.app.clear_notifications()
            self.toggle_class("-plot")
            self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        """Give the table the focus if no widget has it, as after a widget with the focus was hidden."""
        if self.focused is None:
            self.widgets.table.focus()

    @on(SetTable.Moved)
    def show_case(self) -> None:
        """Show the highlighted prompt."""
        self.painter.draw_case()

    # ── the filter ───────────────────────────────────────────────────────────────────────────────────────

    def action_filter(self) -> None:
        """Show the input of the filter, and put the focus there."""
        self.remove_class("-plot")
        self.widgets.words.display = True
        self.widgets.words.focus()

    @on(Input.Changed, "#set-filter")
    def find(self, message: Input.Changed) -> None:
        """Show only the cases that contain the words of the filter."""
        if message.value != self.state.view.words:
            self._look(replace(self.state.view, words=message.value))

    @on(Input.Submitted, "#set-filter")
    def found(self) -> None:
        """Go from the filter to the table; an empty filter is hidden."""
        self.widgets.table.focus()
        self.widgets.words.display = bool(self.widgets.words.value.strip())

    # ── outlier scores ───────────────────────────────────────────────────────────────────────────────────

    def action_outliers(self) -> None:
        """Show the line that names the file of the reference set, and put the focus there."""
        self.outliers.name_reference()

    def action_browse_reference(self) -> None:
        """Open a dialog to choose the file of the reference set, and read the prompts with scores."""
        self.outliers.browse()

    def action_normal(self) -> None:
        """Make the group of the highlighted prompt the normal one."""
        self.outliers.make_normal(self.widgets.table.chosen)

    @on(Input.Submitted, "#set-reference")
    def take_reference(self) -> None:
        """Read the prompts anew, with scores against the reference that the line names, if any."""
        self.outliers.take()

    def on_reference_read(self, message: ReferenceRead) -> None:
        """Show how much of the reference set was read."""
        self.outliers.count(message)

    # ── two sides ────────────────────────────────────────────────────────────────────────────────────────

    def action_against(self) -> None:
        """Show the line that names the second side, and put the focus there."""
        self.against.name()

    @on(Input.Submitted, "#set-against")
    def take_against(self) -> None:
        """Read the prompts anew, by the second side that the line names, too, if any."""
        self.against.take()

    def on_side_opening(self, message: SideOpening) -> None:
        """Show what is done to open the second side."""
        self.against.say_stage(message)

    # ── leaving ──────────────────────────────────────────────────────────────────────────────────────────

    def action_back(self) -> None:
        """Leave an input or the plot, stop reading, or clear the filter; else go back to Explore."""
        words, table = self.widgets.words, self.widgets.table
        if self.focused is words:
            words.value = ""
            self.found()
        elif self.focused is self.widgets.reference:
            self.outliers.leave()
        elif self.focused is self.widgets.against:
            self.against.leave()
        elif self.focused is not table and self.state.run is not None:
            table.focus()
        elif self.state.is_reading:
            self.reader.stop()
        elif words.value:
            words.value = ""
            self.found()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Go back to Explore; the reading of a prompt set goes on."""
        self.dismiss()

    @on(SetTable.Chosen)
    def action_jump(self) -> None:
        """Read the highlighted prompt in Explore, with its target and its foil pinned."""
        run, case = self.state.run, self.widgets.table.chosen
        if reason := why_not_open(self.state, case):
            self._tell(reason)
            return
        assert run is not None
        assert case is not None
        # None in a case that could not be read.
        pins = [pin for name in ("target", "foil") if (pin := getattr(case.readout, name, None)) is not None]
        targets = [] if run.is_stale else [Target.of(pin, run.texts[pin.id]) for pin in pins]
        self.action_leave()
        self._services.read_case(case.readout.case.typed, targets)

    def action_beside(self) -> None:
        """Read the highlighted prompt on Explore's active side, beside the typed prompt."""
        case = self.widgets.table.chosen
        if reason := why_not_beside(self.state, case, self._services):
            self._tell(reason)
            return
        assert case is not None
        self.action_leave()
        self._services.put_prompt_beside(case.readout.case.text)

    def action_menu(self) -> None:
        """Show what can be done with the highlighted prompt, and with all of them."""
        case = self.widgets.table.chosen
        title = "prompts" if case is None else f"prompt {case.line.number}"
        why_not = menu_of(self.state, case, self._services, self.export, self.reader)
        self._services.show_menu(title, [self], why_not)

    # ── reading and exporting ────────────────────────────────────────────────────────────────────────────

    def action_name_file(self) -> None:
        """Put the focus on the line that names the file."""
        self.reader.name_file()

    def action_browse(self) -> None:
        """Open a dialog to choose a file of prompts, and read the chosen file."""
        self.reader.browse()

    def action_stop(self) -> None:
        """Stop reading; the cases that were read stay."""
        self.reader.stop()

    def action_export(self) -> None:
        """Open the dialog that asks which form to export, and to which file."""
        self.export.ask()

    def action_keep(self) -> None:
        """Keep the prompt set in the lab notebook."""
        self.export.keep()

    def action_copy_command(self) -> None:
        """Copy the command that repeats the reading of the prompt set."""
        self.export.copy_command()

    @on(Input.Submitted, "#set-file")
    def read_file(self) -> None:
        """Read the file that the line names, or the examples if the line is empty."""
        self.reader.read()

    @on(Input.Changed, "#set-file")
    def edit_file(self, message: Input.Changed) -> None:
        """Note that the user is typing a file name."""
        self.reader.note_edit(message.value)

    def on_set_opened(self, message: SetOpened) -> None:
        """Show the prompt set whose file was opened, in place of the former one."""
        if self.reader.begin(message) is not None:
            if not self.state.is_naming:
                self.widgets.table.focus()
            self.painter.draw()

    def on_set_started(self, message: SetStarted) -> None:
        """Store the source of the cases that the model begins to read."""
        self.reader.start(message)

    def on_cases_read(self, message: CasesRead) -> None:
        """Add cases that were read to the table."""
        self.reader.add(message)

    def on_set_ended(self, message: SetEnded) -> None:
        """Note that no more cases come, and tell the user."""
        if (run := self.state.run_of(message.number)) is not None:
            self.outliers.measure(run)
        self.reader.end(message, is_seen=self.is_current)

    def on_set_written(self, message: SetWritten) -> None:
        """Notify the user which file was written."""
        self.export.say_written(message)

    def on_set_not_written(self, message: SetNotWritten) -> None:
        """Show why nothing was written."""
        self.export.say_failed(message)

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show the stage of loading a model in the top line; Explore shows why loading has failed."""
        self.widgets.status.stage = message.text if isinstance(message, LoadStage) else None

    def show_model(self, model: OpenModel) -> None:
        """Show another model, and mark the cases as those of the former; their reading stops by itself."""
        if self.state.run is not None:
            self.state.run.is_stale = True
        self.show_lens(model)

    def show_lens(self, model: OpenModel) -> None:
        """Name the lens in use in the top line; a reading goes on through the lenses that it began with."""
        self.widgets.status.model, self.widgets.status.stage = model, None

    def show_fit(self, status: FitStatus) -> None:
        """Show the progress of a fit in the top line."""
        self.widgets.status.fit = status if status.phase in BUSY else None
