"""The grid: one lens's cells as a heat map of tokens, layers up and input positions across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

from rich.segment import Segment
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip

from lenstui.model.rows import stream_places
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.scales import Scale
from lenstui.readout.values import PROBABILITY, Value
from lenstui.support.late_numpy import np
from lenstui.tui.grid import palette
from lenstui.tui.grid.column_marks import NO_MARKS, ColumnMarks
from lenstui.tui.grid.cursor import Cursor
from lenstui.tui.grid.moves import GridMoves
from lenstui.tui.grid.places import HEADER, MAX_DEPTH
from lenstui.tui.grid.room import NO_FIGURES, RowFigures, widest_of
from lenstui.tui.shared.scroll_bar import ScrolledLine

if TYPE_CHECKING:
    from lenstui.readout.cells import Cells, FloatArray, IntArray
    from lenstui.tui.grid.cell import LineFilters, Look
    from lenstui.tui.grid.cells import GridCells
    from lenstui.tui.grid.frame import Frame

_MOST_KEPT = 512  # lines, a megabyte or two

__all__ = ["HEADER", "MAX_DEPTH", "Cursor", "Grid"]


class Grid(GridMoves):
    """A heat map of one lens's cells, drawn line by line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--header",
        "grid--gutter",
        "grid--part",
        "grid--here",
        "grid--pending",
        "grid--settled",
    }
    DEFAULT_CSS = """
    Grid {
        background: $surface;
        color: $foreground;
        scrollbar-size: 1 1;

        .grid--header, .grid--gutter { color: $foreground 65%; }
        .grid--part { color: $foreground 40%; }
        .grid--here { color: $foreground; text-style: bold; }
        .grid--pending { color: $foreground 30%; }
        .grid--settled { text-style: underline; }
    }
    """

    value: reactive[Value] = reactive(PROBABILITY, init=False)
    scale: reactive[Scale] = reactive(Scale(0, 1), init=False)
    figures: reactive[RowFigures] = reactive(NO_FIGURES, init=False)  # behind the labels of rows
    column_marks: reactive[ColumnMarks] = reactive(NO_MARKS, init=False)  # turns of the prompt
    marks: reactive[bool] = reactive(False, init=False)  # whether the cell where a column settles is marked

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        # Lines as they were drawn last, by their number, wherever they are on screen now, and by how far the
        # grid was scrolled sideways then.
        self._kept: dict[int, dict[int, Strip]] = {}
        self._drawn_for: tuple[object, ...] = ()  # what they depend on that says nothing when it changes
        super().__init__(name=name, id=id, classes=classes)
        self._look_cache: Look | None = None
        self._dim_look_cache: Look | None = None
        self._filters: dict[LineFilters, LineFilters] = {}  # those that change anything, by all of them

    # ── what it shows ────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, rows: Sequence[str], columns: Sequence[str], vocabulary: int, *, gap: range = NO_GAP
    ) -> None:
        """Show a blank grid, every cell pending, on the scale for no numbers yet.

        Args:
            rows: labels of the rows, `emb` first.
            columns: display texts of the input tokens.
            vocabulary: number of token ids.
            gap: columns that never have any cells.
        """
        self.set_reactive(Grid.hidden, frozenset())  # what was folded away is of another prompt
        self._rows, self._columns = tuple(rows), tuple(columns)
        self._cells = self._blank(len(rows), len(columns))
        self._cells.gap = gap
        self._cells.labels = self._rows
        self._gutter = self.gutter_width
        self.scale = self.value.scale((), vocabulary)
        self._resize()
        self.move_to(self.cursor)
        self.refresh()

    @property
    def gutter_width(self) -> int:
        """The terminal cells that the labels of the rows take, with what stands behind them."""
        return widest_of(self._rows) + 2 + self.figures.width

    def watch_figures(self) -> None:
        """Show other figures behind the labels, and other rows dim."""
        self._gutter = self.gutter_width
        self._resize()
        self.refresh()

    def clear(self) -> None:
        """Show no rows and no columns; grids that share the cursor keep theirs."""
        self._rows, self._columns, self._shown = (), (), ()
        self._cells = self._blank(0, 0)
        with self.led():
            self.cursor = Cursor(0, 0)

    @cached_property
    def _cells(self) -> GridCells:
        """The cells as they are drawn; none before `start`, so that the first paint needs no NumPy."""
        return self._blank(0, 0)

    def _blank(self, rows: int, columns: int) -> GridCells:
        from lenstui.tui.grid.cells import GridCells

        return GridCells(rows, columns)

    def resize_to(self, columns: Sequence[str]) -> None:
        """Show columns that are fewer or more at the end; cells of the columns that stay are kept.

        Args:
            columns: display texts of the input tokens.
        """
        self._columns = tuple(columns)
        self._cells.resize(len(columns))
        self._resize()
        self.move_to(self.cursor)
        self.refresh()

    def add(self, start: int, cells: Cells, texts: Mapping[int, str]) -> None:
        """Put in the cells of the columns from `start` on, and draw anew what changes on screen.

        Args:
            start: first column.
            cells: all rows of the columns.
            texts: display texts, at least of the top tokens in `cells`.
        """
        shown = self.visible_columns()
        first, stop = max(shown.start, start), min(shown.stop, start + cells.columns)
        with self._repainting(slice(first, max(first, stop))):
            self._cells.put(start, cells, texts, self.value, self._shown_scale)

    @contextmanager
    def _repainting(self, seen: slice) -> Iterator[None]:
        """Draw anew what changes in some columns within the `with` block."""
        before = self._cells.drawn(seen, self.depth, self.column_layout.contents)
        yield
        self._kept = {x: lines for x, lines in self._kept.items() if x == self.scroll_offset.x}
        after = self._cells.drawn(seen, self.depth, self.column_layout.contents)
        changed = before != after if before.shape == after.shape else np.ones((*after.shape[:2], 1), bool)
        rows, columns = np.nonzero(changed.any(axis=2))
        if rows.size:
            corners = [Cursor(int(end(rows)), seen.start + int(end(columns))) for end in (np.min, np.max)]
            self._refresh_within(self._body, Region.from_union([self._region(corner) for corner in corners]))

    def repin(self, places: Sequence[int]) -> None:
        """Arrange the numbers of pins anew, and show them where the value is that of a pin.

        Args:
            places: the former place of each pin, -1 for a pin that is not read yet.
        """
        self._cells.repin(places)
        if self.value.pins:
            self._cells.choose(self.value, self._shown_scale)
            self.refresh()

    @property
    def cells(self) -> Cells | None:
        """All cells of the prompt, NaN and -1 where not yet read; None while nothing is read."""
        return self._cells.cells

    @property
    def extra_width(self) -> int:
        """The terminal cells that a column needs beside its text and the space before it."""
        return self.column_width - 1 - self._look.text_width(self.column_width)

    @property
    def drawn_cells(self) -> GridCells:
        """The cells as they are drawn: their texts, colours and marks, and the numbers behind them."""
        return self._cells

    @property
    def values(self) -> FloatArray:
        """The chosen value, `[rows, columns]`, NaN where not yet read."""
        return self._cells.values

    @property
    def rows(self) -> tuple[str, ...]:
        """Labels of the rows, `emb` first."""
        return self._rows

    @property
    def settled(self) -> IntArray:
        """The crystallization row of each column, -1 where there is none or it is not known, `[columns]`."""
        return self._cells.settled

    @property
    def scaled_values(self) -> FloatArray:
        """The chosen value in the residual stream's rows, from the first token's column on, for a scale."""
        return self._cells.values[stream_places(self._rows), self._cells.first_column :]

    def is_absent(self, cursor: Cursor) -> bool:
        """Return whether a cell has no number and will have none, in the gap or in a column that is read."""
        return any(self._cells.absent(cursor.row, slice(cursor.column, cursor.column + 1)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Display texts of the input tokens."""
        return self._columns

    @property
    def gap(self) -> range:
        """Columns that never have any cells."""
        return self._cells.gap

    @property
    def read_columns(self) -> int:
        """The number of columns that have been read, from the first up to one that is not read."""
        if self.cells is None:
            return 0
        from lenstui.readout.cells import NOT_READ  # the first paint can do without

        unread = np.flatnonzero(self.cells.top1[-1] == NOT_READ)  # every lens reads the last row
        return int(unread[0]) if unread.size else self.cells.columns

    def watch_value(self) -> None:
        """Show the new value's numbers."""
        self._cells.choose(self.value, self._shown_scale)

    def watch_scale(self) -> None:
        """Show the numbers on the new scale."""
        self._cells.rescale(self._shown_scale)

    @property
    def _shown_scale(self) -> Scale:
        """The scale with as many steps as the terminal shows."""
        return replace(self.scale, count=palette.steps(self.app))

    # ── what it draws ────────────────────────────────────────────────────────────────────────────────────

    @property
    def _look(self) -> Look:
        if self._look_cache is None:
            from lenstui.tui.grid.cell import Look  # the first paint can do without

            self._look_cache = Look.of(self, palette.mode_of(self.app))
        return self._look_cache

    @property
    def _dim_look(self) -> Look:
        if self._dim_look_cache is None:
            self._dim_look_cache = self._look.dimmed()
        return self._dim_look_cache

    def notify_style_update(self) -> None:
        """Forget the styles and the lines, so that the next painting looks them up and draws them again."""
        super().notify_style_update()
        self._look_cache = self._dim_look_cache = None
        self._filters.clear()
        self._kept.clear()

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Draw the lines of some regions anew, or all lines where there are no regions."""
        if repaint and regions:
            for region in regions:
                for y in region.line_range:
                    self._forget(self._line_at(y))
        elif repaint:
            self._kept.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _refresh_within(self, bounds: Region, *regions: Region) -> None:
        """Draw anew the parts of regions within the bounds, and what is beyond them once it is seen."""
        scrolled = self.scroll_offset.y if bounds.y >= HEADER else 0
        for region in regions:
            for y in region.line_range:
                self._forget(y + scrolled)
        super()._refresh_within(bounds, *regions)

    def _forget(self, line: int) -> None:
        """Have a line drawn anew, of whichever columns."""
        for lines in self._kept.values():
            lines.pop(line, None)

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Scroll sideways: lines that have been drawn are the same once their columns come back."""
        with self._keeping_lines():
            super().watch_scroll_x(old_value, new_value)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scroll up or down: lines that have been drawn are the same at their new places."""
        with self._keeping_lines():
            super().watch_scroll_y(old_value, new_value)

    @contextmanager
    def _keeping_lines(self) -> Iterator[None]:
        """Keep the lines as they were drawn, though all of the grid is painted anew within the block."""
        kept, self._kept = self._kept, {}
        yield
        self._kept = kept

    def _line_at(self, y: int) -> int:
        """Return the number of a line on screen, counted on an endless screen where nothing is scrolled."""
        return y if y < HEADER else y + self.scroll_offset.y

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines on screen: those that have to be drawn from one snapshot, the others as they were.

        A grid has no border and no padding, which its pane has, and so none of what makes lines of a widget
        in general takes long.
        """
        drawn_for = self.outer_size, self._view, self._line_filters
        if drawn_for != self._drawn_for:
            self._drawn_for = drawn_for
            self._kept.clear()
        lines = self._lines_here()
        height = self._view.height
        seen = [self._line_at(y) for y in crop.line_range if y < height]
        if missing := [line for line in seen if line not in lines]:
            lines.update(self._draw(missing))
        shown = [lines[line] for line in seen]
        shown += [Strip.blank(self.outer_size.width, self._look.blank)] * (crop.height - len(shown))
        if crop.column_span == (0, self.outer_size.width):
            return shown
        return [line.crop(*crop.column_span) for line in shown]

    def _lines_here(self) -> dict[int, Strip]:
        """Return the lines that are kept of the columns on screen, by number; forget the oldest others."""
        here = self._kept.pop(self.scroll_offset.x, {})
        while self._kept and len(here) + sum(map(len, self._kept.values())) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        if len(here) > _MOST_KEPT:
            here.clear()
        self._kept[self.scroll_offset.x] = here  # the last is the latest
        return here

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self.render_lines(Region(0, y, self.outer_size.width, 1))[0]

    @property
    def _line_filters(self) -> LineFilters:
        """The filters that change how a grid looks in this terminal, with the ground that they need."""
        asked = self.background_colors[1], tuple(self.get_line_filters())
        if asked not in self._filters:
            self._filters = {asked: self._look.changing(*asked)}
        return self._filters[asked]

    def _draw(self, lines: Sequence[int]) -> Iterator[tuple[int, Strip]]:
        """Yield lines as the terminal shows them, with the places that a scrollbar at the right covers.

        Args:
            lines: their numbers, which they are yielded with.
        """
        frame, blank = self._snapshot(), self._look.blank
        width = self.outer_size.width
        behind = Strip([Segment(" " * (width - frame.width), blank)]) if width > frame.width else None
        ground, filters = self._line_filters
        for number in lines:
            segments = frame.line(number)
            for each in filters:
                segments = each.apply(segments, ground)
            line = Strip(segments, frame.width)
            yield number, line if behind is None else ScrolledLine(line, behind)

    def _snapshot(self) -> Frame:
        """Return a snapshot of all that decides how the grid looks.

        Looking everything up once for all lines is what makes painting fast.
        """
        from lenstui.tui.grid.frame import Frame  # the first paint can do without

        return Frame(
            look=self._look,
            cells=self._cells,
            rows=self._rows[::-1] if self.bottom_up else self._rows,
            tokens=self._columns,
            flipped=self.bottom_up,
            cursor=self.cursor,
            columns=self._columns_on_screen(),
            beside_cursor=self._beside_cursor,
            depth=self.depth,
            layout=self.column_layout,
            marks=self.marks,
            framed=self.framed,
            figures=self.figures,
            column_marks=self.column_marks,
            dim_look=self._dim_look if self.figures.dim or self.column_marks.dim else self._look,
            gutter=self._gutter,
            width=self._view.width,
        )

    @property
    def _beside_cursor(self) -> int:
        """The column to the right of the cursor's, where its right edge is; none is -1."""
        place = self._place_of(self.cursor.column) + 1
        return self._shown[place] if place < len(self._shown) else -1
