"""Both lenses side by side: one cursor, one scroll, one value on one scale. Tabs where it is narrow.

Or, in place of both, the one minus the other. The lenses' own grids are what is read into all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from lenstui.export.difference import Difference
from lenstui.export.legend import shares_text
from lenstui.jobs.slots import LENSES, Slots
from lenstui.model.rows import is_whole_stream
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.values import PIN_LOGPROB, PROBABILITY, Value, values_for
from lenstui.support.cell_width import clip
from lenstui.tui.grid.cell import BAR
from lenstui.tui.grid.difference_cells import MOST_LINES, marked
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import MAX_DEPTH, Cursor, Grid
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from lenstui.tui.grid.settling import summary

__all__ = ["LENSES", "Panes"]

DIFFERENCE = "difference"
_TEXT_WIDTH = 12  # of a pin, in the name of a value


class Panes(Vertical):
    """The two panes, and the legend of what they show."""

    DEFAULT_CSS = """
    Panes {
        height: 1fr;
        Horizontal { height: 1fr; }
        Legend { padding: 0 2; }
        /* Too narrow for two: they become tabs. */
        &.-tabs Pane { display: none; }
        &.-tabs Pane.-shown { display: block; }
        #pane-difference { display: none; }
        &.-difference #pane-logit, &.-difference #pane-tuned { display: none; }
        &.-difference #pane-difference { display: block; }
    }
    """

    value_index: reactive[int] = reactive(0, init=False)
    slots: reactive[Slots] = reactive(Slots(), init=False)
    pins: reactive[tuple[str, ...]] = reactive((), init=False)
    shown_lens: reactive[str] = reactive("logit", init=False)
    in_training: reactive[bool] = reactive(False, init=False)
    crystallization: reactive[bool] = reactive(False, init=False)
    tabs: reactive[bool] = reactive(False, init=False)
    difference: reactive[bool] = reactive(False, init=False)

    def __init__(self, *, depth: int = 1) -> None:
        super().__init__()
        self._depth = depth
        self._vocabulary = 0

    def compose(self) -> ComposeResult:
        """Logit lens on the left, tuned lens on the right, or what else the slots hold; or the difference."""
        with Horizontal():
            for lens in LENSES:
                yield Pane(lens)
            yield Pane(DIFFERENCE, DifferenceGrid)
        yield Legend()

    def on_mount(self) -> None:
        """Nothing is read yet."""
        self._title()
        for pane in self.query(Pane):
            pane.grid.depth = self._depth
            pane.say("starting …")
        self.grids["logit"].pair(self.grids["tuned"])
        self.grids["logit"].join(self._compared)

    # ── what is in them ──────────────────────────────────────────────────────────────────────────────────

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The grids by lens name."""
        return {lens: self.pane(lens).grid for lens in LENSES}

    @property
    def _compared(self) -> DifferenceGrid:
        """The grid of the difference."""
        return self.query_one(DifferenceGrid)

    @property
    def _all_grids(self) -> tuple[Grid, ...]:
        return (*self.grids.values(), self._compared)

    def pane(self, lens: str) -> Pane:
        """The pane of one lens, or of the difference."""
        return self.query_one(f"#pane-{lens}", Pane)

    @property
    def value(self) -> Value:
        """What colours the cells."""
        return self.values[self.value_index]

    @property
    def values(self) -> tuple[Value, ...]:
        """What may colour them: those of pins only where there are such."""
        return values_for([clip(pin, _TEXT_WIDTH) for pin in self.pins])

    @property
    def cursor(self) -> Cursor:
        """The cell that is looked at, in both panes."""
        return self.grids["logit"].cursor

    @property
    def has_cells(self) -> bool:
        """Whether anything is read."""
        return self.grids["logit"].cells is not None

    @property
    def lens(self) -> str:
        """The lens that is shown and has a grid. The cells of the difference have the tuned lens's token."""
        shown = "tuned" if self.difference else self.shown_lens
        return shown if self.grids[shown].display else "logit"

    @property
    def shown_grid(self) -> Grid:
        """The grid that the keys move in."""
        return self._compared if self.difference else self.grids[self.lens]

    @property
    def token(self) -> int | None:
        """The likeliest token of the cell under the cursor, by the lens that is shown; None if not read."""
        cells = self.grids[self.lens].cells
        token = -1 if cells is None else int(cells.top_ids[self.cursor.row, self.cursor.column, 0])
        return None if token < 0 else token

    @property
    def not_numbers(self) -> list[int]:
        """The columns that have a cell which is not a number, in either pane."""
        found = [grid.cells.not_numbers.any(axis=0) for grid in self.grids.values() if grid.cells is not None]
        return sorted({column for each in found for column in np.flatnonzero(each).tolist()})

    @property
    def columns_on_screen(self) -> range:
        """Of the pane that is shown."""
        return self.shown_grid.visible_columns()

    @property
    def page_columns(self) -> int:
        """How many columns fit in a pane."""
        panes = 1 if self.tabs or self.difference else 2
        return max(1, self.size.width // panes // self.shown_grid.column_width)

    def say(self, text: str) -> None:
        """Show a message in place of all grids."""
        for pane in self.query(Pane):
            pane.say(text)

    def lay_out(
        self,
        lens: str,
        rows: tuple[str, ...],
        columns: tuple[str, ...],
        vocabulary: int,
        cursor: Cursor,
        *,
        gap: range = NO_GAP,
    ) -> None:
        """Show the grid of a lens, with no cells in it yet, and in the columns of its `gap` never any."""
        self._vocabulary = vocabulary
        for pane in self._panes_with(lens):
            missing, shown = gap, columns
            if pane.lens == DIFFERENCE:
                left = self.grids["logit"]
                missing, shown = gap or left.gap, marked(left.columns, columns)
            pane.grid.start(rows, shown, vocabulary, gap=missing)
            pane.show_grid()
            pane.grid.move_to(cursor)

    def empty(self, lens: str, rows: tuple[str, ...], vocabulary: int, message: str) -> None:
        """Forget the cells of a lens, and show a message in their place.

        Without the tuned lens there is no difference: both panes show again.
        """
        self._vocabulary = vocabulary
        for pane in self._panes_with(lens):
            pane.grid.start(rows, (), vocabulary)
            pane.say(message)
        if lens == "tuned" and message:
            self.difference = False

    def _panes_with(self, lens: str) -> Iterator[Pane]:
        """That of a lens; with that of the tuned one goes the difference."""
        yield self.pane(lens)
        if lens == "tuned":
            yield self.pane(DIFFERENCE)

    def resize_to(self, columns: Sequence[str]) -> None:
        """Have other columns; the cells of those that stay in front are kept.

        Args:
            columns: display texts of the input tokens.
        """
        for grid in self._all_grids:
            if grid.display:
                grid.resize_to(columns)
        self._compare()

    # ── where one is ─────────────────────────────────────────────────────────────────────────────────────

    def focus_grid(self) -> None:
        """Go to the grid that is shown."""
        self.shown_grid.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The focused pane is the shown one."""
        if isinstance(event.widget, Grid) and event.widget is not self._compared:
            self.shown_lens = "tuned" if event.widget.id == "grid-tuned" else "logit"

    # ── how they look ────────────────────────────────────────────────────────────────────────────────────

    def watch_shown_lens(self) -> None:
        """Of tabs one shows."""
        self._title()

    def watch_slots(self) -> None:
        """They hold something else."""
        self._title()
        self.rescale()

    def watch_in_training(self) -> None:
        """The tuned pane says whose lens it shows."""
        self._title()

    def watch_tabs(self) -> None:
        """Titles say more where the panes are tabs."""
        self.set_class(self.tabs, "-tabs")
        self._title()
        self._say_where_settled()

    def watch_difference(self) -> None:
        """The difference in place of the lenses, or the other way round; the cursor stays in sight."""
        compared, here = self._compared, self.screen.focused
        if self.difference:
            compared.show_place_of(self.grids["logit"])
        if isinstance(here, Grid) and here in self._all_grids:
            self.focus_grid()  # before it is hidden
        self.set_class(self.difference, "-difference")
        self.rescale()

    def watch_value_index(self) -> None:
        """All panes show the same value on the same scale."""
        for grid in self.grids.values():
            grid.value = self.value
        self._title()
        self.rescale()

    def watch_pins(self, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        """Of other pins the numbers and the name change; where there are too few, the value does."""
        keys = [value.key for value in self.values]
        if self.value_index >= len(keys):
            self.value_index = keys.index((PIN_LOGPROB if after else PROBABILITY).key)
        elif self.value.pins:
            self.watch_value_index()

    def rescale(self) -> None:
        """One scale for both panes, from what has been read so far."""
        read = {lens: grid for lens, grid in self.grids.items() if grid.cells is not None}
        scaled = {self.slots.brief[lens]: grid.scaled_values for lens, grid in read.items()}
        scale = self.value.scale(list(scaled.values()), self._vocabulary)
        for grid in self.grids.values():
            grid.scale = scale
        legend = self.query_one(Legend)
        if self.difference:
            self._compare()
            legend.show(self._difference, self._compared.scale, [self._compared.values])
        else:
            shown, note = [grid.values for grid in read.values()], shares_text(self.value, scaled)
            legend.show(self.value, scale, shown, note)
        self._say_where_settled()

    @property
    def _difference(self) -> Difference:
        """What is compared, and of what."""
        return Difference(self.value, *(self.slots.brief[lens] for lens in LENSES))

    def _compare(self) -> None:
        """What is not seen is not compared."""
        if not self.difference:
            return
        self._compared.compare(self.grids["logit"], self.grids["tuned"], self._difference, self._vocabulary)
        has_marks = self.crystallization and is_whole_stream(self._compared.rows)
        marks = f" · {BAR} the {self.slots.spoken['tuned']} settles" if has_marks else ""
        room, last = self.size.width - 6 - len(marks), not self.slots.one_output
        told = self._compared.counted_text(room, last=last)
        told += marks if told else ""
        self.pane(DIFFERENCE).border_subtitle = told

    def watch_crystallization(self) -> None:
        """The grids mark where their columns settle, and the frames of the lenses sum it up."""
        for grid in self._all_grids:
            grid.marks = self.crystallization
        self._compare()
        self._say_where_settled()

    def on_resize(self) -> None:
        """The frames have room for more words, or for fewer."""
        self._title()
        self._say_where_settled()

    def _say_where_settled(self) -> None:
        room = self.size.width // (1 if self.tabs else len(LENSES)) - 6
        for lens, grid in self.grids.items():
            told = ""
            if self.crystallization and grid.display:
                told = summary(grid.settled, grid.rows, room, gap=grid.gap)
            self.pane(lens).border_subtitle = told

    def next_value(self, step: int) -> None:
        """Colour by another value."""
        self.value_index = (self.value_index + step) % len(self.values)

    def deepen(self, step: int) -> bool:
        """Taller or flatter rows; whether they can be."""
        depth = self.shown_grid.depth + step
        if not 1 <= depth <= self.most_lines:
            return False
        for grid in self._all_grids:
            grid.depth = depth
        return True

    @property
    def most_lines(self) -> int:
        """How tall rows may be."""
        return MOST_LINES if self.difference else MAX_DEPTH

    def flip(self) -> None:
        """Last row on top, or at the bottom."""
        for grid in self._all_grids:
            grid.bottom_up = not grid.bottom_up

    def _title(self) -> None:
        """Where the panes are tabs, each names both."""
        for pane in self.query(Pane):
            pane.set_class(pane.lens == self.shown_lens, "-shown")
            wide = self.tabs or pane.lens == DIFFERENCE
            room = self.size.width // (1 if wide else len(LENSES)) - 6  # without corners and spaces
            fits = lambda names: self._title_of(pane.lens, names).cell_len <= room  # noqa: B023, E731
            pane.border_title = self._title_of(pane.lens, self.slots.fitting(fits))

    def _title_of(self, lens: str, names: Mapping[str, str]) -> Text:
        """The title of a pane, by some names of what the slots hold."""
        shown = LENSES if self.tabs or lens == DIFFERENCE else (lens,)
        if lens == DIFFERENCE:
            title = Text.assemble((f"{names['tuned']} − {names['logit']}", "bold"))
        else:
            parts = [Text(names[name], style="bold" if name == lens else "dim") for name in shown]
            title = Text(" │ ").join(parts)
        if self.in_training and "tuned" in shown:
            title.append(" in training", style="italic")
        return title.append(f" · {self.value.label}")
