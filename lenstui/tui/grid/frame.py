"""One painting of a grid: the lines on screen, drawn from a snapshot of all that decides how they look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from lenstui.model.rows import is_sublayer
from lenstui.tui.grid.cell import ABSENT, PENDING, RIGHT_EDGE, CellLine, Look, marks_of
from lenstui.tui.grid.column_marks import BEGINS, FOLDED, ColumnMarks
from lenstui.tui.grid.places import HEADER
from lenstui.tui.grid.room import ColumnLayout, RowFigures

if TYPE_CHECKING:
    from lenstui.tui.grid.cells import GridCells
    from lenstui.tui.grid.cursor import Cursor


@dataclass(frozen=True, slots=True)
class Frame:
    """A snapshot of a grid.

    Attributes:
        look: the styles of the grid.
        cells: the numbers and texts of the grid.
        rows: labels of all rows, from the top.
        tokens: texts of the input tokens, of all columns.
        flipped: whether the first of `rows` is the last row of `cells`.
        cursor: the cell that the cursor is on.
        columns: the columns on screen, from the left.
        beside_cursor: the column to the right of the cursor's; -1 for none.
        depth: how many lines a row has.
        layout: how wide a column is, and what its cells show.
        marks: whether the cell where a column settles is marked.
        framed: whether the cursor has a right edge too.
        figures: what stands behind the row labels, and which rows are dim.
        column_marks: where turns begin, and which columns are dim.
        dim_look: the styles of the rows and columns that are dim.
        gutter: the width of the row labels with what stands behind them.
        width: the width of the grid on screen.
    """

    look: Look
    cells: GridCells
    rows: Sequence[str]
    tokens: Sequence[str]
    flipped: bool
    cursor: Cursor
    columns: Sequence[int]
    beside_cursor: int
    depth: int
    layout: ColumnLayout
    marks: bool
    framed: bool
    figures: RowFigures
    column_marks: ColumnMarks
    dim_look: Look
    gutter: int
    width: int

    def line(self, number: int) -> list[Segment]:
        """Return a line, of the header or of a row, counted from the top where nothing is scrolled.

        It is exactly as wide as the frame: a label, blank in the header, and then the columns on screen.
        """
        if number < HEADER:
            return self._segments(" " * self.gutter, self.look.gutter, self._header())
        place, line = divmod(number - HEADER, self.depth)
        if place >= len(self.rows):
            return [Segment(" " * self.width, self.look.blank)]
        row = len(self.rows) - 1 - place if self.flipped else place
        text = self.rows[place] if line == 0 else ""
        behind = self.figures.behind(text)
        label = f"{text:>{self.gutter - 1 - len(behind)}}{behind} "
        style = self.look.part if is_sublayer(self.rows[place]) else self.look.gutter
        style = self.look.here if row == self.cursor.row else style
        room = self.width - self.gutter - len(self.columns) * self.layout.width
        is_last = row == self.cursor.row and bool(self.columns) and self.columns[-1] == self.cursor.column
        has_edge = self.framed and is_last and room > 0
        return self._segments(label, style, self._row(row, line), edge=has_edge)

    def _header(self) -> Iterable[tuple[str, Style]]:
        look, here, marks = self.look, self.cursor.column, self.column_marks
        for column in self.columns:
            text = look.label(self.tokens[column], self.layout.width)
            text = BEGINS + text[1:] if column in marks.begins else text
            text = FOLDED + text[1:] if column in marks.folded else text
            style = look.part if column in marks.dim else look.header
            yield text, look.here if column == here else style

    def _label(self, row: int) -> str:
        return self.rows[len(self.rows) - 1 - row if self.flipped else row]

    def _row(self, row: int, line: int) -> Iterable[tuple[str, Style]]:
        if isinstance(self.columns, range):
            return self._cells_of(row, line, self.columns)
        return chain.from_iterable(self._cells_of(row, line, run) for run in _runs(self.columns))

    def _cells_of(self, row: int, line: int, run: range) -> Iterable[tuple[str, Style]]:
        """Return the pieces of a line of the cells of neighbouring columns."""
        seen = slice(run.start, run.stop)
        look = self.dim_look if self._label(row) in self.figures.dim else self.look
        text_width = look.text_width(self.layout.width)
        of_cell = CellLine(line, self.depth, text_width, self.layout.contents)
        texts = self.cells.line(row, seen, of_cell)
        levels = self.cells.levels[row, seen].tolist()
        differing = self.cells.differing(row, seen, of_cell)
        settled = (self.cells.settled[seen] == row).tolist() if self.marks else [False] * len(levels)
        has_marks = row == self.cursor.row or any(differing) or any(settled)
        if not (has_marks or self.column_marks.dim or None in texts):
            return look.bare_cells(texts, levels, first=line == 0)
        cells = list(zip(run, texts, levels, differing, settled, strict=True))
        return self._marked_cells(row, line, cells)

    def _marked_cells(
        self, row: int, line: int, cells: Sequence[tuple[int, str | None, int, bool, bool]]
    ) -> Iterator[tuple[str, Style]]:
        """Yield the pieces of cells that may have marks or no text, as few of those on screen have.

        Args:
            row: of the cells.
            line: of the row.
            cells: for each its column, its text, its level, and whether it differs, and settles.
        """
        is_dim = self._label(row) in self.figures.dim
        here = self.cursor.column if row == self.cursor.row else None
        beside = self.beside_cursor if row == self.cursor.row and self.framed else None
        seen = slice(cells[0][0], cells[-1][0] + 1) if cells else slice(0)
        absent = self.cells.absent(row, seen) if any(text is None for _, text, *_ in cells) else []
        first, last = line == 0, line == self.depth - 1
        for place, (column, text, level, differs, settles) in enumerate(cells):
            look = self.dim_look if is_dim or column in self.column_marks.dim else self.look
            marks = marks_of(first, last, column == here, column == beside, differs, settles)
            if text is None:
                yield from look.empty_cell(self.layout.width, ABSENT if absent[place] else PENDING, marks)
            else:
                yield from look.cell(text, level, marks)

    def _segments(
        self, label: str, style: Style, cells: Iterable[tuple[str, Style]], *, edge: bool = False
    ) -> list[Segment]:
        """Return a line, exactly as wide as the frame, of a label and of cells.

        Neighbours of one style become one segment, which takes fewer bytes.

        Args:
            label: of the row.
            style: of the label.
            cells: pieces of text with their styles.
            edge: the cursor is in the last column, and there is room for its right edge.
        """
        segments: list[Segment] = []
        run = label
        for text, next_style in cells:
            if next_style is style:
                run += text
            else:
                segments.append(Segment(run, style))
                run, style = text, next_style
        segments.append(Segment(run, style))
        missing = self.width - self.gutter - len(self.columns) * self.layout.width
        too_much = -missing
        while too_much > 0 and segments:  # a cell may be of several pieces
            last = segments.pop()
            width = cell_len(last.text)
            left = width - too_much
            if left > 0:  # a cut takes time where widths differ from character to character
                cut = last.text[:left] if width == len(last.text) else set_cell_size(last.text, left)
                segments.append(Segment(cut, last.style))
            too_much = -left
        if edge and self.look.has_edges:
            segments.append(Segment(RIGHT_EDGE, self.look.blank))
            missing -= 1
        if missing > 0:
            segments.append(Segment(" " * missing, self.look.blank))
        return segments


def _runs(columns: Sequence[int]) -> Iterable[range]:
    """Yield the runs of neighbouring columns."""
    if isinstance(columns, range):
        yield columns
        return
    start = 0
    for place in range(1, len(columns) + 1):
        if place == len(columns) or columns[place] != columns[place - 1] + 1:
            yield range(columns[start], columns[place - 1] + 1)
            start = place
