"""The screen Evaluation: how well lenses predict on a text, row by row, while it is measured and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widgets import Static

from lenstui.evaluation.measures import MEASURES, Measure
from lenstui.export.evaluation_table import captions
from lenstui.export.names import proposed_path
from lenstui.jobs.evaluation import EvaluationOrder
from lenstui.jobs.evaluation_messages import (
    EvaluationAsked,
    EvaluationEnd,
    EvaluationEnded,
    EvaluationGrown,
    EvaluationRead,
    FoundEvaluation,
    OfferedModel,
)
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import EVALUATION_COPIES, EVALUATION_FILES, Thing
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.texts.bundled import text_name
from lenstui.tui.evaluation.plot import EvaluationPlot
from lenstui.tui.evaluation.table import EvaluationTable
from lenstui.tui.screen_export import ScreenExport
from lenstui.tui.services import Services
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import short_name

NOTHING = "Nothing is measured yet."
ANEW = "e asks anew, esc goes back."
NOT_RUNNING = "Nothing is being evaluated: there is nothing to stop."


class Evaluation(LeanScreen[None], AppScreen[None]):
    """A table of measures by row and lens, and the plot of one of them. There is only one such screen."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012  as Textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "EvaluationTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="evaluation.help"),
        Binding("v", "measure(1)", "Measure", id="evaluation.measure", tooltip="Plot the next measure"),
        Binding(
            "V", "measure(-1)", "Measure back", show=False, id="evaluation.measure_back",
            tooltip="Plot the measure before",
        ),
        Binding(
            "e", "ask", "Evaluate", id="evaluation.ask",
            tooltip="Evaluate anew: another text, more of it, other lenses",
        ),
        Binding("x", "export", "Export", id="evaluation.export", tooltip="Export the numbers to a file"),
        Binding(
            "K", "keep", "Keep", show=False, id="evaluation.keep",
            tooltip="Keep the view in the notebook of lenstui report",
        ),
        Binding(
            "Y", "copy_command", "Copy command", id="evaluation.copy_command",
            tooltip="Copy the command that measures the same",
        ),
        Binding(
            "tab", "other_part", "Table or plot", show=False, id="evaluation.other",
            tooltip="The plot in place of the table, or back",
        ),
        Binding(
            "s", "stop", "Stop", show=False, id="evaluation.stop",
            tooltip="Stop evaluating; what was measured stays, and is kept",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="evaluation.commands",
        ),
        Binding(
            "escape", "back", "Back", key_display="esc", id="evaluation.back",
            tooltip="Stop evaluating; else go back",
        ),
        Binding(
            "q,E", "leave", "Leave", show=False, id="evaluation.leave",
            tooltip="Go back; evaluating goes on",
        ),
    ]  # fmt: skip

    def __init__(self, services: Services) -> None:
        """Prepare the screen; nothing is evaluated yet."""
        super().__init__()
        self._services = services
        self._number = 0  # of the request under way, or the last one
        self._asked: EvaluationAsked | None = None  # the last request
        self._found: FoundEvaluation | None = None  # what is shown, which may be of an earlier request
        self._is_running = False
        self._has_grown = False  # whether anything of the last request was shown
        self._progress = ""
        self._measure = MEASURES[0]
        self._export = ScreenExport(services, EVALUATION_FILES, EVALUATION_COPIES)

    def compose(self) -> ComposeResult:
        """Yield the title, the table, the plot with what is said of it, and how far it is."""
        yield Static(id="evaluation-title")
        yield Static(id="evaluation-message")
        with Container(id="evaluation-parts"):
            with Vertical(id="evaluation-frame") as frame:
                frame.border_title = "measures by row"
                yield EvaluationTable()
            with Container(id="evaluation-below"):
                yield EvaluationPlot()
                yield Static(id="evaluation-said")
        yield Static(id="evaluation-progress")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Evaluate what was asked for."""
        self._evaluate()

    def _evaluate(self) -> None:
        self._show()
        if self._asked is not None:
            post = self._services.post_to(self)
            self._services.evaluations.evaluate(self._number, self._asked, self._services.start, post)

    # ── evaluating ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def asked(self) -> EvaluationAsked | None:
        """What was asked for last; None before anything was."""
        return self._asked

    def is_about(self, offered: Sequence[OfferedModel]) -> bool:
        """Return whether what is shown, or under way, is of a model on screen."""
        names = {model.name for model in offered}
        return (
            self._asked is not None
            and self._asked.model.name in names
            and (self._is_running or self._found is not None)
        )

    def begin(self, asked: EvaluationAsked) -> None:
        """Evaluate; what was shown before stays until something is measured."""
        self._asked = asked
        self._number += 1
        self._is_running, self._has_grown = True, False
        self._progress = "reading the text … · esc stops"
        if self.is_mounted:  # else nobody would take the answers yet
            self._evaluate()

    def on_evaluation_read(self, message: EvaluationRead) -> None:
        """Show how far the evaluation is."""
        if message.number == self._number and self._is_running:
            left = "" if message.left is None else f"at most {duration(message.left)} left · "
            self._say(f"{message.tokens:,} of {message.most:,} tokens · {left}esc stops")

    def on_evaluation_grown(self, message: EvaluationGrown) -> None:
        """Show what was measured."""
        if message.number == self._number:
            self._found, self._has_grown = message.found, True
            self._show()

    def on_evaluation_ended(self, message: EvaluationEnded) -> None:
        """Show how the evaluation ended; what was refused goes back to the dialog, with the reason."""
        if message.number != self._number:
            return
        self._is_running = False
        if not self._has_grown:
            self._progress = message.text
            self._show()
            if message.end is EvaluationEnd.FAILED and self.is_current:
                self._ask(message.text)
            elif not self.is_current:
                self._services.notify(printable(message.text), title="Nothing evaluated", severity="error")
            return
        assert self._found is not None
        of = self._found.evaluated.first
        said = f"{of.tokens:,} tokens in {message.seconds:.1f} s"
        if message.end is not EvaluationEnd.DONE:
            said = f"stopped at {of.tokens:,} tokens: what was measured is kept"
        self._say(" · ".join(filter(None, (said, message.text, *self._found.remarks))))
        self._show_said()
        if not self.is_current:
            self._services.notify(f"{said}: E shows it.", title="Evaluated")

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────

    def _show(self) -> None:
        """Show the evaluation, or that there is none yet."""
        found = self._found
        self.set_class(found is None, "-empty")
        self.query_one("#evaluation-title", Static).update(self._title, layout=False)
        self._say(self._progress)
        if found is None:
            return
        of = found.evaluated
        self.query_one(EvaluationTable).show(of, self._measure)
        self.query_one(EvaluationPlot).show(of, self._measure)
        self._show_said()

    def _show_said(self) -> None:
        """Show what is said of the numbers, the model's own first: there may be room for little else."""
        if (found := self._found) is None:
            return
        of = found.evaluated
        of = replace(of, stopped=of.stopped and not self._is_running)
        said = captions(of)[:-1]  # the last one is the source, which the title has
        own = next(place for place, line in enumerate(said) if line.startswith("the model itself"))
        lines = [said[own], *said[:own], *said[own + 1 :], *found.remarks]
        self.query_one("#evaluation-said", Static).update(shown("\n".join(lines)))

    @property
    def _title(self) -> Text:
        asked = self._asked if self._found is None else self._found.asked
        if asked is None:
            return Text("evaluation", "bold")
        texts = ", ".join(text_name(Path(path)) for path in asked.documents.paths)
        return Text.assemble(("evaluation ", "bold"), printable(f"{short_name(asked.model.name)} on {texts}"))

    def _say(self, text: str) -> None:
        """Say how far the evaluation is, where there is room for it now."""
        self._progress = text
        name = "message" if self._found is None else "progress"
        said = text if self._found is not None or self._is_running else f"{text or NOTHING} {ANEW}"
        is_new = self._found is None or not self._is_running  # else it is a line like the one before
        self.query_one(f"#evaluation-{name}", Static).update(shown(said), layout=is_new)

    @on(EvaluationTable.Scrolled)
    def _show_more(self) -> None:
        """Say on the frame of the table how many columns are beside those on screen."""
        left, right = self.query_one(EvaluationTable).hidden
        parts = [f"← {left} more"] * bool(left) + [f"{right} more →"] * bool(right)
        self.query_one("#evaluation-frame").border_subtitle = " · ".join(parts)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_measure(self, step: int) -> None:
        """Plot the next measure (1), or the one before (-1), of those that were taken."""
        if self._found is None:
            self._services.tell(NOTHING)
            return
        first = self._found.evaluated.first
        taken: list[Measure] = [measure for measure in MEASURES if first.of(measure.name)]
        place = taken.index(self._measure) if self._measure in taken else 0
        self._measure = taken[(place + step) % len(taken)]
        self._show()

    def action_other_part(self) -> None:
        """Switch from the table to the plot, or back, where the screen is too low for both."""
        if self.has_class("-tall"):
            self._services.tell("Both are shown: the table and the plot.")
            return
        self.toggle_class("-plot")
        if not self.has_class("-plot"):
            self.query_one(EvaluationTable).focus()

    def action_ask(self) -> None:
        """Ask for another evaluation."""
        self._ask()

    def _ask(self, wrong: str = "") -> None:
        self._services.ask_evaluation(wrong)

    def action_stop(self) -> None:
        """Stop evaluating; what was measured stays."""
        if self._is_running:
            self._services.evaluations.stop()
        else:
            self._services.tell(NOT_RUNNING)

    def action_back(self) -> None:
        """Stop evaluating; go back where nothing is being evaluated."""
        if self._is_running:
            self._services.evaluations.stop()
        else:
            self.dismiss()

    def action_leave(self) -> None:
        """Go back; evaluating goes on."""
        self.dismiss()

    def action_export(self) -> None:
        """Open the dialog that exports what was measured."""
        if self._found is None:
            self._services.tell(NOTHING)
        else:
            self._export.ask(partial(_file_of, self._found), partial(self._write, self._found))

    def action_keep(self) -> None:
        """Keep what was measured in the lab notebook."""
        if self._found is None:
            self._services.tell(NOTHING)
        else:
            self._export.keep(partial(self._write, self._found))

    def _write(self, found: FoundEvaluation, number: int, thing: Thing, path: Path | None) -> None:
        order = EvaluationOrder(number, found, thing, path)
        self._services.evaluations.write(order, self._services.post_to(self))

    def action_copy_command(self) -> None:
        """Copy the command that measures the same."""
        if self._found is None:
            self._services.tell(NOTHING)
        elif self._found.no_command:
            self._services.tell(self._found.no_command)
        else:
            command = self._found.command()
            self._services.copy(command)
            self._services.tell(printable(f"Copied: {command}"), seconds=6)

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


def _file_of(found: FoundEvaluation, thing: Thing) -> Path:
    texts = " ".join(Path(path).stem for path in found.asked.documents.paths)
    return proposed_path(found.evaluated.source.model, f"evaluation {texts}", thing.ending)
