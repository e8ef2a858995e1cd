"""The screen of error analysis: the positions of a scanned text that a query finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.fit_messages import BUSY, FitStatus
from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel
from lenstui.jobs.scan_messages import (
    ComparisonFound,
    ComparisonRefused,
    PositionFound,
    PositionRefused,
    QueryFound,
    QueryRefused,
    ScanEnded,
    ScanGrown,
    ScansListed,
)
from lenstui.scan.columns import BY_ROW
from lenstui.scan.queries import NAMED_QUERIES
from lenstui.tui.scan.columns import PAIR_MEASURES
from lenstui.tui.scan.comparing import Comparing
from lenstui.tui.scan.exporting import Exporting
from lenstui.tui.scan.means_plot import MeansPlot
from lenstui.tui.scan.painter import NOTHING, ScanPainter, ScanWidgets
from lenstui.tui.scan.scanning import Scanning
from lenstui.tui.scan.searching import Searching
from lenstui.tui.scan.state import ScanState, View
from lenstui.tui.scan.table import ScanTable
from lenstui.tui.services import Services
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.shared.still_input import ONE_LINE, StillInput

_EXAMPLE = "such as next_rank > 0 and final_prob >= 0.9"


class Scan(LeanScreen[None], AppScreen[None]):
    """The screen of error analysis. It keeps its state; a scan goes on while others are in front."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "ScanTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="scan.help"),
        Binding(
            "enter", "open_position", "Explore", id="scan.position", tooltip="Open this position in Explore"
        ),
        *(
            Binding(
                str(key), f"query({query.name!r})", query.name, show=False, id=f"scan.query_{key}",
                tooltip=f"Find where {query.title}",
            )
            for key, query in enumerate(NAMED_QUERIES, 1)
        ),
        Binding(
            "0", "query('')", "All positions", show=False, id="scan.all",
            tooltip="Find all positions, or those of the condition alone",
        ),
        Binding(
            "slash", "condition", "Condition", key_display="/", id="scan.condition",
            tooltip="A condition of your own, which has to hold too",
        ),
        Binding(
            "v", "view(1)", "View", id="scan.view",
            tooltip="The matches, counts by token or by row, means by row, two sides compared",
        ),
        Binding("V", "view(-1)", "View back", show=False, id="scan.view_back", tooltip="The view before"),
        Binding(
            "c,greater_than_sign", "sort(1)", "Sort", key_display="c >", id="scan.sort",
            tooltip="Sort by the next column",
        ),
        Binding(
            "less_than_sign", "sort(-1)", "Sort back", key_display="<", show=False, id="scan.sort_back",
            tooltip="Sort by the column before",
        ),
        Binding(
            "r", "reverse", "Reverse", show=False, id="scan.reverse",
            tooltip="The greatest first, or the smallest",
        ),
        Binding(
            "L", "lens", "Lens", show=False, id="scan.lens",
            tooltip="Queries, counts and means by the next lens",
        ),
        Binding(
            "R", "measure", "Plot", show=False, id="scan.measure",
            tooltip="Plot log-probability, KL or entropy; of two sides, KL or the same top-1",
        ),
        Binding("n", "scan_text", "New scan", id="scan.new", tooltip="Scan a text with the open model"),
        Binding("o", "open", "Open", id="scan.open", tooltip="Open the records of another scan"),
        Binding(
            "g", "go_on", "Go on", show=False, id="scan.go_on", tooltip="Go on with a scan that was stopped"
        ),
        Binding(
            "s", "stop", "Stop", show=False, id="scan.stop", tooltip="Stop the scan; what was read stays"
        ),
        Binding(
            "x", "export", "Export", id="scan.export", tooltip="Export what was found to a file, or copy it"
        ),
        Binding(
            "K", "keep", "Keep", show=False, id="scan.keep",
            tooltip="Keep the view in the notebook of lenstui report",
        ),
        Binding(
            "Y", "copy_command", "Copy command", show=False, id="scan.copy_command",
            tooltip="Copy the command that finds the same",
        ),
        Binding("m", "app.open_model", "Model", show=False, id="scan.model", tooltip="Open another model"),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False, id="scan.commands",
            tooltip="Command palette: every action by name",
        ),
        Binding(
            "q,C", "leave", "Leave", show=False, id="scan.leave", tooltip="Back to Explore; a scan goes on"
        ),
        Binding(
            "escape", "back", "Back", key_display="esc", id="scan.back",
            tooltip="Leave the condition; else back to Explore",
        ),
    ]  # fmt: skip

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self.state = state = ScanState()
        self.widgets = widgets = ScanWidgets(
            StatusBar(),
            Static(id="scan-folder"),
            Static(id="scan-queries"),
            StillInput(restrict=ONE_LINE, placeholder=_EXAMPLE, select_on_focus=False, id="scan-where"),
            Static(id="scan-said"),
            Static(NOTHING, id="scan-message"),
            Vertical(id="scan-frame"),
            Static(id="scan-heading"),
            Horizontal(id="scan-body"),
            ScanTable(),
            MeansPlot(),
            Static(id="scan-detail"),
        )
        post = services.post_to(self)
        self.painter = ScanPainter(state, widgets)
        self.searching = Searching(state, widgets, services, self.painter, post)
        self.scanning = Scanning(state, services, self.painter, self.searching, post)
        self.comparing = Comparing(state, services, self.painter, post)
        self.exporting = Exporting(state, services, self.searching, post)

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield the lines about records and query, the table and the plot, and the match in full."""
        widgets = self.widgets
        yield widgets.status
        yield widgets.folder
        yield widgets.queries
        with Horizontal(id="scan-where-line"):
            yield Label("where", id="scan-label")
            yield widgets.condition
        yield widgets.said
        yield widgets.message
        with widgets.frame:
            yield widgets.heading
            with widgets.body:
                yield widgets.table
                yield widgets.plot
        yield widgets.detail
        yield KeyFooter()

    def on_mount(self) -> None:
        """Subscribe to signals, and list the scans that there are."""
        signals = self._services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.show_model)
        signals.fit_changed.subscribe(self, self.show_fit)
        self.widgets.status.stage = self._services.loading
        self.show_fit(self._services.training.status)
        self.painter.draw()
        self.scanning.list_scans(only_if_any=True)

    def on_screen_resume(self) -> None:
        """Show the model that is open now, which may have changed while the screen was not in front."""
        self.widgets.status.model = self._services.model

    def on_resize(self) -> None:
        """Draw bars anew, which are as long as there is room."""
        if self.state.view is View.ROWS:
            self.call_after_refresh(self.painter.draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the condition's key in an input, where a slash is a letter like any other."""
        return action != "condition" or not isinstance(self.focused, Input)

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show the stage of loading a model, or why no model was opened."""
        self.widgets.status.stage = message.text if isinstance(message, LoadStage) else None
        if isinstance(message, LoadFailed) and self.is_current:
            self._services.notify(message.text, title="Not opened", severity="error", seconds=15)

    def show_model(self, model: OpenModel) -> None:
        """Show which model is open."""
        self.widgets.status.model, self.widgets.status.stage = model, None

    def show_fit(self, status: FitStatus) -> None:
        """Show a fit under way in the top line."""
        self.widgets.status.fit = status if status.phase in BUSY else None

    # ── the query ────────────────────────────────────────────────────────────────────────────────────────

    def action_query(self, name: str) -> None:
        """Find the matches of a named query, or with an empty name of none."""
        self.searching.ask(replace(self.state.asked, query=name or None, sort=None))

    def action_condition(self) -> None:
        """Put the focus on the condition."""
        self.widgets.condition.focus()

    @on(Input.Submitted, "#scan-where")
    def find(self, message: Input.Submitted) -> None:
        """Find the positions for which the condition holds, too."""
        self.widgets.table.focus()
        self.searching.ask(replace(self.state.asked, where=message.value.strip() or None))

    @on(Input.Changed, "#scan-where")
    def forget_error(self) -> None:
        """Take the error of the former condition away."""
        self.searching.forget_error()

    def action_view(self, step: int) -> None:
        """Show the next view of what was found (1), or the previous one (-1)."""
        views = self.state.views
        self.state.view = views[(views.index(self.state.view) + step) % len(views)]
        self.widgets.table.cursor = 0
        self.comparing.compare()
        self.painter.draw()

    def action_sort(self, step: int) -> None:
        """Sort the matches by the next column (1), or by the previous one (-1)."""
        self.searching.sort(step)

    def action_reverse(self) -> None:
        """Reverse the order of the matches."""
        self.searching.reverse()

    def action_lens(self) -> None:
        """Find and count by the next lens."""
        self.searching.next_lens()

    def action_measure(self) -> None:
        """Plot the means of the next measure."""
        state = self.state
        if state.view is View.COMPARISON:
            state.pair_measure = next(each for each in PAIR_MEASURES if each != state.pair_measure)
            self.painter.draw()
            return
        if state.view is View.MEANS:
            state.measure = BY_ROW[(BY_ROW.index(state.measure) + 1) % len(BY_ROW)]
        state.view = View.MEANS
        self.painter.draw()

    def on_query_found(self, message: QueryFound) -> None:
        """Show what the query has found so far."""
        self.searching.take(message)
        self.comparing.compare()

    def on_query_refused(self, message: QueryRefused) -> None:
        """Show why the query finds nothing."""
        self.searching.refuse(message)

    def on_comparison_found(self, message: ComparisonFound) -> None:
        """Show how far the two sides are apart."""
        self.comparing.take(message)

    def on_comparison_refused(self, message: ComparisonRefused) -> None:
        """Show why the two sides cannot be compared."""
        self.comparing.refuse(message)

    @on(ScanTable.Moved)
    def show_match(self) -> None:
        """Show the match under the cursor in full."""
        self.searching.follow()

    # ── a position ───────────────────────────────────────────────────────────────────────────────────────

    @on(ScanTable.Chosen)
    def action_open_position(self) -> None:
        """Open the position under the cursor in Explore."""
        self.searching.open_position()

    def on_position_found(self, message: PositionFound) -> None:
        """Read a position in Explore."""
        if message.number == self.searching.position_number and self.is_current:
            self.action_leave()
            self._services.read_scanned(message.position)

    def on_position_refused(self, message: PositionRefused) -> None:
        """Tell the user why a position cannot be read in Explore."""
        if message.number == self.searching.position_number:
            self._services.tell(message.text, seconds=8)

    # ── scans ────────────────────────────────────────────────────────────────────────────────────────────

    def action_scan_text(self) -> None:
        """Ask which text to scan."""
        self.scanning.ask()

    def action_open(self) -> None:
        """Ask which scan to look at."""
        self.scanning.list_scans()

    def action_go_on(self) -> None:
        """Go on with the scan on screen."""
        self.scanning.go_on()

    def action_stop(self) -> None:
        """Stop the scan; the blocks that were read stay."""
        self.scanning.stop()

    def on_scans_listed(self, message: ScansListed) -> None:
        """Ask which of the scans to look at."""
        self.scanning.choose(message)

    def on_scan_grown(self, message: ScanGrown) -> None:
        """Show how far a scan is, and search its records anew where there are more."""
        self.scanning.grow(message)

    def on_scan_ended(self, message: ScanEnded) -> None:
        """Show how a scan ended; one that was refused goes back to the dialog."""
        self.scanning.end(message, is_seen=self.is_current)

    # ── exporting ────────────────────────────────────────────────────────────────────────────────────────

    def action_export(self) -> None:
        """Open the dialog that exports what is shown."""
        self.exporting.ask()

    def action_keep(self) -> None:
        """Keep what is shown in the lab notebook."""
        self.exporting.keep()

    def action_copy_command(self) -> None:
        """Copy the command that finds the same."""
        self.exporting.copy_command()

    def on_file_taken(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self.exporting.export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        self.exporting.export.copy(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why an export failed."""
        self.exporting.export.say_failed(message)

    # ── leaving ──────────────────────────────────────────────────────────────────────────────────────────

    def action_back(self) -> None:
        """Leave the condition; else go back to Explore."""
        if isinstance(self.focused, Input):
            self.widgets.table.focus()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Go back to Explore; a scan goes on."""
        self.dismiss()
