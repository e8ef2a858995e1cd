"""A fit while it runs: how far it is, how good by row and by step, and the prompt through its lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from lenstui.jobs.fit_messages import FitStatus, Phase
from lenstui.lens.kinds import JACOBIAN, TUNED
from lenstui.lens.names import kind_word
from lenstui.readout.cells import Cells
from lenstui.readout.scales import Scale
from lenstui.readout.values import Value
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.room import column_layout, widest_of
from lenstui.tui.shared.shown import shown
from lenstui.tui.training.bar import FitBar
from lenstui.tui.training.convergence_curve import ConvergenceCurve
from lenstui.tui.training.loss_curve import LossCurve
from lenstui.tui.training.row_bars import RowBars

# The keys of a fit in the footer, by phase: those that do something in it, and their labels.
_FOOTER: Mapping[Phase, Mapping[str, str]] = {
    Phase.READING: {"fit.discard": "Discard"},
    Phase.RUNNING: {"fit.pause": "Pause", "fit.keep": "Stop, keep", "fit.discard": "Discard"},
    Phase.PAUSED: {"fit.pause": "Go on", "fit.keep": "Stop, keep", "fit.discard": "Discard"},
    Phase.KEEPING: {"fit.discard": "Discard"},
    Phase.KEPT: {"fit.keep": "Save as…", "fit.again": "Another fit"},
}
_KEYS_OF_A_FIT = frozenset(key for keys in _FOOTER.values() for key in keys)


def in_footer(binding: Binding, phase: Phase) -> Binding:
    """Return a binding as the footer shows it in this phase; one that is not about the fit is unchanged."""
    if binding.id not in _KEYS_OF_A_FIT:
        return binding
    label = _FOOTER.get(phase, {}).get(binding.id)
    return replace(binding, show=label is not None, description=label or binding.description)


class FitView(Vertical):
    """The view of the current fit: its progress, its bars, its curve, and a grid."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="fit.help"),
        Binding(
            "space,p", "screen.pause", "Pause", key_display="space", id="fit.pause",
            tooltip="Pause, and go on",
        ),
        Binding(
            "s", "screen.keep", "Stop, keep", id="fit.keep",
            tooltip="Stop and keep what was learned; at the end: save it as…",
        ),
        Binding("x", "screen.discard", "Discard", tooltip="Stop and discard the lens", id="fit.discard"),
        Binding("n", "screen.again", "Another fit", show=False, tooltip="Another fit", id="fit.again"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__(id="fit")
        self._laid_out: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._words: tuple[str, str, Phase, str | None] | None = None
        self._kind = TUNED

    def compose(self) -> ComposeResult:
        """Yield the progress, the bars beside the curve of each kind, and the grid, from top to bottom."""
        with Vertical(id="fit-progress") as part:
            part.border_title = "training"
            yield FitBar()
            yield Static(id="fit-trouble")
        with Horizontal(id="fit-parts"):
            with Vertical(id="fit-bars"):
                yield RowBars()
            with Vertical(id="fit-curve"):
                yield LossCurve()
                yield ConvergenceCurve()
        yield Pane(0)

    def on_mount(self) -> None:
        """Take the focus from the grid, which is to be looked at, not to be moved in."""
        self.query_one(Pane).grid.can_focus = False
        self._show_kind()

    def start(self, kind: str) -> None:
        """Clear the curves for another fit; the cells too, if they were read through another kind of lens."""
        self.query_one(LossCurve).start()
        self.query_one(ConvergenceCurve).start()
        if kind != self._kind:
            self._kind = kind
            self._laid_out = None
            self._show_kind()

    def _show_kind(self) -> None:
        """Show the curve of the kind of lens, and say what the curve and the bars are."""
        is_jacobian = self._kind == JACOBIAN
        self.query_one(LossCurve).display = not is_jacobian
        self.query_one(ConvergenceCurve).display = is_jacobian
        bars, curve = self.query_one("#fit-bars", Vertical), self.query_one("#fit-curve", Vertical)
        bars.border_title = "convergence by row" if is_jacobian else "KL held out, nats"
        curve.border_title = (
            "convergence by prompts · ● mean" if is_jacobian else "loss by step · ● KL held out"
        )

    def show_status(self, status: FitStatus) -> None:
        """Show how far the fit is."""
        self.query_one(FitBar).status = status
        self.query_one(RowBars).status = status
        if status.kind == JACOBIAN:
            self.query_one(ConvergenceCurve).add(status)
        else:
            self.query_one(LossCurve).add(status)
        words = (status.kind, status.preset, status.phase, status.trouble)
        if words != self._words:  # new words lay the screen out and paint it anew
            self._words = words
            self._show_words(*words)

    def _show_words(self, kind: str, preset: str, phase: Phase, trouble: str | None) -> None:
        """Show kind, preset, phase and trouble, which do not change with every step."""
        kept = phase is Phase.KEPT
        trouble_line, part = self.query_one("#fit-trouble", Static), self.query_one("#fit-progress", Vertical)
        trouble_line.update(shown(trouble or ""))
        trouble_line.display = trouble is not None
        part.set_class(trouble is not None, "-trouble")
        part.border_title = shown(f"{preset} · {'trained' if kept else 'training'}")
        part.border_subtitle = "n another fit · s save as… · esc Explore" if kept else ""
        self.query_one(Pane).border_title = f"{kind_word(kind)} lens{'' if kept else ' in training'}"

    def lay_out(
        self, rows: tuple[str, ...], columns: tuple[str, ...], vocabulary: int, mark: str = ""
    ) -> None:
        """Lay out the grid for a prompt; `mark` names the unusual options that the prompt is read with."""
        pane = self.query_one(Pane)
        pane.border_subtitle = Text(mark)
        if (rows, columns) == self._laid_out:
            return
        self._laid_out = (rows, columns)
        pane.styles.max_height = len(rows) + 3
        pane.grid.start(rows, columns, vocabulary)
        pane.grid.column_layout = column_layout(
            pane.content_size.width - widest_of(rows) - 2, len(columns), widest_of(columns)
        )
        pane.show_grid()
        pane.grid.move_to(Cursor(len(rows) - 1, len(columns) - 1))

    def show_cells(
        self, start: int, cells: Cells, texts: Mapping[int, str], value: Value, scale: Scale
    ) -> None:
        """Show the cells of some columns of the prompt, coloured as in Explore."""
        grid = self.query_one(Pane).grid
        grid.value, grid.scale = value, scale
        grid.add(start, cells, texts)

    @property
    def page_columns(self) -> int:
        """The number of columns of the prompt that there is room for; 0 where the grid is not shown."""
        pane = self.query_one(Pane)
        return max(1, pane.content_size.width // pane.grid.column_width) if pane.display else 0
