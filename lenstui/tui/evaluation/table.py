"""The table of an evaluation: a line for each row of the model, a column for each measure and lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from lenstui.evaluation.measures import MEASURES, Measure
from lenstui.export.evaluation_table import measure_column
from lenstui.support.printable import printable
from lenstui.tui.shared.curves import LOOKS
from lenstui.tui.shared.step_scroll import StepScroll
from lenstui.tui.shared.themes import rich_colour

if TYPE_CHECKING:
    from lenstui.export.evaluation import Evaluated

_HEADS = 2  # lines
_GAP = 2  # cells between two columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column: a measure of a lens.

    Attributes:
        measure: the measure.
        look: the place of the lens, which decides its colour and mark.
        lens: the key of the lens.
        texts: the texts of the rows, the last one first.
        width: its width in cells.
    """

    measure: Measure
    look: int
    lens: str
    texts: tuple[str, ...]
    width: int


def columns_of(of: Evaluated) -> tuple[Column, ...]:
    """Return the columns: measure by measure, the lenses beside each other; without what was not measured."""
    columns = []
    for measure in MEASURES:
        for look, (lens, quality) in enumerate(of.qualities.items()):
            if quality.of(measure.name):
                texts = tuple(measure_column(quality, measure, with_error=True)[::-1])
                widths = (cell_len(measure.head), cell_len(lens) + 2, *map(cell_len, texts))
                columns.append(Column(measure, look, lens, texts, max(widths)))
    return tuple(columns)


class EvaluationTable(StepScroll, can_focus=True):
    """A table whose row labels and heads stay, however it is scrolled."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "lines(1)", "Line down", show=False, id="evaluation.down"),
        Binding("up,k", "lines(-1)", "Line up", show=False, id="evaluation.up"),
        Binding("right,l", "columns(1)", "Next column", show=False, id="evaluation.right"),
        Binding("left,h", "columns(-1)", "Column before", show=False, id="evaluation.left"),
        Binding("pagedown", "pages(1)", "Page down", show=False, id="evaluation.page_down"),
        Binding("pageup", "pages(-1)", "Page up", show=False, id="evaluation.page_up"),
        Binding("home", "columns(-999)", "First column", show=False, id="evaluation.first"),
        Binding("end", "columns(999)", "Last column", show=False, id="evaluation.last"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "evaluation-table--quiet",
        "evaluation-table--chosen",
    }
    DEFAULT_CSS = """
    EvaluationTable {
        background: $surface;
        scrollbar-size: 0 1;
        .evaluation-table--quiet { color: $foreground 65%; }
        .evaluation-table--chosen { color: $primary; text-style: bold; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._columns: tuple[Column, ...] = ()
        self._rows: tuple[str, ...] = ()  # the last one first
        self._chosen = MEASURES[0]

    class Scrolled(Message):
        """The message that other columns are on screen."""

    @property
    def hidden(self) -> tuple[int, int]:
        """How many columns are to the left and to the right of those on screen."""
        seen = self._seen
        return (seen[0], len(self._columns) - 1 - seen[-1]) if self._columns else (0, 0)

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Say that other columns are on screen."""
        super().watch_scroll_x(old_value, new_value)
        self.post_message(self.Scrolled())

    def on_resize(self) -> None:
        """Say that other columns are on screen."""
        self.post_message(self.Scrolled())

    def show(self, of: Evaluated, chosen: Measure) -> None:
        """Show an evaluation; the column at the left stays, unless another measure is chosen.

        Args:
            of: the evaluation.
            chosen: the measure that is plotted, which is seen at the left, or as near to it as can be.
        """
        first = self._first
        is_other = chosen is not self._chosen or not self._columns
        self._columns, self._rows, self._chosen = columns_of(of), of.rows[::-1], chosen
        self.virtual_size = Size(self._starts[-1], _HEADS + len(self._rows))
        if is_other:
            there = (at for at, column in enumerate(self._columns) if column.measure is chosen)
            first = next(there, 0)
        self.scroll_now(self._x_of(first), self.scroll_offset.y)
        self.refresh()
        self.post_message(self.Scrolled())

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _label_width(self) -> int:
        return max(3, *map(len, self._rows), 0) + 1

    @property
    def _starts(self) -> list[int]:
        """Where each column begins, and the last one ends."""
        widths = (column.width + _GAP for column in self._columns)
        return list(accumulate(widths, initial=self._label_width))

    @property
    def _first(self) -> int:
        """The place of the first column that is seen whole."""
        x = self.scroll_offset.x + self._label_width
        return next((at for at, start in enumerate(self._starts[:-1]) if start >= x), 0)

    def _x_of(self, column: int) -> int:
        return self._starts[min(max(column, 0), len(self._columns))] - self._label_width

    def action_columns(self, step: int) -> None:
        """Scroll so many columns to the right, or to the left if negative."""
        self.scroll_now(self._x_of(self._first + step), self.scroll_offset.y)

    def action_lines(self, step: int) -> None:
        """Scroll so many lines down, or up if negative."""
        self.scroll_now(self.scroll_offset.x, self.scroll_offset.y + step)

    def action_pages(self, step: int) -> None:
        """Scroll so many pages down, or up if negative."""
        page = max(self.scrollable_content_region.height - _HEADS, 1)
        self.scroll_now(self.scroll_offset.x, self.scroll_offset.y + step * page)

    # ── painting ─────────────────────────────────────────────────────────────────────────────────────────

    def get_content_height(self, *_: object) -> int:
        """Return the lines that all rows take."""
        return _HEADS + max(len(self._rows), 1)

    def render_line(self, y: int) -> Strip:
        """Return a line of the heads, or that of a row."""
        width = self.scrollable_content_region.width
        return Strip(self._segments(y)).adjust_cell_length(width, self.rich_style)

    @property
    def _seen(self) -> Sequence[int]:
        """The places of the columns on screen: whole ones, since a number that is cut says another."""
        starts, first = self._starts, self._first
        room = self.scrollable_content_region.width - self._label_width
        ends = range(first + 1, len(self._columns) + 1)
        stop = max((end for end in ends if starts[end] - _GAP - starts[first] <= room), default=first + 1)
        return range(first, min(stop, len(self._columns)))

    def _segments(self, y: int) -> list[Segment]:
        """Return a line on screen."""
        line = y - _HEADS + self.scroll_offset.y
        if not self._columns or (y >= _HEADS and line >= len(self._rows)):
            return []
        quiet = self.rich_style + self.get_component_rich_style("evaluation-table--quiet", partial=True)
        if y == 0:
            label, texts = "", [self._measure(at, quiet) for at in self._seen]
        elif y < _HEADS:
            label, texts = "row", [self._lens(self._columns[at], quiet) for at in self._seen]
        else:
            label, columns = self._rows[line], [self._columns[at] for at in self._seen]
            of_row = (self._padded(column, column.texts[line]) for column in columns)
            texts = [Segment(text, self.rich_style) for text in of_row]
        return [Segment(f"{label.rjust(self._label_width - 1)} ", quiet), *texts]

    @staticmethod
    def _padded(column: Column, text: str) -> str:
        return " " * (column.width - cell_len(text)) + text + " " * _GAP

    def _measure(self, at: int, quiet: Style) -> Segment:
        """Return the head of a measure, over the first of its columns on screen alone."""
        column, seen = self._columns[at], self._seen
        is_first = at == seen[0] or self._columns[at - 1].measure is not column.measure
        chosen = self.get_component_rich_style("evaluation-table--chosen", partial=True)
        style = self.rich_style + chosen if column.measure is self._chosen else quiet
        return Segment(self._padded(column, column.measure.head if is_first else ""), style)

    def _lens(self, column: Column, quiet: Style) -> Segment:
        """Return the head of a lens: its mark in the plot, in its colour there, and its key."""
        colour, mark = LOOKS[column.look % len(LOOKS)]
        style = quiet + Style(color=rich_colour(self.app, colour))
        return Segment(self._padded(column, f"{mark} {printable(column.lens)}"), style)
