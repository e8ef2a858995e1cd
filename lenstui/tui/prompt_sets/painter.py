"""The drawing of a prompt set: the table, the plot of means, the titles, and the line about the progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Static

from lenstui.jobs.set_messages import SetEnd
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.tui.prompt_sets.plot import SetPlot, side_means
from lenstui.tui.prompt_sets.state import SetRun, SetState
from lenstui.tui.prompt_sets.table import SetTable
from lenstui.tui.prompt_sets.view import OF_LENSES, OF_MODELS, SETTLES, Pairing, rows_short
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import StatusBar, short_name
from lenstui.tui.shared.still_input import StillInput
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.export.set_outliers import OutlierFacts
    from lenstui.readout.sets.cases import CaseReadout, FailedCase
    from lenstui.readout.sets.means import SetMeans

_BAR = 20  # cells
_SHARE = 0.1  # of the time that drawing may take while cases come
_LEAST = 0.2  # seconds between two drawings


@dataclass(frozen=True, slots=True, eq=False)
class SetWidgets:
    """The widgets of the screen of prompt sets, from top to bottom.

    Attributes:
        status: the top line.
        file: the input that names the file.
        said: the line under the file, about the progress of the reading or an error.
        part: the frame around the table, the filter and the highlighted prompt.
        table: the table of cases.
        words: the input of the filter.
        case: the line of the highlighted prompt.
        areas: the lines on outlier scores.
        reference_line: the line that names the file of their reference.
        reference: its input.
        against_line: the line that names the second side.
        against: its input.
        plot: the plot of means.
    """

    status: StatusBar
    file: StillInput
    said: Static
    part: Vertical
    table: SetTable
    words: StillInput
    case: Static
    areas: Static
    reference_line: Horizontal
    reference: StillInput
    against_line: Horizontal
    against: StillInput
    plot: SetPlot


class SetPainter:
    """The part of the screen that draws its state, and limits the time for that while cases come."""

    def __init__(self, state: SetState, widgets: SetWidgets) -> None:
        self._state = state
        self._widgets = widgets
        self._drawn = 0.0  # the time of the last drawing, and its duration
        self._cost = 0.0
        self._soon: Timer | None = None

    def draw_soon(self) -> None:
        """Draw as soon as the share of time for drawing allows."""
        if self._soon is None:
            wait = self._drawn + max(_LEAST, self._cost / _SHARE) - time.monotonic()
            self._soon = self._widgets.table.set_timer(max(wait, 0.01), self.draw)

    def draw(self) -> None:
        """Draw everything, and show the progress of the reading."""
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        began = time.monotonic()
        self.draw_cases()
        if self._state.run is not None:
            self.say(self.counts(self._state.run))
        self._drawn = time.monotonic()
        self._cost = self._drawn - began

    def draw_cases(self) -> None:
        """Draw the table, the plot, and the title."""
        state, run = self._state, self._state.run
        source = None if run is None else run.source
        rows = () if source is None else source.heading.rows
        chosen = [] if run is None else state.view.of(run.cases, state.columns)
        pairing = None if run is None else run.pairing
        methods = () if run is None else run.methods
        self._widgets.table.show(
            chosen,
            state.view,
            rows,
            state.lenses,
            pairing=pairing,
            methods=methods,
            has_long_targets=run is not None and run.has_long_targets,
            has_foils=state.has_foils,
            of_rows=state.rows,
            above=state.above,
        )
        readouts = [case.readout for case in chosen]
        runs = _runs(readouts, state.above, pairing) if chosen else {}
        self._draw_areas(runs, rows)
        self._widgets.plot.show(runs, state.mean, rows, self._about)
        self._title()

    @property
    def _about(self) -> list[str]:
        """The group and the words that the shown cases have; empty where all cases are shown."""
        view = self._state.view
        words = view.words.strip()
        return [
            *([view.group] if view.group is not None else []),
            *([f"“{words}”"] if words else []),
        ]

    def _title(self) -> None:
        """Write the title: the file, the filter, and how the prompts are read, if not by default."""
        state, run, view = self._state, self._state.run, self._state.view
        parts = ["prompts" if run is None else printable(Path(run.name).name)]
        parts += self._about
        mark = ""
        if run is not None and run.source is not None:
            mark = run.source.reading.mark
            parts += [short_name(run.source.heading.source.model)] if run.is_stale else []
            edits = "; ".join(run.source.heading.source.edits)
            parts += [f"edited: {printable(edits)}"] if edits else []
            second = run.source.heading.second
            parts += [] if second is None else [" → ".join(_short_names(second.names))]
        part = self._widgets.part
        part.border_title = Text.assemble(" · ".join(parts), (f" · {mark}" if mark else "", "bold"))
        columns = self._state.columns
        by = columns[min(view.column, len(columns) - 1)].name  # of fewer lenses than before
        of_rows = f" · rows: {rows_short(state.rows, state.above)}" if state.rows != SETTLES else ""
        part.border_subtitle = f"by {by}{of_rows}" if run is not None and run.cases else ""

    def _draw_areas(self, runs: Mapping[str, SetMeans], rows: Sequence[str]) -> None:
        """Write the lines on all cases that are shown.

        They are the means by two sides, those of the rows that the last columns show, and how well outlier
        scores tell groups.

        Args:
            runs: the means over the shown cases.
            rows: the labels of the rows that were read.
        """
        run, areas, text = self._state.run, self._widgets.areas, Text(overflow="ellipsis")
        if run is not None and run.pairing in {OF_MODELS, OF_LENSES} and runs:
            text.append("\n".join(side_means(runs, self._state.mean, rows)))
        if self._state.rows != SETTLES and runs:
            text.append("\n" * bool(text)).append(self._first_means(runs))
        if run is not None and run.outliers is not None:
            text.append("\n" * bool(text)).append(self._outliers(run, run.outliers))
        areas.display = bool(text)
        areas.update(text)

    def _first_means(self, runs: Mapping[str, SetMeans]) -> Text:
        """Return the mean row over the shown cases by lens, where the target leads, or is above the limit."""
        from lenstui.export.set_values import MeanColumn  # the model thread has imported torch

        state = self._state
        columns = [MeanColumn("", "", means, run) for run, means in runs.items()]
        parts = [
            " ".join(filter(None, [lens, column.run, *column.first_texts(state.rows, lens)]))
            for column in columns
            for lens in column.means.lenses
        ]
        label = rows_short(state.rows, state.above)
        return Text(f"{label}, mean row index (emb is 0): {' · '.join(parts)}")

    def _outliers(self, run: SetRun, outliers: OutlierFacts) -> Text:
        """Return how well outlier scores tell the shown group from the normal one, and what they are of."""
        from lenstui.export.set_outliers import separation_line  # the model thread has imported torch

        text = Text()
        if run.areas:
            shown_group = self._state.view.group
            of_group = [each for each in run.areas if each.group and printable(each.group) == shown_group]
            text.append(printable(separation_line((of_group or run.areas)[-1])), "bold").append("\n")
        return text.append(printable(outliers.short))

    def draw_case(self) -> None:
        """Write the highlighted prompt as far as there is room, or why the prompt could not be read."""
        case = self._widgets.table.chosen
        text = Text(overflow="ellipsis")
        if case is not None:
            line = case.line
            group = "" if line.group is None else f" · {line.group}"
            text.append(f"{line.number}{group}  ", "bold")
            if line.whole:
                whole, first = line.whole_logprobs
                text.append(f"{line.whole}: log p of the whole {whole}, of its first token {first}  ", "dim")
            if line.difference:
                text.append(f"{line.difference}  ", "dim")
            if line.not_scored:
                text.append(f"no scores: {line.not_scored}  ", "dim")
            if line.change:
                text.append(f"{line.change}  ", "dim")
            text.append(line.prompt)
            if line.reason is not None:
                text = Text(f"{line.number}{group}  ", "bold").append(line.reason, "not bold")
        self._widgets.case.update(text)

    # ── the line under the file ──────────────────────────────────────────────────────────────────────────

    def say_what_to_do(self) -> None:
        """Show how to begin with a prompt set."""
        self.say(f"Enter reads the {EXAMPLES}; or type a file: text, CSV, JSON lines or Parquet")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a text under the file, behind a bar while cases are being read.

        Args:
            text: the progress of the reading, or what is wrong with the prompt set.
            wrong: whether the text is an error.
        """
        line = Text(no_wrap=True, overflow="ellipsis")
        run, said = self._state.run, self._widgets.said
        if run is not None and run.end is None and not wrong:
            full = round(_BAR * len(run.cases) / max(run.total, 1))
            line.append("━" * full, style=rich_colour(said.app, "primary"))
            line.append("━" * (_BAR - full) + "  ", style=rich_colour(said.app, "border-blurred"))
            text += " · s stops"
        said.set_class(wrong, "-wrong")
        said.update(line.append(printable(text)))
        said.tooltip = shown(run.remark) if run is not None and run.remark else None

    def counts(self, run: SetRun) -> str:
        """Return the progress of a prompt set in words, with the number of failed cases and skipped lines."""
        done = len(run.cases)
        failed = sum(case.line.reason is not None for case in run.cases)
        why = f": {run.why}" * bool(run.why)
        match run.end:
            case SetEnd.DONE:
                parts = [f"{done} prompt{'s' * (done != 1)}", f"{run.seconds:.1f} s"]
            case SetEnd.STOPPED:
                parts = [f"stopped at {done} of {run.total}{why}"]
            case SetEnd.FAILED:
                parts = [f"failed at {done} of {run.total}{why}"]
            case _:
                parts = [f"{done} of {run.total}"]
        if run.end is None and run.source is None:
            read = run.reference_read
            waiting = run.stage or "waiting for the model"
            parts.append(waiting if read is None else f"reference: {read[0]} of {read[1]}")
        elif run.end is None and done:
            parts.append(f"{duration((run.total - done) * run.seconds / done)} left")
        parts += [f"{failed} failed"] * bool(failed)
        parts += [f"{run.skipped} {'line' if run.skipped == 1 else 'lines'} skipped"] * bool(run.skipped)
        shown_cases = len(self._widgets.table.shown)
        parts += [f"{shown_cases} shown"] * (shown_cases != done)
        return " · ".join(parts)


def _runs(
    readouts: Sequence[CaseReadout | FailedCase], above: float, pairing: Pairing | None
) -> Mapping[str, SetMeans]:
    """Return the means over some cases; of two runs those of either and of the difference, by name."""
    from lenstui.readout.sets.means import effects_over, mean_over  # the model thread has imported torch

    if pairing is None:
        return {"": mean_over(readouts, above=above)}
    effects = effects_over(readouts, above=above)
    return dict(zip(pairing.runs, (effects.clean, effects.edited, effects.effect), strict=True))


def _short_names(names: Sequence[str]) -> list[str]:
    """Return the last parts of the names of two sides; in full where these are the same."""
    short = [printable(short_name(name)) for name in names]
    return short if short[0] != short[1] else list(map(printable, names))
